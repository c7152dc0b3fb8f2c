"""From a row's columns to the shape it has, or to a sentence about why it cannot be read."""

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from workbench.data.batch import Batch, TextBatch
from workbench.data.mapping import map_words
from workbench.data.problems import Report, shorten
from workbench.data.shapes.blocks import RowBlock, blockwise, undoubted
from workbench.data.shapes.columns import NEGATIVE, PAIRED, POSITIVE, QUERY, QUERY_ID, Columns
from workbench.data.shapes.row import Item, Plan
from workbench.data.shapes.shape import refused, shapes

_MAP = "Say which column holds what, for example: --map query=COLUMN --map positive=COLUMN."
_MAP_RELEVANT = "Say which column is relevant to the query, for example: --map positive=COLUMN."
_ALIKE = 0.8
#: After so many blocks in succession that were not plain, rows are read one by one.
_MISSES = 4
#: Columns that a sentence names, and characters for each.
_SHOWN, _ROOM = 8, 24
#: What columns of these names are often meant for.
_MEANT = {
    **dict.fromkeys(QUERY, "query"),
    **dict.fromkeys(POSITIVE, "pos"),
    **dict.fromkeys(NEGATIVE, "neg"),
    **dict.fromkeys(PAIRED, "pos"),
    **dict.fromkeys(("input", "prompt", "instruction", "utterance"), "query"),
    **dict.fromkeys(("output", "completion", "intent", "target"), "pos"),
}
#: Each part with the names that play it already.
_PARTS = {"query": QUERY, "pos": (*POSITIVE, *PAIRED), "neg": NEGATIVE}
_KNOWN = {name for names in _PARTS.values() for name in names}


def recognise(
    row: Mapping[str, Any], scores: str = "auto", seen: Sequence[Mapping[str, Any]] = ()
) -> Plan:
    """How to read rows that have this row's columns.

    ``scores`` says what a number beside two texts is: 'pairs', 'grades', or 'auto' to tell by it.
    ``seen`` are rows from the file's beginning.
    """
    columns = Columns(row, scores, seen)
    for shape in shapes():
        plan = shape.plan(columns) if shape.plan is not None else None
        if plan is not None:
            return plan
    return _other(columns)


def _other(columns: Columns) -> Plan:
    names, query = columns.names, columns.query
    if query is not None and not set(names) - {*QUERY_ID, query.strip().lower(), "prompt"}:
        return _missing("pos")
    hint = _guesses(columns) or map_words([columns.row])
    if query is None and (columns.positives or columns.negatives) and not hint:
        return _missing("query")
    if {"image", "file_name"} & set(names):
        return refused(
            "The rows name pictures, and no pictures are among the files.",
            "Import a folder or zip with the pictures and this file, or give pairs of texts.",
        )
    return refused(
        f"The columns {_listed(columns.row)} are not a shape that is known.",
        hint or (_MAP if query is None else _MAP_RELEVANT),
    )


def _listed(names: Iterable[Any]) -> str:
    """The first names, and how many more there are."""
    said = [f"'{shorten(str(name), _ROOM)}'" for name in names]
    more = len(said) - _SHOWN
    return (", ".join(said[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")) or "none"


def _missing(field: str) -> Plan:
    def read(_row: dict[str, Any], report: Report) -> Item | None:
        report.add("missing-field", None, field, detail=field)
        return None

    return Plan("", read)


def _guesses(columns: Columns) -> str:
    """New names for columns that play no part yet, each part once, none that is there already."""
    free = {
        part: not any(name in columns.names for name in known) for part, known in _PARTS.items()
    }
    said: list[str] = []
    for key in columns.row:
        name = str(key).strip().lower()
        close = difflib.get_close_matches(name, _MEANT, n=1, cutoff=_ALIKE)
        part = _MEANT[close[0]] if close else ""
        if part and free[part] and name not in _KNOWN and columns.textual(key):
            free[part] = False
            said.append(f"'{key}' to '{part}'")
    return f"Perhaps rename {', '.join(said)}." if said else ""


class Recogniser:
    """Remembers the plan for each set of columns, because most rows have the same."""

    def __init__(self, report: Report, find: Callable[[dict[str, Any]], Plan] = recognise) -> None:
        self._report = report
        self._find = find
        self._plans: dict[tuple[str, ...], Plan] = {}
        #: Blocks in succession that had to be read row by row, of rows with these columns.
        self._misses: Counter[tuple[str, ...]] = Counter()
        self._refused: dict[tuple[Any, ...], Plan] = {}
        self.formats: dict[str, int] = {}
        #: Columns that were kept as they are.
        self.own: dict[str, None] = {}
        #: Rows with a query have been read: a text without one is then a row that lacks it.
        self._queried = False

    def together(self, rows: RowBlock, texts: bool = True) -> Batch | TextBatch | None:
        """Rows of the same columns as a batch; None where they have to be read one by one, as
        documents alone have without ``texts``."""
        plan = self._plans.get(rows.names)
        if plan is None or self._misses[rows.names] >= _MISSES:
            return None
        read = blockwise(plan.read) if texts or plan.family != "documents" else None
        found = undoubted(read, rows) if read is not None else None
        self._misses[rows.names] = 0 if found is not None else self._misses[rows.names] + 1
        if found is not None:
            self.formats[plan.format] = self.formats.get(plan.format, 0) + len(found)
        return found

    def read(self, row: dict[str, Any]) -> Item | None:
        keys = tuple(row)
        plan = self._plans.get(keys)
        if plan is None:
            plan = self._learn(keys, row)
        found = plan.read(row, self._report)
        if found is not None:
            self.formats[plan.format] = self.formats.get(plan.format, 0) + 1
        return found

    def _learn(self, keys: tuple[str, ...], row: dict[str, Any]) -> Plan:
        # A guess looks at the values too: a row that is refused says nothing about the next one
        # unless that has the same types.
        kinds = (keys, tuple(type(value) for value in row.values()))
        if kinds in self._refused:
            return self._refused[kinds]
        for cache in (self._plans, self._refused):
            if len(cache) > 1_000:  # Every row with columns of its own: nothing to remember.
                cache.clear()
        plan = self._find(row)
        if plan.family == "documents" and self._queried:
            plan = _missing("query")
        self._queried |= bool(plan.format) and plan.family in ("rows", "graded")
        if plan.format:
            self._plans[keys] = plan
        else:
            self._refused[kinds] = plan
        self._report.unknown(plan.unknown)
        self.own |= dict.fromkeys(plan.own)
        return plan
