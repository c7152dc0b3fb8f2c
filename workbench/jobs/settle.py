"""Reading what an attempt left behind, and writing its outcome. Supervisors only."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.records import Job, ProcessRef
from storage.store import Store
from workbench.jobs import files
from workbench.jobs.processes import alive
from workbench.jobs.status import Remains, about_memory, decide
from workbench.tasks import Tasks

#: A runner that was just started has not yet written down who it is.
STARTING_SECONDS = 15.0
_LOG_BYTES = 4_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Processes:
    """Who works on an attempt, as far as is known."""

    runner: ProcessRef | None
    worker: ProcessRef | None

    @property
    def known(self) -> bool:
        return self.runner is not None or self.worker is not None

    @property
    def alive(self) -> bool:
        return alive(self.runner) or alive(self.worker)


def processes(folder: Path, job: Job) -> Processes:
    """From the record, else from the runner's own note: an app may have died in between."""
    if job.runner is not None and job.worker is not None:
        return Processes(job.runner, job.worker)
    noted = files.read_json(folder / files.PROCESSES, job.attempt) or {}
    return Processes(
        job.runner or _ref(noted.get("runner")), job.worker or _ref(noted.get("worker"))
    )


def starting(job: Job) -> bool:
    """Was it claimed so recently that its runner may not have written down who it is?"""
    return time.time() - (job.started_at or 0.0) < STARTING_SECONDS


def settle(store: Store, tasks: Tasks, folder: Path, job: Job) -> None:
    """Write the outcome of an attempt whose processes are gone. ``folder``: the job's own."""
    current = store.jobs.get(job.id) or job
    outcome = decide(
        _remains(folder, job.attempt), cancel_requested=current.cancel_requested_at is not None
    )
    error = outcome.error
    if error is not None and about_memory(error):
        error = {**error, "suggestions": _suggestions(tasks, job)}
    store.queue.finish(
        job, outcome.status, result=outcome.result, error=error, bytes=files.folder_bytes(folder)
    )


def _suggestions(tasks: Tasks, job: Job) -> list[dict[str, Any]]:
    """Settings that would fit; computed when the job's memory is free again."""
    try:
        return tasks.advice(job)
    except Exception:
        # The job must be settled whatever happens here; suggestions come on top.
        logger.exception("No settings can be suggested for job %s", job.id)
        return []


def settle_if_dead(store: Store, tasks: Tasks, folder: Path, job: Job) -> bool:
    """Settle a job nobody supervises, unless one of its processes lives or may be starting."""
    found = processes(folder, job)
    if found.alive or (not found.known and starting(job)):
        return False
    settle(store, tasks, folder, job)
    return True


def _remains(folder: Path, attempt: int) -> Remains:
    result = files.read_json(folder / files.RESULT, attempt)
    error = files.read_json(folder / files.ERROR, attempt)
    return Remains(
        result=result and result["result"],
        error=error and error["error"],
        exit=files.read_json(folder / files.EXIT, attempt),
        log_tail=files.log_of_attempt(folder / files.LOG, _LOG_BYTES),
    )


def _ref(noted: dict[str, Any] | None) -> ProcessRef | None:
    return ProcessRef(**noted) if noted else None
