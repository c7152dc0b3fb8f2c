"""Entry of a job's process: ``python -m workbench.worker JOB ATTEMPT``, started by the runner.

It loads the task and the recipe, hands the task its line to the record, and leaves result.json or
error.json behind. It never writes the job's final status: its supervisor does.
"""

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from storage.records import Job, JobStatus
from workbench.endpoint_keys import EndpointKeys
from workbench.errors import JobNotFound, WorkbenchError, WorkerCrashed
from workbench.jobs import files, follower
from workbench.jobs.reporting import EXIT_STALE, Reporter
from workbench.jobs.runner import out_of_memory
from workbench.tasks import get_task, read_recipe
from workbench.workspace import TRUST_VARIABLE, Workspace

EXIT_FAILED = 1


def main(arguments: list[str]) -> int:
    job_id, attempt = arguments[0], int(arguments[1])
    _offer_to_the_out_of_memory_killer()
    if follower.RANK in os.environ:
        follower.leave_with_parent()
    folder = Path.cwd()
    return _guarded(folder, attempt, lambda: _work(job_id, attempt))


def _work(job_id: str, attempt: int) -> dict[str, Any] | None:
    """The task's result, or None when this attempt is no longer wanted."""
    workspace = Workspace.open(
        trust_remote_code=os.environ.get(TRUST_VARIABLE) == "1",
        endpoint_keys=EndpointKeys.of_environment(),
    )
    job = workspace.jobs.get(job_id)
    if job.attempt != attempt or job.status is not JobStatus.RUNNING:
        return None
    if follower.rank():
        return get_task(job.task).load_run()(
            read_recipe(job.task, job.recipe), follower.Follower(workspace, job)
        )
    return _run(Reporter(workspace, job), job)


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
        if not follower.rank():
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
    if not follower.rank() or files.read_json(folder / files.ERROR, attempt) is None:
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
