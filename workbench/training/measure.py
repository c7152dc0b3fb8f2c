# ruff: noqa: ARG002 - the trainer calls these by name, with everything it has.
"""The task 'measure': a few real steps of a training run, for its time and memory.

The same code trains as in the run itself: method, precision, objective and batch are the run's own.
Nothing is measured on dev, no checkpoint is written, nothing is registered.
"""

import resource
import shutil
import sys
import time
from dataclasses import replace
from statistics import fmean
from typing import Any

import psutil
import torch
from transformers import TrainerCallback

from workbench.checks.run_facts import free_memory, look
from workbench.errors import JobCancelled
from workbench.jobs.reporting import JobContext
from workbench.jobs.slots import gpus
from workbench.models.contract import Contract
from workbench.recipes.base import how_many
from workbench.recipes.evaluate import MeasureRecipe
from workbench.recipes.train import TrainRecipe
from workbench.training.budget import AROUND, plan
from workbench.training.callbacks import Only
from workbench.training.epoch import batching, steps
from workbench.training.loop import go, look_up, set_up
from workbench.training.run import Prepared, Run, Training


class Stopwatch(TrainerCallback):
    """Seconds of each step, the loading of its batch included."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.mark = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.mark = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if torch.cuda.is_available():
            # A GPU works on while Python goes ahead.
            torch.cuda.synchronize()
        now = time.monotonic()
        self.seconds.append(now - self.mark)
        self.mark = now


def run(recipe: MeasureRecipe, context: JobContext) -> dict[str, Any]:
    """Train the steps; the result is what they took, and what the whole run would take."""
    whole = recipe.training()
    few = _few(whole, recipe.steps)
    context.forget_metrics_after(-1)
    kind = whole.model_kind
    training = kind.load(kind.training)()
    run = replace(look_up(few, context, training, measures=False), whole=whole)
    try:
        return _measure(run, whole, training)
    finally:
        shutil.rmtree(run.output, ignore_errors=True)


def _few(whole: TrainRecipe, steps: int) -> TrainRecipe:
    """The run, cut to a few steps on one device."""
    changes: dict[str, Any] = {"max_steps": min(steps, whole.max_steps or steps), "devices": "1"}
    if hasattr(whole, "negatives_cross_device"):
        changes["negatives_cross_device"] = False
    return whole.model_copy(update=changes)


def _measure(run: Run, whole: TrainRecipe, training: Training) -> dict[str, Any]:
    context = run.context
    gpu = run.device == "cuda"
    before = psutil.Process().memory_info().rss
    if gpu:
        torch.cuda.reset_peak_memory_stats()
    available = torch.cuda.mem_get_info()[0] if gpu else free_memory(gpu=False)
    context.progress(0, None, "", "Loading the model")
    cadence = Only(run.recipe, context, run.group, None)
    watch = Stopwatch()
    start = training.start(run.recipe, run.base)
    prepared, recorder, _ = set_up(run, training, start, None, cadence)
    context.check_cancelled()
    prepared.trainer.add_callback(watch)
    go(run, prepared.trainer, recorder)
    if cadence.cancelled:
        raise JobCancelled("The trial run was stopped; nothing was saved.")
    # The first step also prepares what the others find ready.
    each = fmean(watch.seconds[1:] or watch.seconds)
    total = _steps(run, whole, prepared, gpu=gpu)
    return {
        "kind": whole.kind,
        "method": whole.method,
        "device": run.device,
        "precision": run.precision,
        "steps": len(watch.seconds),
        "first_step_seconds": watch.seconds[0],
        "seconds_per_step": each,
        "samples_per_second": recorder.samples_per_step / each,
        "peak_memory": torch.cuda.max_memory_allocated() if gpu else _peak(),
        # On a GPU, what the driver counts includes what torch keeps for later.
        "reserved_memory": torch.cuda.max_memory_reserved() if gpu else None,
        "memory_before": 0 if gpu else before,
        "estimated_memory": _estimate(run, whole, gpu=gpu),
        "available_memory": available,
        "total_steps": total,
        "expected_seconds": total * each,
        "dev_evaluations": _dev_evaluations(run, whole, start, total),
        "notes": _notes(whole, prepared.notes),
    }


def _steps(run: Run, whole: TrainRecipe, prepared: Prepared, *, gpu: bool) -> int:
    """Of the whole run, on as many devices as it shall have."""
    devices = how_many(whole.devices, gpus() if gpu else ())
    return steps(whole, batching(run.reader, prepared.rows, whole, devices))


def _peak() -> int:
    """The most memory this process has held so far, as the kernel counts it."""
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held if sys.platform == "darwin" else held * 1024


def _estimate(run: Run, whole: TrainRecipe, *, gpu: bool) -> int | None:
    # Its name may have been taken since it was asked for, and its other devices are not seen here.
    plain = whole.model_copy(update={"name": "", "devices": "1"})
    memory = look(run.context.workspace, plain, gpu).facts.memory(whole)
    return memory.total if memory else None


def _dev_evaluations(run: Run, whole: TrainRecipe, start: Contract, total: int) -> int:
    """How often the run would measure on dev: before the first step, during it, and at the end."""
    devices = how_many(whole.devices, gpus() if run.device == "cuda" else ())
    decided = plan(run.reader, whole, start, devices)
    return AROUND + decided.looks(total) if decided else 0


def _notes(whole: TrainRecipe, notes: tuple[str, ...]) -> list[str]:
    if whole.devices == "1":
        return list(notes)
    return [*notes, "Measured on one device; that several keep its pace is assumed."]
