"""What a passage says of itself and its query together: a retriever's score, a rank, a label.

The score is kept as a teacher's. For the rest there is no place, and the report says so once a
file.
"""

from collections.abc import Collection
from typing import Any

from workbench.data.formats.jsonlines import describe
from workbench.data.report import Report
from workbench.data.shapes.fields import SAID_TOGETHER
from workbench.data.shapes.labels import label_number


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
