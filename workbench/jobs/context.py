"""What a task's function is given: its place in the workspace and its line to the record."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from storage.records import Job
from workbench.workspace import Workspace


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
