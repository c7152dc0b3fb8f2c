"""What moves a job from one status to the next. Each move is one short transaction that checks the
status it starts from, so that two supervisors on one home can both try and only one succeeds."""

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import IntegrityError

from storage.engine import Database
from storage.jobs import add_event, from_row
from storage.records import Job, JobStatus
from storage.tables import jobs

#: Which slots a job may take, best first; "a,b" takes both a and b.
SlotsFor = Callable[[Job], Sequence[str]]

_QUEUED = JobStatus.QUEUED.value
_RUNNING = JobStatus.RUNNING.value
_FRESH: dict[str, Any] = {
    "cancel_requested_at": None,
    "heartbeat_at": None,
    "result": None,
    "error": None,
    "finished_at": None,
    "bytes": None,
    "handle": None,
    "supervisor": None,
}


class JobQueue:
    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(
        self,
        slots_for: SlotsFor,
        supervisor: str,
        only: Collection[str] | None = None,
        handle: str | None = None,
    ) -> Job | None:
        """Take the oldest queued job that has a free slot and waits for no other, or None.

        The job becomes 'running', in its slot, with its attempt raised by one. ``only``: take no
        other jobs than these. ``handle``: what is known of where it will run, before it is started.
        """
        if not self._any_queued():  # most polls end here, without asking for the write lock
            return None
        try:
            with self._database.write() as connection:
                started = {"supervisor": supervisor, "handle": handle}
                return self._claim(connection, slots_for, only, started)
        except IntegrityError:
            # The index on running slots refused: on databases other than SQLite another
            # supervisor can take the slot between our look and our update.
            return None

    def _claim(
        self,
        connection: Connection,
        slots_for: SlotsFor,
        only: Collection[str] | None,
        started: dict[str, str | None],
    ) -> Job | None:
        running = connection.execute(select(jobs.c.slot).filter_by(status=_RUNNING)).scalars()
        taken = {part for slot in running if slot for part in slot.split(",")}
        for job in _ready(connection):
            slots = slots_for(job)
            free = [slot for slot in slots if taken.isdisjoint(slot.split(","))]
            if free and (only is None or job.id in only):
                return _start(connection, job, {**started, "slot": free[0]})
            if not free and slots and "," in slots[0]:
                # What it needs is kept for it, else younger jobs on one device each would always
                # find one free, and it never all of them.
                taken.update(slots[0].split(","))
        return None

    def _any_queued(self) -> bool:
        with self._database.read() as connection:
            query = select(jobs.c.id).filter_by(status=_QUEUED).limit(1)
            return connection.execute(query).first() is not None

    def cancel_orphans(self) -> list[str]:
        """Cancel queued jobs whose predecessor failed, was cancelled or is gone; their ids.

        Those that wait for a cancelled one go with it, to the end of the chain.
        """
        cancelled: list[str] = []
        while found := self._cancel_first_orphans():
            cancelled += found
        return cancelled

    def _cancel_first_orphans(self) -> list[str]:
        before = jobs.alias("before")
        query = (
            select(jobs.c.id, jobs.c.attempt, jobs.c.after, before.c.status)
            .outerjoin(before, before.c.id == jobs.c.after)
            .where(jobs.c.status == _QUEUED, jobs.c.after.is_not(None))
            .where(before.c.id.is_(None) | before.c.status.in_(["failed", "cancelled"]))
        )
        with self._database.read() as connection:
            if connection.execute(query).first() is None:
                return []
        with self._database.write() as connection:
            rows = connection.execute(query).all()
            for row in rows:
                why = f"it waited for job {row.after}, which {_became(row.status)}"
                _cancel_queued(connection, row.id, row.attempt, why)
        return [row.id for row in rows]

    def set_handle(self, id: str, attempt: int, handle: str) -> None:
        """Record where the attempt runs."""
        change = update(jobs).filter_by(id=id, attempt=attempt, status=_RUNNING)
        with self._database.write() as connection:
            connection.execute(change.values(handle=handle))

    def adopt(self, job: Job, supervisor: str) -> bool:
        """Take over a running job from the supervisor it is recorded with; False if others did."""
        change = update(jobs).filter_by(
            id=job.id, attempt=job.attempt, status=_RUNNING, supervisor=job.supervisor
        )
        with self._database.write() as connection:
            done = connection.execute(change.values(supervisor=supervisor))
            if done.rowcount:
                add_event(connection, job.id, job.attempt, "adopted")
        return done.rowcount > 0

    def release(self, id: str, attempt: int, supervisor: str) -> None:
        """Let go of a running job, so that another supervisor may adopt it."""
        change = update(jobs).filter_by(
            id=id, attempt=attempt, status=_RUNNING, supervisor=supervisor
        )
        with self._database.write() as connection:
            connection.execute(change.values(supervisor=None))

    def finish(
        self,
        job: Job,
        status: JobStatus,
        *,
        result: dict[str, Any] | None = None,
        error: dict[str, Any] | None = None,
        bytes: int | None = None,
    ) -> bool:
        """Write a running job's outcome, and what its folder takes on disk; False if it no longer
        runs at that attempt."""
        now = time.time()
        change = update(jobs).filter_by(id=job.id, attempt=job.attempt, status=_RUNNING)
        values: dict[str, Any] = {"status": status.value, "finished_at": now, "changed_at": now}
        with self._database.write() as connection:
            values |= {"result": result, "error": error, "bytes": bytes}
            done = connection.execute(change.values(**values))
            if done.rowcount:
                detail = str(error.get("message", "")) if error else ""
                add_event(connection, job.id, job.attempt, status.value, detail)
        return done.rowcount > 0

    def request_cancel(self, id: str) -> None:
        """Cancel a job that waits at once; raise the flag of one that runs."""
        with self._database.write() as connection:
            query = select(jobs.c.status, jobs.c.attempt, jobs.c.cancel_requested_at)
            row = connection.execute(query.filter_by(id=id).with_for_update()).first()
            if row is None:
                return
            if row.status in (_QUEUED, JobStatus.INTERRUPTED.value):
                _cancel_queued(connection, id, row.attempt, "")
            elif row.status == _RUNNING and row.cancel_requested_at is None:
                flag = update(jobs).filter_by(id=id).values(cancel_requested_at=time.time())
                connection.execute(flag)
                add_event(connection, id, row.attempt, "cancel-requested")

    def requeue(self, id: str) -> bool:
        """Put a job that ended without success back into the queue; False if it cannot be."""
        resumable = [status.value for status in JobStatus if status.resumable]
        change = update(jobs).filter_by(id=id).where(jobs.c.status.in_(resumable))
        values = {**_FRESH, "status": _QUEUED, "slot": None, "changed_at": time.time()}
        with self._database.write() as connection:
            done = connection.execute(change.values(**values))
            if done.rowcount:
                attempt = connection.execute(select(jobs.c.attempt).filter_by(id=id)).scalar_one()
                add_event(connection, id, attempt, "resumed")
        return done.rowcount > 0


def _ready(connection: Connection) -> list[Job]:
    before = jobs.alias("before")
    query = (
        select(jobs)
        .outerjoin(before, before.c.id == jobs.c.after)
        .where(jobs.c.status == _QUEUED)
        .where(jobs.c.after.is_(None) | (before.c.status == JobStatus.SUCCEEDED.value))
        .order_by(jobs.c.created_at, jobs.c.id)
    )
    return [from_row(row) for row in connection.execute(query).mappings()]


def _start(connection: Connection, job: Job, started: dict[str, str | None]) -> Job | None:
    now = time.time()
    change = update(jobs).filter_by(id=job.id, status=_QUEUED, attempt=job.attempt)
    values = {**_FRESH, **started, "status": _RUNNING, "attempt": job.attempt + 1}
    values |= {"progress": {}, "started_at": now, "changed_at": now}
    if not connection.execute(change.values(**values)).rowcount:
        return None
    add_event(connection, job.id, job.attempt + 1, "started", started["slot"] or "")
    row = connection.execute(select(jobs).filter_by(id=job.id)).mappings().one()
    return from_row(row)


def _cancel_queued(connection: Connection, id: str, attempt: int, why: str) -> None:
    now = time.time()
    values = {"status": JobStatus.CANCELLED.value, "finished_at": now, "changed_at": now}
    change = update(jobs).filter_by(id=id).where(jobs.c.status != _RUNNING)
    if connection.execute(change.values(**values)).rowcount:
        add_event(connection, id, attempt, "cancelled", why)


def _became(status: str | None) -> str:
    return {None: "is gone", "cancelled": "was cancelled"}.get(status, "failed")
