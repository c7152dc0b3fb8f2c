"""How a job ended: a pure decision from what its processes left behind."""

import logging
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.records import Job, JobStatus
from storage.store import Store
from workbench.errors import JobCancelled, OutOfMemory, WorkerCrashed
from workbench.jobs import files
from workbench.jobs.launchers import is_alive, open_handle
from workbench.named_records import sweep
from workbench.tasks import Tasks


@dataclass(frozen=True, slots=True)
class Remains:
    """What an attempt left in its folder."""

    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    #: exit.json: {"code": int | None, "signal": int | None, "stopped": bool, "at": seconds,
    #: "oom_kills": processes that the kernel killed for want of memory meanwhile, None: not known}
    exit: dict[str, Any] | None = None
    log_tail: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    status: JobStatus
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


def decide(remains: Remains, *, cancel_requested: bool) -> Outcome:
    """The final status of an attempt whose processes are all gone.

    A result counts even when the process stumbled on its way out, and even when nobody was left to
    write exit.json. Without a result, a requested cancel explains any ending.
    """
    if remains.result is not None:
        return Outcome(JobStatus.SUCCEEDED, result=remains.result)
    if cancel_requested:
        return Outcome(JobStatus.CANCELLED)
    if remains.error is not None:
        return _failed(remains.error, remains.log_tail)
    if remains.exit is None or remains.exit.get("stopped"):
        return Outcome(JobStatus.INTERRUPTED, error=_interruption(remains.exit))
    return _failed(_crash(remains.exit), remains.log_tail)


def _failed(error: dict[str, Any], log_tail: str) -> Outcome:
    if error.get("code") == JobCancelled.code:
        return Outcome(JobStatus.CANCELLED)
    kept = {**error, "log_tail": log_tail} if log_tail else error
    return Outcome(JobStatus.FAILED, error=kept)


def _interruption(exit: dict[str, Any] | None) -> dict[str, Any]:
    how = "was stopped from outside" if exit else "disappeared; the machine may have restarted"
    error = WorkerCrashed(
        f"The job's process {how}.", "Resume the job: it continues from its last checkpoint."
    )
    return {**error.to_dict(), "code": "interrupted"}


def _crash(exit: dict[str, Any]) -> dict[str, Any]:
    number = exit.get("signal")
    if number is None:
        if exit.get("oom_kills"):
            # Of several that train together, the one that starts them only passes on that one fell.
            message = "A process of the job was ended: the machine ran out of memory."
            return OutOfMemory(message, "Try a smaller batch size or fewer devices.").to_dict()
        how = f"ended with exit code {exit.get('code')} and no result"
        return WorkerCrashed(f"The job's process {how}.", "Its last lines are below.").to_dict()
    if number == signal.SIGKILL:
        return _killed(exit.get("oom_kills")).to_dict()
    name = _signal_name(number)
    error = WorkerCrashed(f"The job's process was ended by {name}.", _advice(number), signal=name)
    return error.to_dict()


def about_memory(error: dict[str, Any] | None) -> bool:
    """Whether a stored error is about too little memory, for certain or probably."""
    return ((error or {}).get("details") or {}).get("cause") == OutOfMemory.CAUSE


def _killed(oom_kills: int | None) -> WorkerCrashed:
    """SIGKILL names no sender; the kernel's count of kills for want of memory tells."""
    said = "The job's process was ended by SIGKILL"
    smaller = "try a smaller batch size or shorter maximum lengths, close other programs"
    if oom_kills == 0:
        return WorkerCrashed(
            f"{said}; the kernel reports no out-of-memory kill.",
            "Somebody or something ended it from outside; resume the job to go on.",
            signal="SIGKILL",
        )
    if oom_kills is None:
        message = f"{said}: probably the machine ran out of memory."
        return OutOfMemory(message, f"{smaller.capitalize()}, then resume.", signal="SIGKILL")
    message = f"{said}: the machine ran out of memory."
    return OutOfMemory(message, f"{smaller.capitalize()}.", signal="SIGKILL")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _advice(number: int) -> str:
    if number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGABRT, signal.SIGFPE):
        return "A library crashed; the last lines of the log say where. Precision fp32 may help."
    return "Somebody or something ended it from outside; resume the job to go on."


# Reading what an attempt left behind, and writing its outcome. Supervisors only.

_LOG_BYTES = 4_000

logger = logging.getLogger(__name__)


def settle(store: Store, tasks: Tasks, folder: Path, job: Job) -> None:
    """Write the outcome of an attempt whose processes are gone, and remove what it left half made.
    ``folder``: the job's own."""
    current = store.jobs.get(job.id) or job
    outcome = decide(
        _remains(store, folder, job), cancel_requested=current.cancel_requested_at is not None
    )
    error = outcome.error
    if error is not None and about_memory(error):
        error = {**error, "suggestions": _suggestions(tasks, job)}
    store.queue.finish(
        job, outcome.status, result=outcome.result, error=error, bytes=files.folder_bytes(folder)
    )
    sweep(store, folder.parents[1])


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
    if is_alive(job, folder):
        return False
    settle(store, tasks, folder, job)
    return True


def made(store: Store, folder: Path) -> dict[str, Any] | None:
    """The result of a job that was stopped, in whatever attempt, when what it made was on record
    already; None where nothing is. ``folder``: the job's own."""
    said = files.read_object(folder / files.MADE)
    if said is None or not store.holds(str(said.get("path"))):
        return None
    result: dict[str, Any] = said["result"]
    return result


def _remains(store: Store, folder: Path, job: Job) -> Remains:
    result = files.read_json(folder / files.RESULT, job.attempt)
    error = files.read_json(folder / files.ERROR, job.attempt)
    return Remains(
        result=result["result"] if result else made(store, folder),
        error=error and error["error"],
        exit=open_handle(job.handle, folder, job.attempt).exit(),
        log_tail=files.log_of_attempt(folder / files.LOG, _LOG_BYTES),
    )
