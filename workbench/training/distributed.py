"""Several processes that train one model: what they tell each other besides gradients.

torchrun starts them (workbench/jobs/runner.py). The first one leads: it measures, saves and
reports, and the others learn from it what they need to take the same turns. Gradients are averaged
by torch's DistributedDataParallel inside the trainer (Li et al. 2020).
"""

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from workbench.errors import JobCancelled
from workbench.recipes.train import TrainRecipe

T = TypeVar("T")

#: The others wait while the first one measures. torch gives up after half an hour otherwise.
PATIENCE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """``rank`` of ``size`` processes; alone, nothing is sent anywhere."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        return self.rank == 0

    @classmethod
    def meet(cls, device: str) -> "ProcessGroup":
        """Join the others that torchrun started, if it did."""
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return cls()
        if device == "cuda":
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        # What is told is small and in main memory; only tensors on GPUs go by NCCL.
        backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=PATIENCE)
        # One line per step and process: names that the libraries will change in later versions.
        warnings.filterwarnings("ignore", category=FutureWarning)
        return cls(dist.get_rank(), size)

    def tell(self, compute: Callable[[], T]) -> T:
        """What the first one computes, for all. Its cancelling is everybody's; after any other
        error of its own torchrun ends the rest."""
        if self.size == 1:
            return compute()
        told: list[Any] = [None, False]
        if self.leads:
            try:
                told[0] = compute()
            except JobCancelled:
                told[1] = True
        dist.broadcast_object_list(told, src=0, device=torch.device("cpu"))
        if told[1]:
            raise JobCancelled("The job was stopped.")
        value: T = told[0]
        return value

    def agree(self, flag: bool) -> bool:
        """The first one's yes or no."""
        if self.size == 1:
            return flag
        sent = torch.tensor([int(flag)])
        dist.broadcast(sent, src=0)
        return bool(sent.item())

    def part(self) -> None:
        """The end of what is done together; the first one goes on alone."""
        if self.size > 1:
            dist.barrier()
            dist.destroy_process_group()


def across_devices(recipe: TrainRecipe, group: ProcessGroup) -> bool:
    """Whether a contrastive loss gathers the other devices' documents as negatives."""
    return group.size > 1 and bool(getattr(recipe, "negatives_cross_device", False))
