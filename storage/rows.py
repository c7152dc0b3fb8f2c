"""What most sub-stores have in common: one table, one record type."""

from dataclasses import asdict
from typing import Any, Generic, TypeVar

from sqlalchemy import Table, delete, insert, select
from sqlalchemy.exc import IntegrityError

from storage.engine import Database
from storage.errors import NameExists

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
