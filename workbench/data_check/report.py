"""The report of a data check: findings with examples, each with the fixes it offers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from workbench.jobs.files import write_json

Array = np.ndarray[Any, Any]
Severity = Literal["error", "warning", "note"]
#: Examples of one finding, and characters of each text that are kept.
EXAMPLES = 20
CLIP = 300
#: In the job's folder: the report, and the rows that each fix changes.
REPORT = "report.json"
ROWS = "fixes.npz"
#: How many columns the rows of each kind of change have.
WIDTHS = {
    "drop_queries": 1,
    "same_queries": 2,
    "same_documents": 2,
    "drop_judgments": 2,
    "drop_candidates": 2,
    "drop_pairs": 1,
}


@dataclass(frozen=True, slots=True)
class Fix:
    """One change a person can ask for. ``rows``: kind of change -> rows of the version.

    ``same_queries`` pairs a query with the earlier one that takes over what was judged for it.
    """

    code: str
    sentence: str
    rows: Mapping[str, Any] = field(repr=False)

    @property
    def counts(self) -> dict[str, int]:
        return {kind: len(self.rows[kind]) for kind in self.rows if len(self.rows[kind])}

    def to_dict(self) -> dict[str, Any]:
        return {"code": self.code, "sentence": self.sentence, "counts": self.counts}


@dataclass(frozen=True, slots=True)
class Example:
    """Rows of the version and (role, text) of each; ``note`` says what is special about it."""

    rows: Mapping[str, int]
    texts: Iterable[tuple[str, str]]
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        texts = [{"role": role, "text": clip(text)} for role, text in self.texts]
        return {"rows": dict(self.rows), "texts": texts, "note": self.note}


@dataclass(frozen=True, slots=True)
class Finding:
    """``count`` of ``of`` such things are concerned."""

    code: str
    severity: Severity
    count: int
    of: int
    sentence: str
    examples: list[Example] = field(default_factory=list)
    fixes: list[Fix] = field(default_factory=list)

    @property
    def share(self) -> float:
        return self.count / self.of if self.of else 0.0

    def to_dict(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "severity": self.severity,
            "count": self.count,
            "of": self.of,
            "share": round(self.share, 6),
            "sentence": self.sentence,
            "examples": [one.to_dict() for one in self.examples[:EXAMPLES]],
            "fixes": [one.to_dict() for one in self.fixes if one.counts],
        }


def clip(text: str) -> str:
    """A text short enough for an example."""
    return text if len(text) <= CLIP else text[: CLIP - 1] + "…"


def save(folder: Path, report: Mapping[str, Any], findings: Iterable[Finding]) -> None:
    """Write both files; the report last, so that it never exists without the rows of its fixes."""
    arrays = {
        f"{fix.code}.{kind}": numbers(rows, WIDTHS[kind])
        for finding in findings
        for fix in finding.fixes
        for kind, rows in fix.rows.items()
    }
    beside = folder / f"new-{ROWS}"
    np.savez_compressed(beside, **arrays)  # type: ignore[arg-type]
    beside.replace(folder / ROWS)
    write_json(folder / REPORT, dict(report))


def numbers(rows: Any, width: int) -> Array:
    """Rows as an array of that many columns."""
    listed = rows if isinstance(rows, np.ndarray) else list(rows)
    return np.asarray(listed, np.int64).reshape(-1, width)
