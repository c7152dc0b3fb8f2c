"""A version of a data set: which files make it up, and what was counted while reading them."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from workbench.data.splits import SPLITS

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """Paths are relative to the data set's folder. ``queries`` has a file per split, in the order
    of their row numbers; ``splits`` the number of queries in each. ``pairs`` is empty where there
    are no scored pairs. ``lineage`` says, oldest first, what each version on the way here did."""

    version: int
    format: str
    documents: str
    queries: dict[str, str]
    judgments: str
    candidates: str
    problems: str
    rows: dict[str, int]
    splits: dict[str, int]
    histograms: dict[str, Any]
    problem_counts: dict[str, int]
    notes: list[str]
    sources: list[dict[str, Any]] = field(default_factory=list)
    pairs: str = ""
    lineage: list[dict[str, Any]] = field(default_factory=list)
    schema: int = SCHEMA

    def start(self, split: str) -> int:
        """The row number of a split's first query."""
        return sum(self.splits[name] for name in SPLITS[: SPLITS.index(split)])

    def write(self, path: Path) -> None:
        """Written beside and renamed: a manifest that is there is whole."""
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps(asdict(self), ensure_ascii=False, indent=1), encoding="utf-8")
        beside.replace(path)

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        return cls(**json.loads(path.read_text(encoding="utf-8")))


# Names that columns go by, where several readers must agree on them.

#: Names of the relevant text's own title. The first is what a mapping makes of a title.
OF_POSITIVE = ("pos_title", "positive_title", "passage_title", "document_title", "doc_title")
