"""RAG-Retrieval's grouped rows: ``query, hits[{content, label}]``, graded by whole numbers.

A label of 1 or more is a grade of relevance, 0 is a given negative. Labels below 0 (an order of
hits) and broken ones (a teacher's scores) are not grades.
"""

import math
from dataclasses import dataclass
from typing import Any

from workbench.data.formats.jsonrows import describe
from workbench.data.problems import Report
from workbench.data.shapes.columns import HITS, Columns, label_number
from workbench.data.shapes.fields import Doc, documents, prompt_of, query_text, tell
from workbench.data.shapes.fields import identifier as as_id
from workbench.data.shapes.list_reader import passage_scores
from workbench.data.shapes.row import Plan, Row
from workbench.data.shapes.shape import Shape, plan_for

#: What a hit is graded by: the first that it has. A score beside another is a teacher's.
_LABELS = ("label", "grade", "relevance", "has_answer", "score")
_LARGEST = 1_000_000


@dataclass(frozen=True, slots=True)
class HitsReader:
    query: str
    hits: str
    query_id: str | None = None
    prompt: str | None = None

    def __call__(self, row: dict[str, Any], report: Report) -> Row | None:
        query = query_text(row, self.query, report)
        hits = row[self.hits]
        if query is None:
            return None
        if not isinstance(hits, list):
            detail = f"{describe(hits)}, where a list of hits is needed"
            report.add("wrong-type", None, self.hits, detail=detail)
            return None
        wrong: list[tuple[str, str, str]] = []
        found = documents(hits, self.hits, wrong)
        labels = [self._graded(hits[place], place, report) for place, _ in found]
        alone = bool(found) and all(_irrelevant(hits[place]) for place, _ in found)
        if not alone and not any(grade > 0 for grade, _ in labels):
            said = wrong[:1] if wrong and not found else []
            tell(said, report, "error")
            if not said:
                report.add("no-positive", None, self.hits, detail=_why(labels))
            return None
        tell(wrong, report)
        out = self._row(query, [document for _, document in found], labels, row)
        # Its query may have its relevant documents in another row.
        out.lacks = self.hits if alone else ""
        return out

    def _graded(self, hit: Any, place: int, report: Report) -> tuple[int, float | None]:
        """A hit's grade, and its score: its label where that is no grade, else its own."""
        name = f"{self.hits}[{place}]"
        key = _key(hit)
        grade, score = _label(hit, key, name, report)
        [given] = passage_scores([hit], self.hits, report, {key})
        return grade, given if score is None else score

    def _row(
        self,
        query: str,
        found: list[Doc],
        labels: list[tuple[int, float | None]],
        row: dict[str, Any],
    ) -> Row:
        scores = [score for _, score in labels]
        return Row(
            query,
            found,
            [grade for grade, _ in labels],
            scores if any(score is not None for score in scores) else None,
            prompt=prompt_of(row, self.prompt),
            query_id=as_id(row.get(self.query_id)) if self.query_id else None,
        )


def _key(hit: Any) -> str:
    """What a hit is graded by."""
    return next((key for key in _LABELS if isinstance(hit, dict) and key in hit), "label")


def _irrelevant(hit: Any) -> bool:
    return isinstance(hit, dict) and label_number(hit.get(_key(hit))) == 0


def _why(labels: list[tuple[int, float | None]]) -> str:
    if any(score is not None for _, score in labels):
        return ": its labels are an order or scores, not grades such as 0, 1, 2"
    return ": no label is 1 or more"


def _label(hit: Any, key: str, name: str, report: Report) -> tuple[int, float | None]:
    """The hit's grade, and its label as a score where it is no grade."""
    value = hit.get(key) if isinstance(hit, dict) else None
    if isinstance(value, str) and (number := label_number(value)) is not None:
        value = number
    if isinstance(value, bool):
        return int(value), None
    if not isinstance(value, int | float) or not math.isfinite(value) or abs(value) > _LARGEST:
        shown = describe(value) if not isinstance(value, float) else "not a usable number"
        report.add("bad-score", None, f"{name}.{key}", detail=shown)
        return 0, None
    if value >= 0 and float(value).is_integer():
        return int(value), None
    return 0, float(value)


def _plan(columns: Columns) -> Plan | None:
    query, hits = columns.query, columns.first(HITS)
    if query is None or hits is None:
        return None
    reader = HitsReader(query, hits, columns.query_id(query), columns.names.get("prompt"))
    used = {query, hits, reader.query_id, reader.prompt}
    return plan_for("query-hits", reader, columns, used)


SHAPE = Shape(
    "query-hits",
    "query, hits[{content, label}]; question, ctxs[{title, text, score, has_answer}]",
    "RAG-Retrieval, DPR's runs",
    order=20,
    plan=_plan,
)
