"""Search indexes on record."""

from dataclasses import asdict

from sqlalchemy import update

from storage.records import Index
from storage.rows import NamedRows
from storage.tables import indexes


class IndexRows(NamedRows[Index]):
    table = indexes
    record = Index

    def update(self, index: Index) -> Index:
        """Replace everything but the id."""
        values = asdict(index)
        with self._database.write() as connection:
            connection.execute(update(indexes).filter_by(id=values.pop("id")).values(**values))
        return index
