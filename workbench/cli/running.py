"""Submit a job from the command line and see it through."""

from typing import Any

from storage.records import Job, JobStatus
from workbench.cli.output import ProgressLine, say
from workbench.errors import WorkbenchError
from workbench.jobs.suggested import suggestions
from workbench.recipes.base import Recipe
from workbench.workspace import Workspace


class JobFailed(WorkbenchError):
    """The job ended without success; ``bad_input`` follows what the job itself said."""

    code = "job-failed"

    def __init__(self, job: Job) -> None:
        error = job.error or {}
        default = f"The job '{job.name}' ended as {job.status.value}."
        hint = "\n".join([str(error.get("hint", "")), *_suggested(job)]).strip()
        super().__init__(error.get("message") or default, hint, job=job.id)
        self.job = job
        self.reported = error
        self.is_bad_input = bool(error.get("bad_input"))

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), **self.reported, "job": self.job.id}


def _suggested(job: Job) -> list[str]:
    """How to start it again with settings that would fit."""
    found = [f"  {at}. {one['sentence']}" for at, one in enumerate(suggestions(job), start=1)]
    if found and job.task.startswith("train"):
        found.append(f"Start with one: python -m workbench train --clone {job.id} --fitting 1")
    return found


def run_job(workspace: Workspace, recipe: Recipe) -> Job:
    """Submit, supervise from here, and return the finished job; raises :class:`JobFailed`."""
    return follow(workspace, workspace.jobs.submit(recipe))


def follow(workspace: Workspace, job: Job) -> Job:
    """Supervise a job that is queued or running until it has ended."""
    # The supervisor pulls in psutil and threads; commands that only read do without.
    from workbench.jobs.supervisor import Supervisor

    line = ProgressLine()
    try:
        ended = Supervisor(workspace).run_until(job.id, line)
    except KeyboardInterrupt:
        line.end()
        say(f"'{job.name}' goes on without this terminal. Its id is {job.id}:")
        say(f"  python -m workbench jobs show {job.id}     see how it stands")
        say(f"  python -m workbench jobs cancel {job.id}   stop it")
        raise
    line.end()
    if ended.status is not JobStatus.SUCCEEDED:
        raise JobFailed(ended)
    return ended
