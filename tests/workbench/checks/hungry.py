"""A training task that takes memory for its batch, within a limit: for real processes, without a
model. Found through WORKBENCH_EXTRA_TASKS."""

import os
import resource
import signal
from pathlib import Path
from typing import Any, ClassVar

from storage.records import SlotKind
from workbench.jobs.reporting import JobContext
from workbench.recipes.base import setting
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.tasks import Task, all_tasks

WHERE = "tests.workbench.checks.hungry:TASKS"
#: A row of a batch takes this much, and so much may be taken on top of what Python has.
ROW, MOST = 16 << 20, 640 << 20


class HungryRecipe(TrainEmbeddingRecipe):
    """Takes memory, trains nothing."""

    task: ClassVar[str] = "train-hungry"
    how: str = setting("limit", help="How it runs out of memory.")


def run(recipe: HungryRecipe, context: JobContext) -> dict[str, Any]:
    at_once = recipe.batch_size
    if "cached" in recipe.objective:
        at_once = min(at_once, recipe.mini_batch_size)
    context.progress(0, 1, "steps", "Training")
    if recipe.how == "killed" and at_once * ROW > MOST:
        os.kill(os.getpid(), signal.SIGKILL)
    if recipe.how == "torch":
        import torch

        _limit()
        kept: Any = torch.ones(at_once * ROW // 4)
    else:
        _limit()
        kept = bytearray(at_once * ROW)
    return {"model": "none", "took": len(kept), "batch": at_once}


def _limit() -> None:
    """What the process has by now, and the little that it may take."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + MOST
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


TASKS = {
    HungryRecipe.task: Task(
        HungryRecipe,
        f"{__name__}:run",
        SlotKind.TRAIN,
        all_tasks()["train-embedding"].prepare,
        all_tasks()["train-embedding"].advice,
    )
}
