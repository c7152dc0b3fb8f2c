"""What a shape of rows is, and the one place where shapes are registered.

A file in this folder that defines ``SHAPE`` (or ``SHAPES``) is found by itself; code elsewhere
calls :func:`register`.
"""

import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any, Protocol

from workbench.data.problems import MENDS, Mend
from workbench.data.report import Report
from workbench.data.shapes.columns import Columns
from workbench.data.shapes.row import Document, Plan

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
    problems: Mapping[str, Mend] = field(default_factory=dict)


_REGISTERED: dict[str, Shape] = {}


def register(shape: Shape) -> None:
    """Add a shape; raises ValueError for a name or a problem's code that is taken."""
    taken = [code for code in shape.problems if code in MENDS]
    if shape.name in _REGISTERED or taken:
        raise ValueError(f"{', '.join([*taken, shape.name])}: registered twice")
    _REGISTERED[shape.name] = shape
    MENDS.update(shape.problems)


def unregister(name: str) -> None:
    """Take a shape out again."""
    for code in _REGISTERED.pop(name).problems:
        del MENDS[code]


def shapes() -> list[Shape]:
    """All shapes in the order in which they are asked."""
    _find()
    return sorted(_REGISTERED.values(), key=lambda shape: (shape.order, shape.name))


def judged_shape(sample: Mapping[str, Any]) -> Shape | None:
    """The shape of rows like this one that name documents by id; None for other rows."""
    ways = [shape for shape in shapes() if shape.judging is not None]
    return next((one for one in ways if one.judging and one.judging.recognises(sample)), None)


@cache
def _find() -> None:
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules(import_module(package).__path__):
        found = import_module(f"{package}.{module.name}")
        for shape in (*getattr(found, "SHAPES", ()), getattr(found, "SHAPE", None)):
            if shape is not None and shape.name not in _REGISTERED:
                register(shape)
