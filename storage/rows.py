"""What most sub-stores have in common: one table, one record type."""

import hashlib
from dataclasses import asdict
from typing import Any, Generic, TypeVar

import orjson
from sqlalchemy import Table, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from storage.engine import Database
from storage.errors import NameExists
from storage.records import Evaluation, Index, JobStatus, Model, Pick
from storage.tables import dataset_versions, datasets, evaluations, indexes, jobs, models, picks

R = TypeVar("R")


class Rows(Generic[R]):
    """Insert, find, list and delete records of one kind. Lists are newest first."""

    table: Table
    record: type[R]

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert(self, record: R) -> R:
        """Add a record. Raises :class:`NameExists` when its name is taken."""
        values = asdict(record)  # type: ignore[call-overload]
        try:
            with self._database.write() as connection:
                connection.execute(insert(self.table).values(**values))
        except IntegrityError as error:
            self._explain(values, error)
        return record

    def get(self, id: str) -> R | None:
        return self._one(id=id)

    def list(self, **filters: Any) -> "list[R]":
        """All records whose columns equal the given values."""
        query = select(self.table).filter_by(**filters)
        query = query.order_by(self.table.c.created_at.desc(), self.table.c.id)
        with self._database.read() as connection:
            return [self.record(**row) for row in connection.execute(query).mappings()]

    def delete(self, id: str) -> bool:
        """Remove a record; False when there was none."""
        with self._database.write() as connection:
            return connection.execute(delete(self.table).filter_by(id=id)).rowcount > 0

    def _one(self, **filters: Any) -> R | None:
        with self._database.read() as connection:
            row = connection.execute(select(self.table).filter_by(**filters)).mappings().first()
        return None if row is None else self.record(**row)

    def _explain(self, values: dict[str, Any], error: IntegrityError) -> None:
        name = values.get("name")
        if name is not None and self._one(name=name) is not None:
            raise NameExists(name) from error
        raise error


class NamedRows(Rows[R]):
    """Records with a unique name."""

    def by_name(self, name: str) -> R | None:
        return self._one(name=name)


# Evaluations on record.


class EvaluationRows(Rows[Evaluation]):
    table = evaluations
    record = Evaluation

    def for_job(self, job_id: str) -> list[Evaluation]:
        """What one job measured, newest first."""
        return self.list(job_id=job_id)


# Answers of blind tests on record.


class PickRows(Rows[Pick]):
    table = picks
    record = Pick

    def between(self, first: str, second: str) -> list[Pick]:
        """The answers about these two sides, newest first."""
        return self.list(first=first, second=second)


# Search indexes on record.


class IndexRows(NamedRows[Index]):
    table = indexes
    record = Index

    def update(self, index: Index) -> Index:
        """Replace everything but the id."""
        values = asdict(index)
        with self._database.write() as connection:
            connection.execute(update(indexes).filter_by(id=values.pop("id")).values(**values))
        return index


# One short text that stands for everything a page lists: it differs once any of it did.

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


#: Where records name files and folders of the home.
_PATHS = (models.c.path, indexes.c.path, evaluations.c.path, dataset_versions.c.manifest)


def holds(database: Database, path: str) -> bool:
    """Whether a record names this file or folder of the home, or something in it."""
    with database.read() as connection:
        return any(
            connection.execute(
                select(column)
                .where((column == path) | column.startswith(f"{path}/", autoescape=True))
                .limit(1)
            ).first()
            is not None
            for column in _PATHS
        )


# Models on record.


class ModelRows(NamedRows[Model]):
    table = models
    record = Model

    def update(self, model: Model) -> Model:
        """Replace everything but the id."""
        values = asdict(model)
        with self._database.write() as connection:
            connection.execute(update(models).filter_by(id=values.pop("id")).values(**values))
        return model

    def set_bytes(self, id: str, bytes: int) -> None:
        """Keep what a model's folder takes."""
        with self._database.write() as connection:
            connection.execute(update(models).filter_by(id=id).values(bytes=bytes))
