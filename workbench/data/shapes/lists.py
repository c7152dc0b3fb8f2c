"""A query with its positives and negatives, as texts, lists of texts or passages.

FlagEmbedding and EmbedRAG (``query, pos, neg`` with scores and prompt), open-retrievals
(``positive``/``negative`` or ``positives``/``negatives``), Tevatron (``positive_passages``), DPR
(``positive_ctxs``, ``hard_negative_ctxs``), and sentence-transformers' ``anchor, positive,
negative_1 ...``: they differ in the names of their fields only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeGuard

import numpy as np

from workbench.data.batch import Batch, Details, TextBatch
from workbench.data.mapping import role_of
from workbench.data.problems import Report
from workbench.data.shapes.blocks import (
    Blockwise,
    Doubt,
    RowBlock,
    blockwise,
)
from workbench.data.shapes.columns import (
    HITS,
    NEGATIVE,
    OF_POSITIVE,
    PAIRED,
    POSITIVE,
    QUERY,
    SCORES,
    Columns,
    is_id,
)
from workbench.data.shapes.list_reader import ListReader
from workbench.data.shapes.row import Document, Item, Plan, Row
from workbench.data.shapes.shape import Shape, plan_for


def _plan(columns: Columns) -> Plan | None:
    names = columns.names
    query, prompt = columns.query, names.get("prompt")
    if query is None and columns.positives and columns.negatives:
        query, prompt = prompt, None  # Preferences: prompt, chosen, rejected.
    if query is None or columns.first(HITS) is not None:
        return None
    if not columns.positives and not columns.negatives:
        return None
    paired = (columns.beside,) if columns.beside else ("pos",)
    reader = ListReader(
        query,
        columns.positives or paired,
        columns.negatives,
        columns.of_side("positive", "scores"),
        columns.of_side("negative", "scores"),
        prompt,
        columns.query_id(query),
        columns.of_side("positive", "ids"),
        columns.of_side("negative", "ids"),
        names.get("score"),
    )
    return list_plan(_format(columns), reader, columns)


def list_plan(format: str, reader: ListReader, columns: Columns) -> Plan:
    """The plan of a list reader, for rows with instructions and titles too."""

    format, read = instructed(format, reader, columns.row.get(reader.query))
    plan = plan_for(format, read, columns, reader.columns)
    return with_title(plan, reader, columns.names, columns.row)


def _format(columns: Columns) -> str:
    if "positive_passages" in columns.names or "positive_ctxs" in columns.names:
        return "passages"
    if "anchor" in columns.names:
        return "anchor-positive"
    return "query-pos-neg"


# Texts that carry their instruction: ``[instruction, text]``, as INSTRUCTOR and uniem write them.
#
# The query's instruction becomes its prompt. A document's instruction belongs to a model, not to
# the document: it is left out, and the report says so once.

_ASIDE = "Documents have no prompt of their own: give one with the model's settings."


def is_instructed(value: Any) -> TypeGuard[list[str]]:
    """Exactly two texts."""
    return (
        isinstance(value, list) and len(value) == 2 and all(isinstance(one, str) for one in value)
    )


@dataclass(frozen=True, slots=True)
class InstructedReader:
    """Takes the instructions off, and leaves the rest to the reader of plain rows."""

    plain: ListReader

    def __call__(self, row: dict[str, Any], report: Report) -> Row | None:
        query = row.get(self.plain.query)
        if not is_instructed(query):
            return self.plain(row, report)
        bare = {**row, self.plain.query: query[1]}
        for name in (*self.plain.positives, *self.plain.negatives):
            if name in row:
                bare[name] = _bare(row[name], name, report)
        found = self.plain(bare, report)
        if found is not None and not found.prompt and query[0].strip():
            found = replace(found, prompt=query[0])
        return found


def _bare(value: Any, name: str, report: Report) -> Any:
    """``[instruction, text]`` is one text; a list of those is a list of texts."""
    if is_instructed(value):
        report.once("instruction-dropped", name, detail=value[0], hint=_ASIDE)
        return [value[1]]
    if isinstance(value, list) and value and all(is_instructed(one) for one in value):
        report.once("instruction-dropped", name, detail=value[0][0], hint=_ASIDE)
        return [one[1] for one in value]
    return value


def instructed(
    format: str, reader: ListReader, query: Any
) -> tuple[str, Callable[[dict[str, Any], Report], Row | None]]:
    """The format and the reader for rows with instructions, where the query has one."""
    return ("instructed", InstructedReader(reader)) if is_instructed(query) else (format, reader)


# A row's title, where the row has exactly one document and that is a plain text: the document's.
#
# Beside several documents, or beside a negative, nothing says whose title it is: it stays the
# query's own column. A column that is named as the relevant text's ('pos_title', or a title mapped
# by hand) is its title whatever stands beside it.


@dataclass(frozen=True, slots=True)
class Titled:
    """Reads as ``read`` does, and gives the one document of a row its title. ``alone``: only where
    none of the columns ``negatives`` holds anything."""

    read: Callable[[dict[str, Any], Report], Item | None]
    title: str
    positive: str
    negatives: tuple[str, ...]
    alone: bool

    def __call__(self, row: dict[str, Any], report: Report) -> Item | None:
        if not self.takes(row):
            return self.read(row, report)
        bare = {name: value for name, value in row.items() if name != self.title}
        found = self.read(bare, report)
        if isinstance(found, Row):
            # The relevant text comes first.
            first, *others = found.documents
            found.documents = [_with_title(first, row[self.title]), *others]
        return found

    def by_columns(self) -> Blockwise | None:
        """Reads many rows at once, if ``read`` does."""
        inner = blockwise(self.read)
        return partial(self._batch, inner) if inner is not None else None

    def _batch(self, inner: Blockwise, rows: RowBlock) -> Batch | TextBatch:
        names = [self.title, self.positive, *self.negatives]
        cells = {name: rows.values(name) for name in names if name in rows.names}
        each = zip(*cells.values(), strict=True)
        taken = [self.takes(dict(zip(cells, row, strict=True))) for row in each]
        if not any(taken):
            return inner(rows)
        titles = cells[self.title]
        if any(
            title not in (None, "") for title, has in zip(titles, taken, strict=True) if not has
        ):
            raise Doubt
        found = inner(rows.without(self.title))
        if not isinstance(found, Batch):
            raise Doubt
        every = np.full(len(found.texts), "", object)
        # The relevant text comes first.
        every[found.place == 0] = [
            one if has else "" for one, has in zip(titles, taken, strict=True)
        ]
        found.details = replace(found.details or Details(), titles=every.tolist())
        return found

    def takes(self, row: Mapping[str, Any]) -> bool:
        """Whether the row's title is its document's."""
        title, text = row.get(self.title), row.get(self.positive)
        if not isinstance(title, str) or not title.strip() or not isinstance(text, str):
            return False
        return not (self.alone and any(row.get(name) for name in self.negatives))


def with_title(plan: Plan, plain: Any, names: Mapping[str, str], sample: Mapping[str, Any]) -> Plan:
    """The plan, whose rows give their title away if they have one; ``plain`` is its reader without
    anything around it."""
    if not isinstance(plain, ListReader) or len(plain.positives) > 1:
        return plan
    title = next((names[name] for name in (*OF_POSITIVE, "title") if name in names), None)
    if title is None or title not in plan.own:
        return plan
    alone = title.strip().lower() == "title"
    reader = Titled(plan.read, title, plain.positive, plain.negatives, alone)
    known = tuple(one for one in plan.unknown if one[0] != title)
    own = tuple(one for one in plan.own if one != title or not reader.takes(sample))
    return replace(plan, read=reader, unknown=known, own=own)


def _with_title(document: str | Document, title: str) -> Document:
    if isinstance(document, str):
        return Document(document, title)
    return document if document.title else replace(document, title=title)


# Two columns of text: a query and what is relevant to it, by their names or by their order.

#: Columns that tell of a text and are none.
_ABOUT = {"title", "url", "image", "source", "lang", "language", "date", "author", "category"}


def _named(columns: Columns) -> Plan | None:
    """``query, passage``; ``question1, question2``."""
    query, other = columns.query, None
    if query is not None:
        texts = (columns.names[name] for name in PAIRED if name in columns.names)
        other = next((key for key in texts if key != query), None)
    if other is None and columns.sides is not None:
        query, other = columns.sides
    if query is None or other is None:
        return None
    prompt = columns.names.get("prompt")
    reader = ListReader(query, (other,), prompt=prompt, query_id=columns.query_id(query))
    return list_plan("text-pairs", reader, columns)


def _guessed(columns: Columns) -> Plan | None:
    """Two columns of text with names of their own: the first is taken for the query, unless their
    names say the opposite."""
    row = columns.row
    texts = [key for key, value in row.items() if isinstance(value, str) and str(key).strip()]
    known = {str(key).strip().lower() for key in texts}
    alone = known & {*SCORES, *POSITIVE, *NEGATIVE, *_ABOUT} or any(map(is_id, known))
    sided = columns.positives or columns.negatives
    if len(row) != 2 or len(texts) != 2 or alone or sided:
        return None
    first, second = texts
    if role_of(str(first)) == "positive" or role_of(str(second)) == "query":
        first, second = second, first
    return Plan("text-pairs", ListReader(first, (second,)), _taken(first, second), guessed=True)


def _taken(first: Any, second: Any) -> tuple[tuple[str, str], ...]:
    """What to say of the two; nothing of one whose name says it already."""
    said = (
        (QUERY, first, "It was taken for the query: name it 'query' if that is right."),
        (
            (*POSITIVE, *PAIRED),
            second,
            "It was taken for the relevant text: name it 'positive' if that is right.",
        ),
    )
    return tuple(
        (str(key), hint) for known, key, hint in said if str(key).strip().lower() not in known
    )


SHAPES = (
    Shape(
        "query-pos-neg",
        "query, pos[], neg[]; query, positive, negative (texts, lists or passages); any column "
        "whose name says positive, negative, rejected or distractor; pos_scores[], neg_scores[], "
        "prompt",
        "FlagEmbedding, EmbedRAG, open-retrievals, Tevatron, DPR, ms-swift, sentence-transformers",
        order=30,
        plan=_plan,
    ),
    Shape(
        "text-pairs",
        "query, passage (document, answer, response, context, ...), title",
        "sentence-transformers, AutoTrain",
        order=40,
        plan=_named,
    ),
    Shape(
        "two-texts",
        "two columns of text with names of their own: a guess, and the report says so",
        "any",
        order=60,
        plan=_guessed,
    ),
)
