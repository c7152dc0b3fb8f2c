"""Workers beside the first of a job that several processes train together.

torchrun starts them (Elastic launch, torch's documentation) and numbers them in ``RANK``. The
first, of rank 0, is the job's worker: it alone reports, measures, saves, and hears that it shall
stop. The others compute, and are told by it.
"""

import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from storage.records import Job
from workbench.workspace import Workspace

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
