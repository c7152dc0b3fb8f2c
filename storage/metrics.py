"""The numbers that runs report."""

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import delete, func, insert, select

from storage.engine import Database
from storage.jobs import require_attempt
from storage.records import MetricRow
from storage.tables import metrics


class MetricRows:
    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, job_id: str, attempt: int, rows: Iterable[dict[str, Any]]) -> None:
        """Add rows ``{"step", "kind", "at", "numbers"}`` in one transaction.

        Raises :class:`storage.errors.StaleAttempt` when the job has gone on to a later attempt.
        """
        values = [{"job_id": job_id, "attempt": attempt, **row} for row in rows]
        if not values:
            return
        with self._database.write() as connection:
            require_attempt(connection, job_id, attempt)
            connection.execute(insert(metrics), values)

    def after(self, job_id: str, after: int = 0, limit: int | None = None) -> list[MetricRow]:
        """Rows whose id is greater than ``after``, in the order in which they came."""
        query = select(metrics).filter_by(job_id=job_id).where(metrics.c.id > after)
        query = query.order_by(metrics.c.id).limit(limit)
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(query).mappings()]

    def of_kinds(self, kinds: Collection[str]) -> list[MetricRow]:
        """Rows of these kinds, of all jobs, in the order in which they came."""
        query = select(metrics).where(metrics.c.kind.in_(kinds)).order_by(metrics.c.id)
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(query).mappings()]

    def count(self, job_id: str) -> int:
        query = select(func.count()).select_from(metrics).filter_by(job_id=job_id)
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def delete_after(self, job_id: str, attempt: int, step: int) -> int:
        """Remove the rows beyond a step; how many there were. Raises ``StaleAttempt``."""
        query = delete(metrics).filter_by(job_id=job_id).where(metrics.c.step > step)
        with self._database.write() as connection:
            require_attempt(connection, job_id, attempt)
            return connection.execute(query).rowcount


def _record(row: Any) -> MetricRow:
    values = dict(row)
    return MetricRow(values=values.pop("numbers"), **values)
