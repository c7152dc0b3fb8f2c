"""Reads a query with its positives and negatives: texts, lists of texts or passages."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from workbench.data.batch import Array, Batch, Details, owners
from workbench.data.formats.jsonrows import describe
from workbench.data.problems import Report
from workbench.data.shapes.blocks import (
    Blockwise,
    Doubt,
    RowBlock,
    identifiers,
    numbers,
    prompts,
    scores,
)
from workbench.data.shapes.columns import label_number
from workbench.data.shapes.fields import (
    SAID_TOGETHER,
    Doc,
    documents,
    plain,
    prompt_of,
    query_text,
    scores_of,
    tell,
)
from workbench.data.shapes.fields import identifier as as_id
from workbench.data.shapes.row import Document, Row

# What a passage says of itself and its query together: a retriever's score, a rank, a label.
#
# The score is kept as a teacher's. For the rest there is no place, and the report says so once a
# file.


def passage_scores(
    passages: list[Any], field: str, report: Report, used: Collection[str] = ()
) -> list[float | None]:
    """The score of each passage, None where it has none; ``used`` are keys that were read."""
    found: list[float | None] = []
    for place, one in enumerate(passages):
        if not isinstance(one, dict):
            found.append(None)
            continue
        for key in one.keys() & SAID_TOGETHER - {"score", *used}:
            if one[key] not in (None, ""):
                report.once("passage-key-dropped", key, detail=key, hint="")
        found.append(None if "score" in used else _score(one, f"{field}[{place}]", report))
    return found


def _score(passage: dict[str, Any], name: str, report: Report) -> float | None:
    value = passage.get("score")
    score = label_number(value)
    if score is None and value not in (None, ""):
        shown = "not a finite number" if isinstance(value, float) else describe(value)
        report.add("bad-score", None, f"{name}.score", detail=shown)
    return score


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
            found.ids = identifiers(rows.values(self.query_id))
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
                flat = identifiers(list(chain.from_iterable(given)))
                if len(fields) != 1 and any(one is not None for one in flat):
                    raise Doubt
                found[side] = flat
        ids = found.tolist()
        return Details(ids) if any(one is not None for one in ids) else None

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
        return [one if id is None else with_id(one, id) for one, id in pairs], found[1]

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


def with_id(document: Doc, id: str) -> Doc:
    """One that has an id keeps it."""
    if isinstance(document, str):
        return Document(document, "", id)
    return document if document.id else replace(document, id=id)
