"""Two texts with a number: scored pairs (STS), or a query's documents judged one by one.

Which of the two it is, the numbers tell: fractions are scores; whole numbers from 0 on, beside a
query and a passage, are grades, as in a reranker's CSV, and so are words such as 'relevant'. Two
sentences are a scored pair, unless their labels are those of natural language inference.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.data.batch import Batch, Details
from workbench.data.formats.jsonrows import describe
from workbench.data.problems import Report, shorten
from workbench.data.shapes.blocks import (
    Blockwise,
    Doubt,
    RowBlock,
    grades,
    identifiers,
    prompts,
    titles,
)
from workbench.data.shapes.columns import (
    DOCUMENT_ID,
    HITS,
    LISTED,
    OF_POSITIVE,
    PLAIN,
    Columns,
    Labels,
    are_inferences,
    is_neutral,
    label_number,
)
from workbench.data.shapes.fields import Doc, documents, prompt_of, query_text, tell
from workbench.data.shapes.fields import identifier as as_id
from workbench.data.shapes.row import Document, Pair, Plan, Row
from workbench.data.shapes.shape import Shape, plan_for

#: Whole numbers beyond this are no grades.
_HIGHEST_GRADE = 100


@dataclass(frozen=True, slots=True)
class PairReader:
    """``left, right, score``: the names are the row's own."""

    left: str
    right: str
    score: str
    labels: Labels = PLAIN

    def __call__(self, row: dict[str, Any], report: Report) -> Pair | None:
        left = query_text(row, self.left, report)
        if left is None:
            return None
        right = _one(row, self.right, report)
        if right is None:
            return None
        value = row.get(self.score)
        score = 0.5 if is_neutral(value) else self.labels.number(value)
        if score is None:
            _no_number(row.get(self.score), self.score, report)
            return None
        text = right if isinstance(right, str) else f"{right.title}\n{right.text}".strip()
        return Pair(left, text, score)


@dataclass(frozen=True, slots=True)
class GradedReader:
    """A query, one document and its grade; or lists of both, side by side."""

    query: str
    document: str
    grade: str
    title: str | None = None
    document_id: str | None = None
    query_id: str | None = None
    prompt: str | None = None
    labels: Labels = PLAIN

    def __call__(self, row: dict[str, Any], report: Report) -> Row | None:
        query = query_text(row, self.query, report)
        if query is None:
            return None
        if isinstance(row.get(self.document), list):
            found = self._listed(row, report)
        else:
            found = self._single(row, report)
        if not found:
            return None
        id = as_id(row.get(self.query_id)) if self.query_id else None
        return Row(
            query,
            [one for one, _ in found],
            [grade for _, grade in found],
            prompt=prompt_of(row, self.prompt),
            query_id=id,
        )

    def by_columns(self) -> Blockwise:
        """Reads many rows at once, of one document each."""
        return self._batch

    def _batch(self, rows: RowBlock) -> Batch:
        names, count = rows.names, len(rows)
        if self.document not in names or self.grade not in names:
            raise Doubt
        found = Batch(
            rows.lines,
            rows.text(self.query),
            rows.text(self.document),
            np.arange(count),
            np.zeros(count, np.int64),
            grades(rows.values(self.grade), self.labels.grade, _HIGHEST_GRADE),
        )
        about = Details()
        if self.title in names:
            about.titles = titles(rows, self.title)
        if self.document_id in names:
            about.ids = identifiers(rows, self.document_id)
        found.details = about if about.ids is not None or about.titles is not None else None
        if self.query_id in names:
            found.ids = identifiers(rows, self.query_id)
        if self.prompt in names:
            found.prompts = prompts(rows.values(self.prompt))
        return found

    def _single(self, row: dict[str, Any], report: Report) -> list[tuple[Doc, int]]:
        document = _one(row, self.document, report)
        grade = None
        if document is not None:
            grade = _grade(row.get(self.grade), self.grade, report, self.labels)
        if document is None or grade is None:
            return []
        return [(self._named(document, row), grade)]

    def _named(self, document: Doc, row: dict[str, Any]) -> Doc:
        title = row.get(self.title) if self.title else None
        title = title if isinstance(title, str) and not title.isspace() else ""
        id = as_id(row.get(self.document_id)) if self.document_id else None
        if isinstance(document, Document) or not (title or id):
            return document
        return Document(document, title, id)

    def _listed(self, row: dict[str, Any], report: Report) -> list[tuple[Doc, int]]:
        grades = row.get(self.grade)
        count = len(row[self.document])
        if not isinstance(grades, list) or len(grades) != count:
            given = f"{len(grades)}" if isinstance(grades, list) else describe(grades)
            detail = f"{given} for {count} texts"
            report.add("bad-score", None, self.grade, detail=detail, severity="error")
            return []
        wrong: list[tuple[str, str, str]] = []
        found: list[tuple[Doc, int]] = []
        for place, document in documents(row[self.document], self.document, wrong):
            grade = _grade(grades[place], f"{self.grade}[{place}]", report, self.labels, "warning")
            if grade is not None:
                found.append((document, grade))
        tell(wrong, report, "warning" if found else "error")
        return found


def are_grades(values: Iterable[Any]) -> bool:
    """Whether these are grades: whole numbers from 0 on, or words such as 'relevant'."""
    flat = list(_flat(values))
    if are_inferences(flat):
        return True
    labels = Labels.of(flat)
    good = [one for one in map(labels.grade, flat) if one is not None]
    return bool(good) and all(one.is_integer() and 0 <= one <= _HIGHEST_GRADE for one in good)


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        yield from value if isinstance(value, list) else [value]


def _one(row: dict[str, Any], field: str, report: Report) -> Doc | None:
    """The text (or passage) of a field, or None with the reason reported."""
    value = row.get(field)
    wrong: list[tuple[str, str, str]] = []
    found = documents(value, field, wrong) if not isinstance(value, list) else []
    if found:
        return found[0][1]
    if isinstance(value, list):
        wrong.append(("wrong-type", field, "a list, where one text is needed"))
    elif value is None:
        wrong.append(("missing-field", field, field))
    tell(wrong[:1], report, "error")
    return None


def _grade(
    value: Any, field: str, report: Report, labels: Labels, severity: str = "error"
) -> int | None:
    if is_neutral(value):
        report.add("neutral-label", None, field)
        return None
    found = labels.grade(value)
    if found is None:
        _no_number(value, field, report, severity)
        return None
    if not found.is_integer() or not -_HIGHEST_GRADE <= found <= _HIGHEST_GRADE:
        detail = "no whole number, as the others of the file are"
        report.add("bad-score", None, field, detail=detail, severity=severity)
        return None
    return max(0, int(found))


def _no_number(value: Any, field: str, report: Report, severity: str = "error") -> None:
    if value is None or value == "":
        detail = "missing"
    elif isinstance(value, float):
        detail = "not a finite number"
    elif isinstance(value, str):
        detail = f"'{shorten(value, 40)}', which is no number and no label that is known"
    else:
        detail = f"{describe(value)}, where a number is needed"
    report.add("bad-score", None, field, detail=detail, severity=severity)


def _plan(columns: Columns) -> Plan | None:
    """Two texts and a number; a list of positives with a number is a plain row with a score."""
    query, score, sides = columns.query, columns.score, columns.sides
    if score is None or columns.first(HITS) is not None or score == query:
        return None
    values = list(_flat(columns.values(score)))
    labels = Labels.of(values)
    inferred = are_inferences(values)
    if sides is not None and columns.scores != "grades" and not inferred:
        if _is_inference_by_number(columns, values):
            return Plan("", _inference_by_number)
        reader = PairReader(*sides, score, labels)
        used = {*sides, score}
        return plan_for("scored-pairs", reader, columns, used, family="pairs")
    query, other = sides or (query, columns.beside or _listed(columns, score))
    if query is None or other is None or columns.negatives or len(columns.positives) > 1:
        return None
    listed = isinstance(columns.row.get(other), list)
    if listed and not isinstance(columns.row.get(score), list):
        return None
    if not listed and not _are_judged(columns, values):
        pairs = PairReader(query, other, score, labels)
        used = {query, other, score}
        return plan_for("scored-pairs", pairs, columns, used, family="pairs", score=score)
    return _graded(columns, query, other, score, labels)


def _listed(columns: Columns, score: str) -> str | None:
    """The list of documents beside a list of labels."""
    key = columns.first(LISTED)
    both = key is not None and isinstance(columns.row[key], list)
    return key if both and isinstance(columns.row[score], list) else None


def _are_judged(columns: Columns, values: list[Any]) -> bool:
    """Whether the numbers are grades. A header alone says nothing: then they are."""
    if columns.scores != "auto":
        return columns.scores == "grades"
    return not values or are_grades(values)


def _graded(columns: Columns, query: str, other: str, score: str, labels: Labels) -> Plan:
    title = columns.first(("title", *OF_POSITIVE))
    title = None if title == other else title
    reader = GradedReader(
        query,
        other,
        score,
        title,
        columns.first(DOCUMENT_ID),
        columns.query_id(query),
        columns.names.get("prompt"),
        labels,
    )
    beside = filter(None, (title, reader.document_id, reader.query_id, reader.prompt))
    family = "rows" if isinstance(columns.row.get(other), list) else "graded"
    used = {query, other, score, *beside}
    return plan_for("graded-pairs", reader, columns, used, family=family, score=score)


def _is_inference_by_number(columns: Columns, values: list[Any]) -> bool:
    """SNLI and MNLI write 0 for entailment and 2 for contradiction: no score and no grade."""
    if not {"premise", "hypothesis"} <= columns.names.keys() or columns.scores != "auto":
        return False
    numbers = [label_number(one) for one in values]
    return bool(numbers) and all(one in (-1, 0, 1, 2) for one in numbers)


def _inference_by_number(_row: dict[str, Any], report: Report) -> None:
    report.add("numbered-inference")


SHAPES = (
    Shape(
        "scored-pairs",
        "sentence1, sentence2, score; question1, question2, is_duplicate; query, passage, score "
        "with fractions",
        "scored pairs, STS, Quora",
        order=10,
        plan=_plan,
    ),
    Shape(
        "graded-pairs",
        "query, passage, label with whole numbers, true / false or words (relevant, yes, "
        "duplicate ...); query_id, queries, passages, labels (also as lists); premise, "
        "hypothesis, label with entailment, neutral, contradiction",
        "reranker CSV, RAG-Retrieval, NLI",
        order=10,
    ),
)
