"""What tables of all formats have in common: a row's cells become the values of its columns.

Cells that hold what pandas writes for a missing value are empty; cells that hold a list give its
items; two columns of one name are both read, or both are told.
"""

from collections.abc import Sequence
from typing import Any

from workbench.data.formats.listcells import BadList, listed
from workbench.data.mapping import role_of
from workbench.data.report import Report

#: What pandas writes and reads for a missing value.
MISSING = frozenset({
    *("nan", "NaN", "-nan", "-NaN", "NaT", "None", "null", "NULL", "N/A", "n/a", "NA", "<NA>"),
    *("#N/A", "#N/A N/A", "#NA", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
})  # fmt: skip
_LONGEST = max(map(len, MISSING))


class Columns:
    """Makes rows of cells. Call :meth:`finish` at the end: it tells what was counted."""

    def __init__(self, names: Sequence[str], report: Report) -> None:
        self.names = same_names(names)
        self._report = report
        self._joins = len(set(self.names)) < len(self.names)
        # An id may well be called so: NA is Namibia.
        self._ids = {place for place, name in enumerate(self.names) if name.lower().endswith("id")}
        #: Column -> the first line with such a cell, what it says, and how many there are.
        self._missing: dict[str, tuple[int, str, int]] = {}

    def row(self, line: int, cells: Sequence[Any]) -> dict[str, Any] | None:
        """The row; None where it is left out, after telling why."""
        values = []
        for place, cell in enumerate(cells[: len(self.names)]):
            if type(cell) is str:
                if len(cell) <= _LONGEST and cell.strip() in MISSING and place not in self._ids:
                    cell = self._none(line, self.names[place], cell)
                else:
                    try:
                        cell = listed(cell)
                    except BadList as error:
                        self._report.add("bad-list", line, self.names[place], detail=str(error))
                        return None
            values.append(cell)
        if self._joins:
            return join(self.names, values, line, self._report)
        return dict(zip(self.names, values, strict=False))

    def finish(self) -> None:
        """Tell how many cells were taken for empty."""
        for name, (line, said, count) in self._missing.items():
            detail = f"'{said}'" if count == 1 else f"'{said}' ({count:,} cells)"
            self._report.add("missing-values", line, name, detail=detail, count=count)
        self._missing = {}

    def _none(self, line: int, name: str, cell: str) -> str:
        first, said, count = self._missing.get(name, (line, cell.strip(), 0))
        self._missing[name] = (first, said, count + 1)
        return ""


def same_names(names: Sequence[str]) -> list[str]:
    """The names as they are, those that differ in case only all as the first of them. A column
    without a name is called by its place, but for the first, where pandas has its row numbers."""
    first: dict[str, str] = {}
    named = [
        name if name.strip() or not place else f"column {place + 1}"
        for place, name in enumerate(names)
    ]
    return [first.setdefault(name.strip().lower(), name) for name in named]


def join(names: Sequence[str], values: Sequence[Any], line: int, report: Report) -> dict[str, Any]:
    """A row of columns of which some have the same name."""
    row: dict[str, Any] = {}
    for name, value in zip(names, values, strict=False):
        if name not in row:
            row[name] = value
        elif role_of(name) in ("positive", "negative"):
            report.once(
                "doubled-column", name, line=line, detail="their texts are read as one list"
            )
            row[name] = [*_many(row[name]), *_many(value)]
        else:
            number = next(n for n in range(2, len(names) + 2) if f"{name} ({n})" not in row)
            kept = f"{name} ({number})"
            report.once("doubled-column", name, line=line, detail=f"another is kept as '{kept}'")
            row[kept] = value
    return row


def _many(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, list) else [value]
