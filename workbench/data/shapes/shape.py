"""What a shape of rows is, and the one place where shapes are registered.

A file in this folder that defines ``SHAPE`` (or ``SHAPES``) is found by itself; code elsewhere
calls ``ROW_SHAPES.register``.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from workbench.data.problems import PROBLEMS, ProblemKind
from workbench.data.report import Report
from workbench.data.shapes.columns import Columns
from workbench.data.shapes.row import Document, Plan
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
    such files come and nothing says which documents are relevant."""

    recognises: Callable[[Mapping[str, Any]], bool]
    read: Callable[[Records, ById, Report], None]
    with_queries: bool = False
    alone: str = ""


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
