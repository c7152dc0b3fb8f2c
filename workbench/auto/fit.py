"""A model trained in memory, for a look at what its settings are worth: no checkpoint, no
optimizer's state. Worker processes only."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from storage.records import Job
from workbench.errors import JobCancelled
from workbench.jobs.reporting import JobContext
from workbench.models.contract import Contract
from workbench.training.averaging import Averaging, Weights, trained_weights
from workbench.training.callbacks import Only
from workbench.training.loop import go, set_up
from workbench.training.loss import keeping_for
from workbench.training.run import Run, Training
from workbench.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Fitted:
    """What was trained: the model in memory, with the trained model's contract."""

    #: As :func:`workbench.models.load.load_model` gives it; its weights are the average.
    loaded: Any
    contract: Contract
    #: Optimizer steps taken, and training rows that there were.
    steps: int
    rows: int
    notes: tuple[str, ...]
    #: What the steps took, loading and making ready aside.
    seconds: float
    #: The weights that are trained, as they were before the first step.
    before: Weights


def fit(run: Run, training: Training, start: Contract, loaded: Any = None) -> Fitted:
    """Train on the train split of the run's reader, and keep the model in memory.

    The run says everything else: recipe, base, device, precision. ``recipe.average_weights`` is the
    share of the last steps whose weights are averaged. ``loaded``: the base, where it is in memory
    already, its weights kept as the method needs them; it is the one that is trained. Logs go to
    the run's output folder. Raises :class:`JobCancelled` between two steps, and what training
    raises.
    """
    recipe = run.recipe
    run = replace(run, dev=None, plan=None)
    run.output.mkdir(parents=True, exist_ok=True)
    if loaded is None:
        loaded = run.load(run.base, start, keeping_for(recipe, run.precision))
    cadence = Only(recipe, run.context, run.group, None)
    prepared, recorder, contract = set_up(run, training, start, loaded, cadence)
    if recipe.average_weights:
        prepared.trainer.add_callback(Averaging(recipe.average_weights))
    before = trained_weights(loaded.model)
    began = time.monotonic()
    go(run, prepared.trainer, recorder)
    seconds = time.monotonic() - began
    if cadence.cancelled:
        raise JobCancelled("Stopped between two steps.", "Resume the job to go on.")
    steps = prepared.trainer.state.global_step
    rows = len(prepared.rows)
    model = loaded.with_contract(contract)
    return Fitted(model, contract, steps, rows, prepared.notes, seconds, before)


class Part(JobContext):
    """A job's context for one of several trainings in it: progress says which one it is, and steps
    go on from the one before. ``quiet`` leaves out remarks, which would come once for each."""

    def __init__(self, context: JobContext, name: str, after: int, *, quiet: bool = True) -> None:
        """``name``: 'Fold 2 of 3'. ``after``: the last step of the training before it."""
        self.context = context
        self.name = name
        self.after = after
        self.quiet = quiet

    @property
    def workspace(self) -> Workspace:  # type: ignore[override]
        return self.context.workspace

    @property
    def job(self) -> Job:  # type: ignore[override]
        return self.context.job

    @property
    def folder(self) -> Path:  # type: ignore[override]
        return self.context.folder

    @property
    def resuming(self) -> bool:
        return self.context.resuming

    @property
    def cancelled(self) -> bool:
        return self.context.cancelled

    def check_cancelled(self) -> None:
        self.context.check_cancelled()

    def progress(
        self, done: float, total: float | None = None, unit: str = "", message: str = ""
    ) -> None:
        said = f"{self.name}: {message}" if message else self.name
        self.context.progress(done, total, unit, said)

    def metrics(self, step: int, kind: str, values: Mapping[str, float]) -> None:
        self.context.metrics(self.after + step, kind, values)

    def forget_metrics_after(self, step: int) -> None:
        self.context.forget_metrics_after(self.after + max(step, 0))

    def flush(self) -> None:
        self.context.flush()

    def note(self, message: str) -> None:
        if not self.quiet:
            self.context.note(message)
