"""A query with its positives and negatives, as texts, lists of texts or passages.

FlagEmbedding and EmbedRAG (``query, pos, neg`` with scores and prompt), open-retrievals
(``positive``/``negative`` or ``positives``/``negatives``), Tevatron (``positive_passages``), DPR
(``positive_ctxs``, ``hard_negative_ctxs``), and sentence-transformers' ``anchor, positive,
negative_1 ...``: they differ in the names of their fields only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any, TypeGuard

import numpy as np

from workbench.data.batch import Array, Batch, Details, TextBatch, owners, some_texts
from workbench.data.problems import Report
from workbench.data.shapes.blocks import (
    Blockwise,
    Doubt,
    RowBlock,
    blockwise,
    identifiers,
    numbers,
    prompts,
    scores,
)
from workbench.data.shapes.columns import (
    HITS,
    OF_POSITIVE,
    Columns,
)
from workbench.data.shapes.fields import (
    Doc,
    documents,
    passage_scores,
    plain,
    prompt_of,
    query_text,
    scores_of,
    tell,
)
from workbench.data.shapes.fields import identifier as as_id
from workbench.data.shapes.row import Document, Item, Plan, Row
from workbench.data.shapes.shape import Shape, plan_for

#: Documents, and their scores where they have any.
Side = tuple[list[Doc], list[float | None] | None]


@dataclass(frozen=True, slots=True)
class ListReader:
    """Reads rows of one set of columns: the names are the row's own."""

    query: str
    positives: tuple[str, ...]
    negatives: tuple[str, ...] = ()
    positive_scores: str | None = None
    negative_scores: str | None = None
    prompt: str | None = None
    query_id: str | None = None
    #: The documents' ids, side by side with the documents.
    positive_ids: str | None = None
    negative_ids: str | None = None
    #: A number that says how good the row is: it is checked, and kept as the row's own.
    extra_score: str | None = None

    @property
    def columns(self) -> set[str | None]:
        """All that it reads."""
        scores = (self.positive_scores, self.negative_scores)
        sides = (*self.positives, *self.negatives, self.positive_ids, self.negative_ids)
        return {self.query, *sides, *scores, self.prompt, self.query_id}

    @property
    def positive(self) -> str:
        """The first column of relevant texts."""
        return self.positives[0]

    def __call__(self, row: dict[str, Any], report: Report) -> Row | None:
        query = query_text(row, self.query, report)
        if query is None:
            return None
        alone = self._without_positives(row)
        positives: Side | None = ([], None)
        if not alone:
            positives = self._side(self.positives, self.positive_scores, row, report, needed=True)
        if positives is None:
            return None
        negatives = self._side(self.negatives, self.negative_scores, row, report) or ([], None)
        if alone and not negatives[0]:
            report.add("no-positive", None, self.positive)
            return None
        positives = self._called(positives, self.positives, self.positive_ids, row, report)
        negatives = self._called(negatives, self.negatives, self.negative_ids, row, report)
        if self.extra_score:
            scores_of([row.get(self.extra_score)], 1, self.extra_score, report)
        return self._row(query, positives, negatives, row)

    def by_columns(self) -> Blockwise:
        """Reads many rows at once."""
        return self._batch

    def _batch(self, rows: RowBlock) -> Batch:
        names = rows.names
        fields = [one for one in (*self.positives, *self.negatives) if one in names]
        if not fields:
            raise Doubt
        texts, counts = rows.texts(fields)
        positive = np.array([one in self.positives for one in fields])
        good, bad = counts[positive].sum(0), counts[~positive].sum(0)
        if not good.all():
            raise Doubt  # Such a row may be right: its query may have its positives in another.
        owner, place = owners(good + bad)
        relevant = place < good[owner]
        found = Batch(
            rows.lines, rows.text(self.query), texts, owner, place, relevant.astype(np.int32)
        )
        found.scores = self._scores_of(rows, good, bad, relevant)
        found.details = self._ids_of(rows, good, bad, relevant)
        if self.prompt in names:
            found.prompts = prompts(rows.values(self.prompt))
        if self.query_id in names:
            found.ids = identifiers(rows, self.query_id)
        if self.extra_score in names:
            numbers(rows.values(self.extra_score))
        return found

    def _scores_of(self, rows: RowBlock, good: Array, bad: Array, relevant: Array) -> Array | None:
        """Each document's score; None where none has any."""
        found = np.full(len(relevant), np.nan, np.float32)
        for fields, column, count, side in (
            (self.positives, self.positive_scores, good, relevant),
            (self.negatives, self.negative_scores, bad, ~relevant),
        ):
            if column in rows.names and len(fields) == 1:
                found[side] = scores(rows.values(column), count)
        return None if np.isnan(found).all() else found

    def _ids_of(self, rows: RowBlock, good: Array, bad: Array, relevant: Array) -> Details | None:
        """The documents' ids; None where none has any."""
        if not {self.positive_ids, self.negative_ids} & {*rows.names}:
            return None
        found: Array = np.full(len(relevant), None, object)
        for fields, column, count, side in (
            (self.positives, self.positive_ids, good, relevant),
            (self.negatives, self.negative_ids, bad, ~relevant),
        ):
            if column in rows.names:
                given = [
                    _listed(one, n)
                    for one, n in zip(rows.values(column), count.tolist(), strict=True)
                ]
                flat = [as_id(one) for one in chain.from_iterable(given)]
                if len(fields) != 1 and any(one is not None for one in flat):
                    raise Doubt
                found[side] = flat
        ids = some_texts(found.tolist())
        return None if ids is None else Details(ids)

    def _without_positives(self, row: dict[str, Any]) -> bool:
        """Whether a row holds negatives alone: its query may have its positives in another row."""
        given = any(row.get(name) for name in self.negatives)
        return given and all(row.get(name) in (None, "", []) for name in self.positives)

    def _called(
        self,
        found: Side,
        fields: tuple[str, ...],
        ids: str | None,
        row: dict[str, Any],
        report: Report,
    ) -> Side:
        """The documents under the ids that a row gives them; a list of another length is told."""
        given = row.get(ids) if ids else None
        if ids is None or given is None or given == []:
            return found
        named = [as_id(one) for one in (given if isinstance(given, list) else [given])]
        if len(named) != len(found[0]) or len(fields) != 1:
            detail = f"{len(named)} for {len(found[0])} texts"
            report.add("ids-left-out", None, ids, detail=detail)
            return found
        pairs = zip(found[0], named, strict=True)
        return [one if id is None else _with_id(one, id) for one, id in pairs], found[1]

    def _row(
        self,
        query: str,
        positives: Side,
        negatives: Side,
        row: dict[str, Any],
    ) -> Row:
        good, bad = positives[0], negatives[0]
        scores: list[float | None] | None = None
        if positives[1] or negatives[1]:
            scores = (positives[1] or [None] * len(good)) + (negatives[1] or [None] * len(bad))
        return Row(
            query,
            good + bad,
            [1] * len(good) + [0] * len(bad),
            scores,
            prompt_of(row, self.prompt),
            as_id(row.get(self.query_id)) if self.query_id else None,
            lacks="" if good else self.positive,
        )

    def _side(
        self,
        fields: tuple[str, ...],
        scores: str | None,
        row: dict[str, Any],
        report: Report,
        needed: bool = False,
    ) -> Side | None:
        """The documents of one side and their scores; None when positives are needed and none is
        there, which has then been reported."""
        if len(fields) == 1:
            value = row.get(fields[0])
            if type(value) is list and value and plain(value):
                given = row.get(scores) if scores else None
                if not given:
                    return value, None
                return value, scores_of(given, len(value), str(scores), report)
        return self._carefully(fields, scores, row, report, needed)

    def _carefully(
        self,
        fields: tuple[str, ...],
        scores: str | None,
        row: dict[str, Any],
        report: Report,
        needed: bool,
    ) -> Side | None:
        wrong: list[tuple[str, str, str]] = []
        texts: list[Doc] = []
        marks: list[float | None] = []
        for field in fields:
            value = row.get(field)
            if value in (None, "") and (
                len(fields) > 1 or not needed
            ):  # An empty cell says that there is none.
                continue
            given = row.get(scores) if scores and len(fields) == 1 else None
            count = len(value) if isinstance(value, list) else 1
            listed = scores_of(given, count, str(scores), report)
            said = passage_scores(value if isinstance(value, list) else [value], field, report)
            if given is None or given == []:
                listed = said
            for place, document in documents(value, field, wrong):
                texts.append(document)
                marks.append(listed[place])
        if needed and not texts:
            _none(fields[0], wrong, report)
            return None
        tell(wrong, report)
        return texts, marks if any(mark is not None for mark in marks) else None


def _none(field: str, wrong: list[tuple[str, str, str]], report: Report) -> None:
    """Why there is no positive: a wrong type is named as such, everything else is 'no positive'."""
    other = [problem for problem in wrong if problem[0] != "empty-text"]
    if other:
        tell(other[:1], report, "error")
    elif wrong:
        report.add("no-positive", None, field, detail=f": '{wrong[0][1]}' is empty")
    else:
        report.add("no-positive", None, field)


def _listed(given: Any, count: int) -> list[Any]:
    """The ids of a row's documents, None for each where there are none. Raises :class:`Doubt` for
    another number of them."""
    if given is None or given == []:
        return [None] * count
    ids = given if isinstance(given, list) else [given]
    if len(ids) != count:
        raise Doubt
    return ids


def _with_id(document: Doc, id: str) -> Doc:
    """One that has an id keeps it."""
    if isinstance(document, str):
        return Document(document, "", id)
    return document if document.id else replace(document, id=id)


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
        found.details = replace(found.details or Details(), titles=some_texts(every.tolist()))
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


SHAPE = Shape(
    "query-pos-neg",
    "query, pos[], neg[]; query, positive, negative (texts, lists or passages); any column "
    "whose name says positive, negative, rejected or distractor; pos_scores[], neg_scores[], "
    "prompt",
    "FlagEmbedding, EmbedRAG, open-retrievals, Tevatron, DPR, ms-swift, sentence-transformers",
    order=30,
    plan=_plan,
)
