"""Watching over one running job: from its processes' start, or their adoption, to its outcome."""

import logging
import signal
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from storage.records import Job, ProcessRef
from workbench.jobs import files
from workbench.jobs.processes import signal_group
from workbench.jobs.settle import Processes, processes, settle, starting

if TYPE_CHECKING:
    from workbench.workspace import Workspace

POLL_SECONDS = 0.2
RETRY_SECONDS = 2.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a cancelled job may take, in seconds: to stop by itself, then after SIGTERM.

    One step of a large model on a CPU, and writing its checkpoint, takes the better part of a
    minute.
    """

    flag: float = 60.0
    terminate: float = 10.0


class Watch:
    """The thread of one job. It ends with the job, or when ``stop`` is set; then it lets go."""

    def __init__(
        self,
        workspace: "Workspace",
        job: Job,
        stop: threading.Event,
        patience: Patience,
    ) -> None:
        self.job = job
        self._workspace = workspace
        self._stop = stop
        self._patience = patience
        self._folder = workspace.jobs.folder(job.id)
        self._cancel_seen: float | None = None
        self._sent: set[signal.Signals] = set()

    def run(self) -> None:
        """Until the outcome is written; an unreachable database is waited for."""
        while not self._stop.is_set():
            try:
                if self._step():
                    return
                pause = POLL_SECONDS
            except SQLAlchemyError as error:
                logger.warning("Job %s: the record cannot be reached: %s", self.job.id, error)
                pause = RETRY_SECONDS
            self._stop.wait(pause)

    def _step(self) -> bool:
        job = self._workspace.store.jobs.get(self.job.id)
        if job is None or job.attempt != self.job.attempt or job.status.finished:
            return True  # somebody else settled it
        found = processes(self._folder, job)
        if self._over(job, found):
            jobs = self._workspace.jobs
            settle(self._workspace.store, jobs.tasks, self._folder, job)
            return True
        if job.cancel_requested_at is not None:
            self._press(found.worker)
        return False

    def _over(self, job: Job, found: Processes) -> bool:
        if files.read_json(self._folder / files.EXIT, job.attempt) is not None:
            return True
        return not found.alive and (found.known or not starting(job))

    def _press(self, worker: ProcessRef | None) -> None:
        """The flag came first; now terminate, then kill, as patience ends."""
        self._cancel_seen = self._cancel_seen or time.monotonic()
        waited = time.monotonic() - self._cancel_seen
        if waited > self._patience.flag:
            self._send(signal.SIGTERM, worker)
        if waited > self._patience.flag + self._patience.terminate:
            self._send(signal.SIGKILL, worker)

    def _send(self, number: signal.Signals, worker: ProcessRef | None) -> None:
        """To the worker's whole group, once. The runner stays, to say how it ended."""
        if number not in self._sent and signal_group(worker, number):
            self._sent.add(number)
            detail = f"{number.name} to the worker"
            self._workspace.store.jobs.note(self.job.id, self.job.attempt, "signal", detail)
