# ruff: noqa: ARG002 - the trainer calls these by name, with everything it has.
"""Writes down every step: rows for the chart, progress, and events for TensorBoard."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import torch
from torch.utils.tensorboard import SummaryWriter
from transformers import TrainerCallback

from workbench.errors import TrainingDiverged
from workbench.jobs.reporting import JobContext
from workbench.recipes.objectives import Objective
from workbench.recipes.train import TrainRecipe
from workbench.training.budget import DevPlan
from workbench.training.distributed import ProcessGroup

# Stops a run whose numbers have gone wrong, before it wastes hours or overwrites what is good.

#: So many steps in a row with a loss (or gradient norm) of 0 mean that nothing is learned any more.
ZEROS_ALLOWED = 5
#: Mixed precision in fp16 overflows now and then: its scaler skips that step and lowers the scale.
OVERFLOWS_ALLOWED = 20
#: What a step is looked at for.
_WATCHED = ("loss", "grad_norm", "learning_rate")
_WHAT = {
    "loss": "The loss",
    "grad_norm": "The gradient's length",
    "learning_rate": "The learning rate",
}
_MEND = {
    "learning_rate": "Lower warmup, or train more steps.",
}
_HARDER = (
    "Check that queries and documents differ, and that each query has documents that do not answer "
    "it; a larger batch or given negatives make the task harder."
)

_GUIDED = (
    "The guide may leave out every negative: lower guide_margin, or name another guide_model. "
)


def hint_for(objective: Objective) -> str:
    """What to do where an objective's loss stays 0."""
    return _GUIDED + _HARDER if objective.guided else _HARDER


def _zeros() -> dict[str, int]:
    return dict.fromkeys(_WATCHED, 0)


@dataclass(slots=True)
class Guard:
    """Looks at every step's numbers. ``fp16`` tolerates some infinite gradient norms in a row.

    ``hint``: what makes this run's task harder, where its objective says that better.
    """

    fp16: bool = False
    hint: str = _HARDER
    zeros: dict[str, int] = field(default_factory=_zeros)
    steps: int = 0
    overflows: int = 0

    def check(self, step: int, values: Mapping[str, float]) -> None:
        """Raise :class:`TrainingDiverged` if this step shows that going on is pointless.

        ``values``: the step's loss, and its gradient norm and learning rate where known.
        """
        self.steps += 1
        loss, grad_norm = values["loss"], values.get("grad_norm")
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"The loss became {loss} at step {step}, so training was stopped.",
                "Lower the learning rate, raise the temperature or use fp32, then train again.",
                step=step,
            )
        if grad_norm is not None:
            self._check_overflow(step, grad_norm)
        for name in _WATCHED:
            if name in values:
                self.zeros[name] = self.zeros[name] + 1 if values[name] == 0.0 else 0
        for name in ("loss", "grad_norm"):
            if self.zeros[name] > ZEROS_ALLOWED:
                self._stop(step, name)

    def end(self, step: int) -> None:
        """The same for a run that is over before it could be stopped: no step of it counted."""
        for name in _WATCHED:
            if self.zeros[name] == self.steps == step > 0:
                self._stop(step, name)

    def _check_overflow(self, step: int, grad_norm: float) -> None:
        self.overflows = 0 if math.isfinite(grad_norm) else self.overflows + 1
        allowed = OVERFLOWS_ALLOWED if self.fp16 else 0
        if self.overflows > allowed:
            raise TrainingDiverged(
                f"The gradient's length became {grad_norm} at step {step}: training was stopped.",
                "Lower the learning rate or use bf16 or fp32, then train again.",
                step=step,
            )

    def _stop(self, step: int, name: str) -> None:
        raise TrainingDiverged(
            f"{_WHAT[name]} has been exactly 0 for {self.zeros[name]} steps up to step {step}: "
            "the model has stopped learning.",
            _MEND.get(name, self.hint),
            step=step,
        )


#: Seconds between two 'system' rows; the steps of a small model are much quicker.
SYSTEM_EVERY = 1.0
MIB = 2**20


class Recorder(TrainerCallback):
    """Reports to the job's record. The guard looks at each step before anything is saved."""

    def __init__(
        self,
        context: JobContext,
        guard: Guard,
        runs: Path,
        *,
        samples_per_step: int,
        leads: bool = True,
    ) -> None:
        self.context = context
        #: Among several processes one writes; the guard looks in all of them, and stops all.
        self.leads = leads
        self.guard = guard
        self.samples_per_step = samples_per_step
        self.runs = runs
        self.process = psutil.Process()
        self.writer: SummaryWriter | None = None
        self.steps_timed = 0
        self.seconds_timed = 0.0
        self.mark = self.reported = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # Events beyond a resumed step are those of the attempt that was interrupted.
        if self.leads:
            self.writer = SummaryWriter(str(self.runs), purge_step=state.global_step + 1)
        self.mark = self.reported = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        now = time.monotonic()
        self.steps_timed += 1
        self.seconds_timed += now - self.mark
        self.mark = now
        total = state.max_steps
        self.context.progress(state.global_step, total, "steps", "Training")
        if now - self.reported >= SYSTEM_EVERY or state.global_step in (1, total):
            self._report_system(state.global_step, total, now)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
        self._write_events(state.global_step, logs)
        if self.leads:
            print(log_line(state.global_step, state.max_steps, logs), flush=True)
        if "loss" not in logs:
            return
        names = ("loss", "learning_rate", "grad_norm", "epoch")
        values = {name: float(logs[name]) for name in names if name in logs}
        self.context.metrics(state.global_step, "train", values)
        self.guard.check(state.global_step, values)

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # Samples per second are those of the step loop, without evaluating and saving.
        self.mark = time.monotonic()

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.context.flush()  # A run that goes on from this checkpoint has its chart up to here.
        self.mark = time.monotonic()

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.close()
        if state.global_step >= state.max_steps:
            self.guard.end(state.global_step)

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def _report_system(self, step: int, total: int, now: float) -> None:
        rate = self.samples_per_step * self.steps_timed / max(self.seconds_timed, 1e-9)
        values = {
            "samples_per_second": rate,
            "memory_mb": self.process.memory_info().rss / MIB,
            "steps_total": float(total),
        }
        if torch.cuda.is_available():
            values["gpu_memory_mb"] = torch.cuda.max_memory_allocated() / MIB
        self.context.metrics(step, "system", values)
        self.steps_timed, self.seconds_timed, self.reported = 0, 0.0, now

    def _write_events(self, step: int, logs: dict[str, float]) -> None:
        if self.writer is None:
            return
        for name, value in logs.items():
            if isinstance(value, int | float):
                part = "dev" if name.startswith("eval_") else "train"
                self.writer.add_scalar(f"{part}/{name.removeprefix('eval_')}", value, step)


def log_line(step: int, total: int, logs: Mapping[str, Any]) -> str:
    """One line of the job's log: 'step 12/38  loss 0.2716  grad_norm 6.38 ...'."""
    hidden = ("epoch", "total_flos")
    numbers = (
        f"{name.removeprefix('eval_')} {value:.4g}"
        for name, value in logs.items()
        if isinstance(value, int | float) and name not in hidden
    )
    part = "dev" if any(name.startswith("eval_") for name in logs) else "step"
    return f"{part} {step}/{total}  " + "  ".join(numbers)


# When a run evaluates, saves and stops.


class Cadence(TrainerCallback):
    """Sets the trainer's flags after each step.

    Saves at each dev evaluation unless ``save_steps`` says otherwise; whatever it says, a new best
    is saved, else there would be nothing to load, and so is the last step.
    """

    def __init__(
        self,
        recipe: TrainRecipe,
        context: JobContext,
        group: ProcessGroup,
        plan: DevPlan | None,
    ) -> None:
        self.recipe = recipe
        self.group = group
        self.context = context
        self.plan = plan
        self.cancelled = False
        self.stopped_early = False

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        last = state.global_step >= state.max_steps
        if self.plan and (last or state.global_step % self.plan.eval_steps(state.max_steps) == 0):
            control.should_evaluate = True
            control.should_save = control.should_save or self.recipe.save_steps is None
        if self.recipe.save_steps and state.global_step % self.recipe.save_steps == 0:
            control.should_save = True
        if self.group.agree(self.context.cancelled) and not last:
            # Saved at once; measuring it can wait until it is resumed.
            self.cancelled = True
            control.should_save = control.should_training_stop = True
            control.should_evaluate = False

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, float], **_: Any
    ) -> None:
        name = args.metric_for_best_model
        history = [entry[name] for entry in state.log_history if name in entry]
        best = history.index(max(history))
        if best == len(history) - 1:
            control.should_save = True
        patience = self.recipe.early_stopping
        if patience and len(history) - 1 - best >= patience:
            self.stopped_early = state.global_step < state.max_steps
            control.should_save = control.should_training_stop = True


class Only(Cadence):
    """Steps and nothing else; stops between two of them when asked to."""

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        super().on_step_end(args, state, control)
        control.should_save = control.should_evaluate = False


@dataclass(frozen=True, slots=True)
class Rungs:
    """Steps after which a model that is trained is looked at: ``goes_on`` says whether it is
    trained on."""

    steps: tuple[int, ...]
    goes_on: Callable[[Any], bool]


class Climb(TrainerCallback):
    """Looks at the model after each rung, and ends a training that is not to go on."""

    def __init__(self, rungs: Rungs, loaded: Any) -> None:
        self.rungs = rungs
        self.loaded = loaded

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step in self.rungs.steps and not self.rungs.goes_on(self.loaded):
            control.should_training_stop = True
