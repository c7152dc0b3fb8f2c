"""Entry of a job's process: ``python -m workbench.worker JOB ATTEMPT``, started by the runner.

It loads the task and the recipe, hands the task its line to the record, and leaves result.json or
error.json behind. It never writes the job's final status: its supervisor does.
"""

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from storage.records import Job, JobStatus
from workbench.endpoints import EndpointKeys
from workbench.errors import JobNotFound, WorkbenchError, WorkerCrashed
from workbench.jobs import files
from workbench.jobs.outcome import made
from workbench.jobs.reporting import EXIT_STALE, Reporter
from workbench.jobs.runner import out_of_memory
from workbench.tasks import get_task, read_recipe
from workbench.workspace import TRUST_VARIABLE, Workspace

# Workers beside the first of a job that several processes train together.
#
# torchrun starts them (Elastic launch, torch's documentation) and numbers them in ``RANK``. The
# first, of rank 0, is the job's worker: it alone reports, measures, saves, and hears that it shall
# stop. The others compute, and are told by it.

RANK = "RANK"
WATCH_SECONDS = 0.5
EXIT_ORPHANED = 5


def rank() -> int:
    """This worker's number among those of its job; 0 for the only one."""
    return int(os.environ.get(RANK, "0"))


class Follower:
    """The :class:`workbench.jobs.reporting.JobContext` of such a worker: it has nothing to say."""

    def __init__(self, workspace: Workspace, job: Job) -> None:
        self.workspace = workspace
        self.job = job
        self.folder: Path = workspace.jobs.folder(job.id)

    @property
    def resuming(self) -> bool:
        return self.job.attempt > 1

    #: The first worker asks, and tells the others.
    cancelled = False

    def check_cancelled(self) -> None:
        """Never raises: the first worker decides for all."""

    def progress(
        self, done: float, total: float | None = None, unit: str = "", message: str = ""
    ) -> None:
        """The first worker's says it all."""

    def metrics(self, step: int, kind: str, values: Mapping[str, float]) -> None:
        """The first worker's are the job's."""

    def forget_metrics_after(self, step: int) -> None:
        """The first worker does."""

    def flush(self) -> None:
        """There is nothing to write."""

    def note(self, message: str) -> None:
        """The first worker's are the job's."""


def leave_with_parent() -> None:
    """End this process when the one that started it is gone.

    torchrun gives each worker a session of its own: what kills torchrun does not reach it.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
        os._exit(EXIT_ORPHANED)

    threading.Thread(target=watch, daemon=True, name="watch-parent").start()


EXIT_FAILED = 1


def main(arguments: list[str]) -> int:
    job_id, attempt = arguments[0], int(arguments[1])
    _offer_to_the_out_of_memory_killer()
    if RANK in os.environ:
        leave_with_parent()
    folder = Path.cwd()
    return _guarded(folder, attempt, lambda: _work(job_id, attempt))


def _work(job_id: str, attempt: int) -> dict[str, Any] | None:
    """The task's result, or None when this attempt is no longer wanted."""
    workspace = Workspace.open(
        trust_remote_code=os.environ.get(TRUST_VARIABLE) == "1",
        endpoint_keys=EndpointKeys.of_environment(),
    )
    job = workspace.jobs.get(job_id)
    if not _wanted(job, attempt):
        return None
    # All processes of a job look: none of them must wait for one that has nothing to do.
    if (done := made(workspace.store, workspace.jobs.folder(job.id))) is not None:
        return done
    job = workspace.jobs.bound(job)
    if not _wanted(job, attempt):  # It was read again, because it changed meanwhile.
        return None
    if rank():
        return get_task(job.task).load_run()(
            read_recipe(job.task, job.recipe), Follower(workspace, job)
        )
    return _run(Reporter(workspace, job), job)


def _wanted(job: Job, attempt: int) -> bool:
    return job.attempt == attempt and job.status is JobStatus.RUNNING


def _run(reporter: Reporter, job: Job) -> dict[str, Any]:
    reporter.start()
    try:
        run = get_task(job.task).load_run()
        return run(read_recipe(job.task, job.recipe), reporter)
    finally:
        reporter.close()


def _guarded(folder: Path, attempt: int, work: Callable[[], dict[str, Any] | None]) -> int:
    try:
        result = work()
        if result is None:
            return EXIT_STALE
        if not rank():
            files.write_json(folder / files.RESULT, {"attempt": attempt, "result": result})
        return 0
    except JobNotFound:
        return EXIT_STALE
    except WorkbenchError as error:
        # A model that cannot be loaded, say, for want of memory.
        said = out_of_memory(error) or error
        print(said, file=sys.stderr)
        report = said.to_dict()
    except BaseException as error:  # noqa: BLE001 - the last stop: whatever it is goes on record
        traceback.print_exc()
        report = _explain(error).to_dict()
    # A worker that the first one's end took along must not write over what that one said.
    if not rank() or files.read_json(folder / files.ERROR, attempt) is None:
        files.write_json(folder / files.ERROR, {"attempt": attempt, "error": report})
    return EXIT_FAILED


def _explain(error: BaseException) -> WorkbenchError:
    if (known := out_of_memory(error)) is not None:
        return known
    first_line = str(error).strip().split("\n")[0]
    return WorkerCrashed(
        f"The job stopped with an unexpected error: {type(error).__name__}: {first_line}",
        "The job's log has the details.",
    )


def _offer_to_the_out_of_memory_killer() -> None:
    """When memory runs out, Linux should end this process, not the app or somebody's browser."""
    setting = Path("/proc/self/oom_score_adj")
    if not setting.exists():
        return
    try:
        setting.write_text("500", encoding="ascii")
    except OSError as error:
        print(f"oom_score_adj stays as it is: {error.strerror}", file=sys.stderr)


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: the result is on disk, and libraries have been seen to hang or crash while the
    # interpreter takes itself down.
    os._exit(status)
