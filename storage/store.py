"""The store: one database, one sub-store per kind of record."""

from dataclasses import dataclass
from pathlib import Path

from storage.datasets import DatasetRows
from storage.engine import Database, default_url
from storage.jobs import JobRows
from storage.metrics import MetricRows
from storage.migrate import Alive, ensure_current
from storage.queue import JobQueue
from storage.rows import EvaluationRows, IndexRows, ModelRows, PickRows, holds, state_of


@dataclass(frozen=True, slots=True)
class Store:
    """Safe to share between threads; every process opens its own."""

    database: Database
    datasets: DatasetRows
    models: ModelRows
    jobs: JobRows
    queue: JobQueue
    metrics: MetricRows
    evaluations: EvaluationRows
    indexes: IndexRows
    picks: PickRows

    def holds(self, path: str) -> bool:
        """Whether a record names this file or folder of the home, or something in it."""
        return holds(self.database, path)

    def state(self) -> str:
        """A short text that differs once anything did that a page lists; a few milliseconds."""
        return state_of(self.database)

    def close(self) -> None:
        self.database.close()


def open_store(home: Path, url: str | None = None, *, alive: Alive = lambda *_: False) -> Store:
    """Open the database of a home folder, creating or migrating it where needed.

    ``url`` is any SQLAlchemy URL instead of SQLite in the home; ``alive`` says whether a recorded
    process still lives. Raises :class:`storage.errors.NewerStore` and ``WorkersAlive``.
    """
    database = Database(url or default_url(home))
    try:
        ensure_current(database, home, alive)
    except BaseException:
        database.close()
        raise
    return Store(
        database,
        DatasetRows(database),
        ModelRows(database),
        JobRows(database),
        JobQueue(database),
        MetricRows(database),
        EvaluationRows(database),
        IndexRows(database),
        PickRows(database),
    )
