"""Models on record."""

from dataclasses import asdict

from sqlalchemy import update

from storage.records import Model
from storage.rows import NamedRows
from storage.tables import models


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
