"""Reading what an attempt left behind, and writing its outcome. Supervisors only."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from storage.records import Job, ProcessRef
from workbench.jobs import files
from workbench.jobs.processes import alive
from workbench.jobs.status import Remains, decide

if TYPE_CHECKING:
    from workbench.workspace import Workspace

#: A runner that was just started has not yet written down who it is.
STARTING_SECONDS = 15.0
_LOG_BYTES = 4_000


def processes(folder: Path, job: Job) -> list[ProcessRef]:
    """The job's runner and worker, from the record and from the runner's own note."""
    known = {ref for ref in (job.runner, job.worker) if ref is not None}
    noted = files.read_json(folder / files.PROCESSES, job.attempt) or {}
    for name in ("runner", "worker"):
        if noted.get(name):
            known.add(ProcessRef(**noted[name]))
    return list(known)


def settle(workspace: "Workspace", job: Job) -> None:
    """Write the outcome of an attempt whose processes are gone."""
    folder = workspace.jobs.folder(job.id)
    current = workspace.store.jobs.get(job.id) or job
    outcome = decide(
        _remains(folder, job.attempt), cancel_requested=current.cancel_requested_at is not None
    )
    workspace.store.queue.finish(job, outcome.status, result=outcome.result, error=outcome.error)


def settle_if_dead(workspace: "Workspace", job: Job) -> bool:
    """Settle a job nobody supervises, unless one of its processes lives or may be starting."""
    folder = workspace.jobs.folder(job.id)
    known = processes(folder, job)
    if any(alive(ref) for ref in known):
        return False
    if not known and time.time() - (job.started_at or 0.0) < STARTING_SECONDS:
        return False
    settle(workspace, job)
    return True


def _remains(folder: Path, attempt: int) -> Remains:
    result = files.read_json(folder / files.RESULT, attempt)
    error = files.read_json(folder / files.ERROR, attempt)
    return Remains(
        result=result and result["result"],
        error=error and error["error"],
        exit=files.read_json(folder / files.EXIT, attempt),
        log_tail=files.tail(folder / files.LOG, _LOG_BYTES),
    )
