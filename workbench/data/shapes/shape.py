"""What a shape of rows is, and the one place where shapes are registered.

A file in this folder that defines ``SHAPE`` (or ``SHAPES``) is found by itself; code elsewhere
calls ``ROW_SHAPES.register``.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from workbench.data.batch import Batch, Judgments, TextBatch
from workbench.data.problems import PROBLEMS, ProblemKind, Report
from workbench.data.shapes.blocks import Blockwise, RowBlock, blockwise, own_texts
from workbench.data.shapes.columns import (
    NEGATIVE,
    POSITIVE,
    QUERY,
    QUERY_ID,
    Columns,
    looks_like_scores,
    meaning,
)
from workbench.data.shapes.row import Document, Item, Pair, Plan, own_fields
from workbench.errors import BadInput
from workbench.extensions import Registry

#: The rows of a file, each with its line.
Records = Iterator[tuple[int, dict[str, Any]]]


class ById(Protocol):
    """What documents, queries and judgments that name each other by id are given to."""

    def add(self, kind: str, line: int, item: Document) -> None: ...

    def judge(self, line: int, query: str, document: str, grade: int) -> None: ...

    def offer(self, line: int, query: str, document: str, score: float | None = None) -> None: ...

    def flush(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Judging:
    """How a file is read whose rows name documents by id; the documents stand in a corpus beside
    it. ``with_queries``: the rows bring the queries' texts. ``alone``: the problem to tell where
    such files come and nothing says which documents are relevant. ``together`` reads many rows at
    once, or raises :class:`Doubt` where they have to be read one by one."""

    recognises: Callable[[Mapping[str, Any]], bool]
    read: Callable[[Records, ById, Report], None]
    with_queries: bool = False
    alone: str = ""
    together: Callable[[RowBlock], Judgments] | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape that rows come in, with everything about it.

    ``name`` stands in reports as the format. ``rows`` and ``tools`` are its line in the reference:
    the columns, and who writes them. ``plan`` recognises a row by its columns and says how it is
    read; the shapes are asked in ``order``, the lowest first. ``judging`` is for rows that name
    documents by id. ``problems`` are codes that only this shape reports.
    """

    name: str
    rows: str
    tools: str
    order: int = 100
    plan: Callable[[Columns], Plan | None] | None = None
    judging: Judging | None = None
    problems: Mapping[str, ProblemKind] = field(default_factory=dict)


class Shapes(Registry[Shape]):
    """The shapes, with the problem kinds that only they report."""

    def register(self, item: Shape) -> Shape:
        """Add a shape. Raises :class:`BadInput` for a name or a problem's code that is taken."""
        for code in item.problems:
            if code in PROBLEMS:
                raise BadInput(
                    f"There is already a problem called '{code}'.", "Give it another name."
                )
        super().register(item)
        PROBLEMS.update(item.problems)
        return item

    def unregister(self, name: str) -> Shape:
        shape = super().unregister(name)
        for code in shape.problems:
            del PROBLEMS[code]
        return shape


ROW_SHAPES = Shapes("row shape", package="workbench.data.shapes", attribute="SHAPE")


def shapes() -> list[Shape]:
    """All shapes in the order in which they are asked."""
    return sorted(ROW_SHAPES.all(), key=lambda shape: (shape.order, shape.name))


def judged_shape(sample: Mapping[str, Any]) -> Shape | None:
    """The shape of rows like this one that name documents by id; None for other rows."""
    ways = [shape for shape in shapes() if shape.judging is not None]
    return next((one for one in ways if one.judging and one.judging.recognises(sample)), None)


# A row's other columns: a date, a topic, a source. They are kept with its query, or its pair.
#
# With the query and not with its documents, because a document may stand in many rows, and what a
# row says beside its texts was said of that row.


@dataclass(frozen=True, slots=True)
class WithOwnColumns:
    """Reads as ``read`` does, and keeps the columns of ``own`` besides."""

    read: Callable[[dict[str, Any], Report], Item | None]
    own: tuple[str, ...]

    def __call__(self, row: dict[str, Any], report: Report) -> Item | None:
        found = self.read(row, report)
        if found is None or isinstance(found, Document):
            return found
        fields = own_fields({name: row[name] for name in self.own if name in row}, set())
        if isinstance(found, Pair):
            return replace(found, fields=fields) if fields else found
        found.fields = fields
        return found

    def by_columns(self) -> Blockwise | None:
        """Reads many rows at once, if ``read`` does."""
        inner = blockwise(self.read)
        return partial(self._batch, inner) if inner is not None else None

    def _batch(self, inner: Blockwise, rows: RowBlock) -> Batch | TextBatch:
        found = inner(rows)
        if isinstance(found, Batch):
            found.fields = own_texts(rows, (name for name in self.own if name in rows.names))
        return found


def keeping(plan: Plan) -> Plan:
    """The plan, whose rows keep their own columns where they have any."""
    return replace(plan, read=WithOwnColumns(plan.read, plan.own)) if plan.own else plan


# How a shape's reader becomes the plan for a set of columns: what it does not use is kept.

Read = Callable[[dict[str, Any], Report], Item | None]

#: Columns beside the texts that mean something.
_SIDE = ("pos_scores", "neg_scores", "prompt", "pos_id", "neg_id")
#: What a column may be meant for whose name is nearly one of these.
_MEANT = sorted({*QUERY, *POSITIVE, *NEGATIVE, *_SIDE, *QUERY_ID, "hits"} - {"q", "id", "_id"})
#: Names that are compared letter by letter: a wide table has thousands.
_COMPARED = 100
_KEPT = "It is kept as an additional column of the query."
_NO_TEXTS = {
    "positive": "Its name says relevant texts, and there are no texts in it to be read so.",
    "negative": "Its name says negatives, and there are no texts in it to be read so.",
}
_RENAME = (
    "It is kept as an additional column of the query. Rename it to {0} if that is its content."
)
_ALIKE = 0.8


def plan_for(
    format: str, read: Read, columns: Columns, used: Iterable[str | None], **more: Any
) -> Plan:
    """A plan that uses these columns: the others are kept as the query's own, or the pair's.

    Those of them whose names are nearly that of a column with a meaning, or that speak of
    positives, negatives or scores, are told of."""
    taken = set(used)
    own = tuple(key for key in columns.row if key not in taken)
    plan = Plan(format, read, own=own, **more)
    hints = [(str(key), _hint(str(key), columns, plan.family, n)) for n, key in enumerate(own)]
    return keeping(replace(plan, unknown=tuple(one for one in hints if one[1])))


def refused(detail: str, hint: str) -> Plan:
    """A plan that reads nothing, and says so of each row."""

    def read(_row: dict[str, Any], report: Report) -> Item | None:
        report.add("unsupported-shape", detail=detail, hint=hint)
        return None

    return Plan("", read)


def _hint(key: str, columns: Columns, family: str, place: int) -> str:
    """What to say of a column that is kept aside; '' for one whose name says nothing."""
    name = key.strip().lower()
    if name in columns.names and columns.names[name] != key:
        return f"{_KEPT} It is called like '{columns.names[name]}', which was read."
    found = meaning(key)
    if found is not None and found.holds == "texts":
        return f"{_KEPT} {_NO_TEXTS[found.side]}"
    if found is not None:
        return f"{_KEPT} If it contains texts, say so: '--map {found.side}={key}'."
    if looks_like_scores(key) and not (name == "score" and family == "rows"):
        if columns.are_labels(key):
            return f"{_KEPT} Scores of texts are read from pos_scores and neg_scores."
        return f"{_KEPT} It is called like a score, and holds no numbers and no known labels."
    if family == "pairs" or place >= _COMPARED or name in (*_MEANT, *QUERY_ID):
        return ""
    close = difflib.get_close_matches(name, _MEANT, n=1, cutoff=_ALIKE)
    if not close or close[0] in columns.names:
        return ""
    return _RENAME.format(f"'{close[0]}'")
