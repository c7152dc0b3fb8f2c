"""Answers of blind tests on record."""

from storage.records import Pick
from storage.rows import Rows
from storage.tables import picks


class PickRows(Rows[Pick]):
    table = picks
    record = Pick

    def between(self, first: str, second: str) -> list[Pick]:
        """The answers about these two sides, newest first."""
        return self.list(first=first, second=second)
