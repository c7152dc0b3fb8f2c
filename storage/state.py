"""One short text that stands for everything a page lists: it differs once any of it did."""

import hashlib

import orjson
from sqlalchemy import func, select

from storage.engine import Database
from storage.records import JobStatus
from storage.tables import dataset_versions, datasets, evaluations, indexes, jobs, models

_ACTIVE = [status.value for status in JobStatus if not status.finished]
_RUNNING = select(jobs.c.id, jobs.c.cancel_requested_at, jobs.c.progress)
_READ = (
    select(func.count(), func.max(jobs.c.changed_at)).select_from(jobs),
    _RUNNING.where(jobs.c.status.in_(_ACTIVE)).order_by(jobs.c.id),
    select(datasets.c.id, datasets.c.name, datasets.c.version).order_by(datasets.c.id),
    select(func.count()).select_from(dataset_versions),
    select(models.c.id, models.c.name, models.c.summary, models.c.contract).order_by(models.c.id),
    select(indexes.c.id, indexes.c.name, indexes.c.summary).order_by(indexes.c.id),
    select(func.count()).select_from(evaluations),
)


def state_of(database: Database) -> str:
    """16 hexadecimal digits over jobs and how far they are, data sets, models, indexes and
    evaluations. A few milliseconds: cheap enough to be asked by every open page again and again."""
    found = hashlib.blake2b(digest_size=8)
    with database.read() as connection:
        for query in _READ:
            rows = [tuple(row) for row in connection.execute(query)]
            found.update(orjson.dumps(rows, default=str))
    return found.hexdigest()
