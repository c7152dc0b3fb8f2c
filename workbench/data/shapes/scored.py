"""Two texts with a number: scored pairs (STS), or a query's documents judged one by one.

Which of the two it is, the numbers tell: fractions are scores; whole numbers from 0 on, beside a
query and a passage, are grades, as in a reranker's CSV. Two sentences are always a scored pair.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from workbench.data.formats.jsonlines import describe
from workbench.data.report import Report
from workbench.data.shapes.fields import Doc, documents, prompt_of, query_text, tell
from workbench.data.shapes.fields import identifier as as_id
from workbench.data.shapes.row import Document, Pair, Row

#: Names of two texts of which neither is the query.
SIDES = (
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("sentence_a", "sentence_b"),
    ("text1", "text2"),
    ("text_1", "text_2"),
    ("text_a", "text_b"),
    ("left", "right"),
)
SCORES = (
    *("label", "labels", "score", "scores", "similarity", "similarity_score", "grade"),
    "relevance",
)
#: Whole numbers beyond this are no grades.
_HIGHEST_GRADE = 100
_LARGEST = 3e38


@dataclass(frozen=True, slots=True)
class PairReader:
    """``left, right, score``: the names are the row's own."""

    left: str
    right: str
    score: str

    def __call__(self, row: dict[str, Any], report: Report) -> Pair | None:
        left = query_text(row, self.left, report)
        if left is None:
            return None
        right = _one(row, self.right, report)
        if right is None:
            return None
        score = number(row.get(self.score))
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

    def _single(self, row: dict[str, Any], report: Report) -> list[tuple[Doc, int]]:
        document = _one(row, self.document, report)
        grade = _grade(row.get(self.grade), self.grade, report) if document is not None else None
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
            grade = _grade(grades[place], f"{self.grade}[{place}]", report, "warning")
            if grade is not None:
                found.append((document, grade))
        tell(wrong, report, "warning" if found else "error")
        return found


def number(value: Any) -> float | None:
    """A finite number, also one written as text ('0.5', '0,5'); None for anything else."""
    if isinstance(value, str):
        with suppress(ValueError):
            value = float(value.strip().replace(",", "."))
    if isinstance(value, bool):
        return float(value)
    if not isinstance(value, int | float):
        return None
    with suppress(OverflowError):
        if math.isfinite(value) and abs(float(value)) < _LARGEST:
            return float(value)
    return None


def are_grades(values: Iterable[Any]) -> bool:
    """Whether these are grades of relevance: whole numbers from 0 on, of which one is above 0."""
    numbers = [number(value) for value in _flat(values)]
    good = [one for one in numbers if one is not None]
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


def _grade(value: Any, field: str, report: Report, severity: str = "error") -> int | None:
    found = number(value)
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
    else:
        detail = f"{describe(value)}, where a number is needed"
    report.add("bad-score", None, field, detail=detail, severity=severity)
