# ruff: noqa: ARG002 - the trainer calls these by name, with everything it has.
"""What becomes of a run's weights after its last step, before they are saved: the average of the
last steps', and a blend with those from before the first.

Where a run is short its last step is a matter of chance; the average of the last ones lies nearer
to the middle of what they go around (Polyak and Juditsky 1992; Izmailov et al. 2018). A point
between trained weights and the base's often keeps what the base knew at little cost on what was
learnt (WiSE-FT: Wortsman et al. 2022).
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from workbench.errors import BadInput

#: Weights that are trained, by name.
Weights = dict[str, torch.Tensor]
#: The half of an adapter's product that begins at random. The other begins at zero, so a share of
#: the adapter is that share of the other.
RANDOM_HALF = ("lora_A.", "lora_embedding_A.")
ZERO_HALF = ("lora_B.", "lora_embedding_B.")


def trained_weights(model: Any) -> Weights:
    """The weights that are trained, copied."""
    named = model.named_parameters()
    return {name: one.detach().clone() for name, one in named if one.requires_grad}


def put_between(model: Any, start: Weights, tuned: Weights, ratio: float) -> None:
    """Give the model ``ratio`` of the way from ``start`` to ``tuned``, in place."""
    with torch.no_grad():
        for name, one in model.named_parameters():
            if name not in tuned:
                continue
            if ratio == 1.0 or any(half in name for half in RANDOM_HALF):
                one.copy_(tuned[name])
            else:
                one.copy_(torch.lerp(start[name].float(), tuned[name].float(), ratio))


def ends(base: Any, saved: Any) -> tuple[Weights, Weights]:
    """The weights that differ, as they are in the base and in the trained model. Of an adapter that
    stands beside its base, the half that began at zero: a share of it is that of the adapter.
    Raises :class:`BadInput` for models of other weights."""
    there = dict(saved.named_parameters())
    halves = {name for name in there if any(half in name for half in ZERO_HALF)}
    with torch.no_grad():
        if halves:
            tuned = {name: there[name].detach().clone() for name in halves}
            return {name: torch.zeros_like(one) for name, one in tuned.items()}, tuned
        here = dict(base.named_parameters())
        if here.keys() != there.keys():
            raise BadInput("The trained model has other weights than its base.")
        changed = [
            name for name, one in there.items() if not torch.equal(one.float(), here[name].float())
        ]
        return (
            {name: here[name].detach().clone() for name in changed},
            {name: there[name].detach().clone() for name in changed},
        )


class Blending(TrainerCallback):
    """After the last step the model is so far (``ratio``) from what it is now, before the first.

    Made before training begins, also where it goes on from a checkpoint; called after
    :class:`Averaging`.
    """

    def __init__(self, model: Any, ratio: float) -> None:
        self.start = trained_weights(model)
        self.ratio = ratio

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any, **_: Any) -> None:
        if state.global_step >= state.max_steps:
            put_between(model, self.start, trained_weights(model), self.ratio)


#: In the run's output folder: what is averaged so far, of a run that was interrupted.
AVERAGE = "average.pt"


class Averaging(TrainerCallback):
    """Sums the weights that are trained, after each of the last steps; after the very last one the
    model has their mean, before it is saved.

    ``share`` of the steps. ``output``: where a run that saves checkpoints keeps the sum beside
    them, so that one that is resumed has the same average; None keeps nothing.
    """

    def __init__(self, share: float, output: Path | None = None) -> None:
        self.share = share
        self.path = output / AVERAGE if output else None
        self.sums: Weights = {}
        self.count = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.path is None or not self.path.is_file():
            return
        kept = torch.load(self.path, weights_only=True)
        if kept["step"] == state.global_step:
            self.sums, self.count = kept["sums"], kept["count"]

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any, **_: Any) -> None:
        if state.global_step <= first(self.share, state.max_steps):
            return
        trained = {name: one for name, one in model.named_parameters() if one.requires_grad}
        with torch.no_grad():
            for name, one in trained.items():
                value = one.detach().float()
                if name in self.sums:
                    self.sums[name] += value.to(self.sums[name].device)
                else:
                    self.sums[name] = value.clone()
            self.count += 1
            if state.global_step >= state.max_steps:
                for name, one in trained.items():
                    one.copy_(self.sums[name] / self.count)
                self.sums = {}

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # Several processes have the same weights and one folder.
        if self.path is None or not self.sums or not state.is_world_process_zero:
            return
        beside = self.path.with_suffix(".new")
        kept = {"step": state.global_step, "count": self.count, "sums": self.sums}
        torch.save(kept, beside)
        beside.replace(self.path)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.path is not None and state.global_step >= state.max_steps:
            self.path.unlink(missing_ok=True)


def first(share: float, steps: int) -> int:
    """After how many steps averaging begins; the last step's weights are always in it."""
    return min(steps - 1, math.floor(steps * (1 - share)))


# Weights of several models of one shape on disk, and their average.


def keep(path: Path, about: dict[str, Any], weights: Weights) -> None:
    """Weights, and what is to be known of them; never half of it under that name."""
    beside = path.with_name(f"new-{path.name}")
    torch.save({"about": about, "weights": weights}, beside)
    beside.replace(path)


def kept_about(path: Path) -> dict[str, Any]:
    """What was kept beside the weights, which are not read."""
    found: dict[str, Any] = _read(path)["about"]
    return found


def kept(path: Path) -> Weights:
    """By name, mapped from the file."""
    found: Weights = _read(path)["weights"]
    return found


def mean_of(paths: Sequence[Path]) -> Weights:
    """The average, in fp32; one model's weights are read at a time."""
    total: Weights = {}
    for path in paths:
        for name, one in kept(path).items():
            share = one.float() / len(paths)
            total[name] = total[name] + share if name in total else share
    return total


def _read(path: Path) -> Any:
    # Written by this very job: arrays stand beside the tensors.
    return torch.load(path, mmap=True, weights_only=False)
