"""Jobs and their history on record. What moves a job along is in ``storage.queue``."""

import json
import time
from collections.abc import Collection
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select, update

from storage.engine import Database
from storage.errors import StaleAttempt
from storage.records import Job, JobEvent, JobStatus, SlotKind
from storage.tables import job_events, jobs

JobList = list[Job]
EventList = list[JobEvent]
_PLAIN = [f.name for f in fields(Job) if f.name not in ("status", "slot_kind")]


class JobRows:
    """Jobs as records: insert, find, list, delete; what a worker reports; events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert(self, job: Job) -> Job:
        with self._database.write() as connection:
            connection.execute(insert(jobs).values(changed_at=job.created_at, **to_row(job)))
            add_event(connection, job.id, job.attempt, "submitted", job.name)
        return job

    def get(self, id: str) -> Job | None:
        found = self._jobs(select(jobs).filter_by(id=id))
        return found[0] if found else None

    def by_prefix(self, prefix: str) -> JobList:
        """Jobs whose id begins so; for the short ids that people type."""
        return self._jobs(select(jobs).where(jobs.c.id.startswith(prefix, autoescape=True)))

    def list(
        self,
        status: JobStatus | Collection[JobStatus] | None = None,
        task: str | None = None,
        limit: int | None = None,
    ) -> JobList:
        """Jobs, newest first."""
        query = select(jobs).order_by(jobs.c.created_at.desc(), jobs.c.id).limit(limit)
        if status is not None:
            wanted = [status] if isinstance(status, JobStatus) else status
            query = query.where(jobs.c.status.in_([one.value for one in wanted]))
        if task is not None:
            query = query.filter_by(task=task)
        return self._jobs(query)

    def rewrite(self, job: Job, read: Job) -> bool:
        """Keep another recipe and result of a job: a thing that they name has a new name, or the
        recipe's references have been found. False where the job has begun, ended or been rewritten
        since it was ``read``; then nothing is kept."""
        values = {"recipe": job.recipe, "references": job.references, "result": job.result}
        with self._database.write() as connection:
            found = connection.execute(select(jobs).filter_by(id=job.id).with_for_update())
            row = found.mappings().first()
            if row is None or _state(from_row(row)) != _state(read):
                return False
            connection.execute(update(jobs).filter_by(id=job.id).values(**values))
        return True

    def set_bytes(self, job: Job, bytes: int) -> None:
        """Keep what an ended job's folder takes, unless another attempt has begun since."""
        change = update(jobs).filter_by(id=job.id, attempt=job.attempt, status=job.status.value)
        with self._database.write() as connection:
            connection.execute(change.values(bytes=bytes))

    def changed_since(self, since: float) -> JobList:
        """Jobs whose status changed after that time, oldest change first."""
        query = select(jobs).where(jobs.c.changed_at > since)
        return self._jobs(query.order_by(jobs.c.changed_at))

    def waiting_for(self, id: str) -> JobList:
        """Queued jobs that wait for this one."""
        return self._jobs(select(jobs).filter_by(after=id, status=JobStatus.QUEUED.value))

    def delete(self, id: str) -> bool:
        """Remove a job with its events and metric rows, unless it runs; False when it stays."""
        query = delete(jobs).filter_by(id=id).where(jobs.c.status != JobStatus.RUNNING.value)
        with self._database.write() as connection:
            return connection.execute(query).rowcount > 0

    def report(self, id: str, attempt: int, *, progress: dict[str, Any] | None = None) -> None:
        """A sign of life from the attempt's worker. Raises :class:`StaleAttempt`."""
        values: dict[str, Any] = {"heartbeat_at": time.time()}
        if progress is not None:
            values["progress"] = progress
        with self._database.write() as connection:
            require_attempt(connection, id, attempt)
            connection.execute(update(jobs).filter_by(id=id).values(**values))

    def note(self, id: str, attempt: int, kind: str, detail: str) -> None:
        """Add an event."""
        with self._database.write() as connection:
            add_event(connection, id, attempt, kind, detail)

    def events(self, id: str) -> EventList:
        """A job's history, oldest first."""
        query = select(job_events).filter_by(job_id=id).order_by(job_events.c.id)
        with self._database.read() as connection:
            return [JobEvent(**row) for row in connection.execute(query).mappings()]

    def _jobs(self, query: Select[Any]) -> JobList:
        with self._database.read() as connection:
            return [from_row(row) for row in connection.execute(query).mappings()]


def require_attempt(connection: Connection, id: str, attempt: int) -> None:
    """Raise :class:`StaleAttempt` unless the job runs and is at this attempt."""
    query = select(jobs.c.attempt, jobs.c.status).filter_by(id=id).with_for_update()
    row = connection.execute(query).first()
    if row is None or row.attempt != attempt or row.status != JobStatus.RUNNING.value:
        raise StaleAttempt(f"job {id} is no longer at attempt {attempt}")


def add_event(connection: Connection, id: str, attempt: int, kind: str, detail: str = "") -> None:
    """Add an event within a transaction."""
    row = {"job_id": id, "attempt": attempt, "at": time.time(), "kind": kind, "detail": detail}
    connection.execute(insert(job_events).values(**row))


def _state(job: Job) -> str:
    """What says whether a job is as it was read. As text, because a NaN equals nothing."""
    about = [job.attempt, job.status.value, job.recipe, job.references, job.result]
    return json.dumps(about, sort_keys=True)


def to_row(job: Job) -> dict[str, Any]:
    """A job as columns."""
    values = asdict(job)
    row = {name: values[name] for name in _PLAIN}
    return row | {"status": job.status.value, "slot_kind": job.slot_kind.value}


def from_row(row: Any) -> Job:
    """Columns as a job."""
    values: dict[str, Any] = {name: row[name] for name in _PLAIN}
    values["status"] = JobStatus(row["status"])
    values["slot_kind"] = SlotKind(row["slot_kind"])
    return Job(**values)
