"""Data sets and their versions on record."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from storage.engine import Database
from storage.errors import NameExists
from storage.records import Dataset, DatasetVersion
from storage.tables import dataset_versions, datasets

VersionList = list[DatasetVersion]


class DatasetRows:
    """A data set's summary is that of its current version: it is kept once, with the version."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert(self, dataset: Dataset, version: DatasetVersion) -> Dataset:
        """Add a data set with its first version. Raises :class:`NameExists`."""
        try:
            with self._database.write() as connection:
                connection.execute(
                    insert(datasets).values(
                        id=dataset.id,
                        name=dataset.name,
                        created_at=dataset.created_at,
                        version=version.version,
                    )
                )
                _insert_version(connection, version)
        except IntegrityError as error:
            if self.by_name(dataset.name) is not None:
                raise NameExists(dataset.name) from error
            raise
        return dataset

    def add_version(self, version: DatasetVersion) -> DatasetVersion:
        """Add a version and make it the current one."""
        with self._database.write() as connection:
            _insert_version(connection, version)
            connection.execute(
                update(datasets).filter_by(id=version.dataset_id).values(version=version.version)
            )
        return version

    def set_version(self, id: str, version: int) -> None:
        """Make one of its versions the current one."""
        with self._database.write() as connection:
            connection.execute(update(datasets).filter_by(id=id).values(version=version))

    def rename(self, id: str, name: str) -> None:
        """Raises :class:`NameExists`."""
        try:
            with self._database.write() as connection:
                connection.execute(update(datasets).filter_by(id=id).values(name=name))
        except IntegrityError as error:
            raise NameExists(name) from error

    def get(self, id: str) -> Dataset | None:
        return self._one(datasets.c.id == id)

    def by_name(self, name: str) -> Dataset | None:
        return self._one(datasets.c.name == name)

    def list(self) -> list[Dataset]:
        """All data sets, newest first."""
        query = _current().order_by(datasets.c.created_at.desc(), datasets.c.id)
        with self._database.read() as connection:
            return [Dataset(**row) for row in connection.execute(query).mappings()]

    def version(self, dataset_id: str, version: int) -> DatasetVersion | None:
        found = [one for one in self.versions(dataset_id) if one.version == version]
        return found[0] if found else None

    def versions(self, dataset_id: str) -> VersionList:
        """All versions of one data set, oldest first."""
        query = select(dataset_versions).filter_by(dataset_id=dataset_id)
        query = query.order_by(dataset_versions.c.version)
        with self._database.read() as connection:
            return [DatasetVersion(**row) for row in connection.execute(query).mappings()]

    def delete(self, id: str) -> bool:
        """Remove a data set and its versions; False when there was none."""
        with self._database.write() as connection:
            return connection.execute(delete(datasets).filter_by(id=id)).rowcount > 0

    def _one(self, condition: Any) -> Dataset | None:
        with self._database.read() as connection:
            row = connection.execute(_current().where(condition)).mappings().first()
        return None if row is None else Dataset(**row)


def _insert_version(connection: Connection, version: DatasetVersion) -> None:
    connection.execute(insert(dataset_versions).values(**asdict(version)))


def _current() -> Select[Any]:
    return select(datasets, dataset_versions.c.summary).join(
        dataset_versions,
        (dataset_versions.c.dataset_id == datasets.c.id)
        & (dataset_versions.c.version == datasets.c.version),
    )
