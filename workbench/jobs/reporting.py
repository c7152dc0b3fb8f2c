"""A worker's line to the record: the :class:`JobContext` that a task is given."""

import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy.exc import SQLAlchemyError

from storage.errors import StaleAttempt
from storage.records import Job
from workbench.errors import JobCancelled
from workbench.workspace import Workspace

# Where a job stands, how fast it goes, and how long it will still take.

#: Speed is that of the last so many seconds: evaluations in between do not make it jump.
WINDOW = 60.0


class Progress:
    """Fed by the task as often as it likes, read a few times a second."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._seen: deque[tuple[float, float]] = deque()
        self.changed = False

    def update(self, done: float, total: float | None, unit: str, message: str, now: float) -> None:
        """``now`` is a monotonic time in seconds."""
        self._watch_speed(done, total, unit, now)
        rate = self._rate()
        left = (total - done) / rate if rate and total is not None else None
        self._values = {
            "done": done,
            "total": total,
            "unit": unit,
            "message": message,
            "rate": rate,
            "seconds_left": left,
            "phase": message,
        }
        self.changed = True

    def snapshot(self) -> dict[str, Any]:
        """The values to write; they count as written."""
        self.changed = False
        return dict(self._values)

    def _watch_speed(self, done: float, total: float | None, unit: str, now: float) -> None:
        before = self._values
        new_stretch = (total, unit) != (before.get("total"), before.get("unit"))
        if new_stretch or (self._seen and done < self._seen[-1][1]):
            self._seen.clear()
        # Some tasks report thousands of times a second: a point each tenth is enough.
        if not self._seen or now - self._seen[-1][0] >= 0.1 or done == total:
            self._seen.append((now, done))
        while now - self._seen[0][0] > WINDOW and len(self._seen) > 2:
            self._seen.popleft()

    def _rate(self) -> float | None:
        """Units per second, or None while that is not known."""
        if len(self._seen) < 2:
            return None
        (began, first), (now, last) = self._seen[0], self._seen[-1]
        return (last - first) / (now - began) if now > began and last > first else None


TICK_SECONDS = 0.5
HEARTBEAT_SECONDS = 5.0
EXIT_STALE = 4


def leave(error: StaleAttempt) -> None:
    """A later attempt has begun, or the job is gone: nothing this process does counts any more."""
    print(f"This worker stops: {error}.", file=sys.stderr, flush=True)
    os._exit(EXIT_STALE)


class Reporter:
    """Buffers what the task reports and writes it from a thread, a few times a second."""

    def __init__(
        self,
        workspace: Workspace,
        job: Job,
        *,
        on_stale: Callable[[StaleAttempt], None] = leave,
    ) -> None:
        self.workspace = workspace
        self.job = job
        self.folder: Path = workspace.jobs.folder(job.id)
        self._on_stale = on_stale
        self._progress = Progress()
        self._rows: list[dict[str, Any]] = []
        self._buffer = threading.Lock()
        self._writing = threading.Lock()
        self._cancel = threading.Event()
        self._ended = threading.Event()
        self._beaten_at = -math.inf
        self._not_finite: set[str] = set()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="heartbeat")

    def start(self) -> None:
        """Sign on, and keep reporting from a thread."""
        self.workspace.store.jobs.report(self.job.id, self.job.attempt)
        self._thread.start()

    def close(self) -> None:
        """Write what is left. Raises when it cannot be written."""
        self._ended.set()
        self._thread.join()
        self.flush()

    @property
    def resuming(self) -> bool:
        return self.job.attempt > 1

    def progress(
        self, done: float, total: float | None = None, unit: str = "", message: str = ""
    ) -> None:
        with self._buffer:
            self._progress.update(done, total, unit, message, time.monotonic())

    def metrics(self, step: int, kind: str, values: Mapping[str, float]) -> None:
        numbers = {name: float(value) for name, value in values.items()}
        finite = {name: value for name, value in numbers.items() if math.isfinite(value)}
        self._note_not_finite(step, set(numbers) - set(finite))
        row = {"step": int(step), "kind": kind, "at": time.time(), "numbers": finite}
        if finite:
            with self._buffer:
                self._rows.append(row)

    def forget_metrics_after(self, step: int) -> None:
        self.flush()
        try:
            store = self.workspace.store
            removed = store.metrics.delete_after(self.job.id, self.job.attempt, step)
        except StaleAttempt as error:
            self._on_stale(error)
            return
        if removed:
            self.note(f"Rows beyond step {step} are discarded; the run continues from there.")

    def flush(self) -> None:
        with self._writing:
            try:
                self._write_rows()
                self._write_progress()
            except StaleAttempt as error:
                self._on_stale(error)

    @property
    def cancelled(self) -> bool:
        return self._cancel.is_set()

    def check_cancelled(self) -> None:
        if self.cancelled:
            raise JobCancelled("The job was stopped.")

    def note(self, message: str) -> None:
        self.workspace.store.jobs.note(self.job.id, self.job.attempt, "note", message)

    def _beat(self) -> None:
        while not self._ended.wait(TICK_SECONDS):
            try:
                self.flush()
                self._look_for_cancel()
            except SQLAlchemyError as error:
                # The rows are kept and written at the next beat; the last write, in close(), is
                # the one that fails the job.
                print(f"The record could not be written: {error}", file=sys.stderr, flush=True)

    def _write_rows(self) -> None:
        with self._buffer:
            rows, self._rows = self._rows, []
        try:
            self.workspace.store.metrics.append(self.job.id, self.job.attempt, rows)
        except SQLAlchemyError:
            with self._buffer:
                self._rows = rows + self._rows
            raise

    def _write_progress(self) -> None:
        with self._buffer:
            changed = self._progress.changed
            snapshot = self._progress.snapshot() if changed else None
        if changed or time.monotonic() - self._beaten_at >= HEARTBEAT_SECONDS:
            self.workspace.store.jobs.report(self.job.id, self.job.attempt, progress=snapshot)
            self._beaten_at = time.monotonic()

    def _look_for_cancel(self) -> None:
        job = self.workspace.store.jobs.get(self.job.id)
        if job is None or job.attempt != self.job.attempt:
            self._on_stale(StaleAttempt(f"job {self.job.id} has continued without it"))
        elif job.cancel_requested_at is not None:
            self._cancel.set()

    def _note_not_finite(self, step: int, names: set[str]) -> None:
        for name in sorted(names - self._not_finite):
            self._not_finite.add(name)
            self.note(f"At step {step} '{name}' was not a finite number; it is left out.")


# What a task's function is given: its place in the workspace and its line to the record.


class JobContext(Protocol):
    """Handed to ``run(recipe, context)`` in a worker process; also easy to fake in a test."""

    workspace: Workspace
    job: Job
    #: jobs/<id>/ ; the task may write there. recipe.json, log.txt, exit.json are not its own.
    folder: Path

    @property
    def resuming(self) -> bool:
        """True when an earlier attempt of this job may have left files to go on from."""
        ...

    def progress(
        self, done: float, total: float | None = None, unit: str = "", message: str = ""
    ) -> None:
        """Where the work stands. Cheap: call it as often as you like. Rate and time left follow."""
        ...

    def metrics(self, step: int, kind: str, values: Mapping[str, float]) -> None:
        """One row of numbers; kind is 'train', 'dev', 'baseline' or 'system'. Written in batches.

        Values that are not finite are kept out of the row and noted as an event.
        """
        ...

    def forget_metrics_after(self, step: int) -> None:
        """Remove rows beyond a step, before a resumed run reports those steps anew."""
        ...

    def flush(self) -> None:
        """Write buffered rows now."""
        ...

    @property
    def cancelled(self) -> bool:
        """True once the person asked to stop. Cheap: a background thread keeps it up to date."""
        ...

    def check_cancelled(self) -> None:
        """Raise :class:`workbench.errors.JobCancelled` if the person asked to stop."""
        ...

    def note(self, message: str) -> None:
        """A remark in the job's history, shown on its page."""
        ...
