# ruff: noqa: ARG002 - the trainer calls these by name, with everything it has.
"""Writes down every step: rows for the chart, progress, and events for TensorBoard."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import torch
from torch.utils.tensorboard import SummaryWriter
from transformers import TrainerCallback

from workbench.jobs.context import JobContext
from workbench.training.guard import Guard

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
