"""Queries with all that belongs to them, as an export writes them: a batch at a time."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from workbench.data.edges import cuts
from workbench.data.reader import DatasetReader
from workbench.data.splits import SPLITS
from workbench.jobs.reporting import JobContext

Array = np.ndarray[Any, Any]
#: Edges whose texts are held at a time.
BATCH = 50_000


@dataclass(frozen=True, slots=True)
class Linked:
    """A document of a query. ``score`` is a teacher's, None where there is none."""

    text: str
    id: str
    grade: int
    score: float | None = None
    judged: bool = True


@dataclass(slots=True)
class QueryRow:
    """``positives`` are judged relevant; ``others`` are the candidates that are not, and what was
    judged 0."""

    id: str
    text: str
    prompt: str | None
    #: Its own columns.
    fields: dict[str, Any] = field(default_factory=dict)
    positives: list[Linked] = field(default_factory=list)
    others: list[Linked] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every document has a teacher's score."""
        linked = [*self.positives, *self.others]
        return bool(linked) and all(one.score is not None for one in linked)


def query_rows(reader: DatasetReader, split: str, context: JobContext) -> Iterator[QueryRow]:
    """The split's queries in their order. Memory holds one batch of them."""
    count = reader.manifest.splits[split]
    start = reader.manifest.start(split)
    done = sum(reader.manifest.splits[name] for name in SPLITS[: SPLITS.index(split)])
    total = sum(reader.manifest.splits.values())
    for first, stop in cuts(_edge_counts(reader, start, count), BATCH):
        context.progress(done + first, total, "queries", f"writing {split}")
        context.check_cancelled()
        yield from _batch(reader, split, start + first, start + stop)


def joined(title: str | None, text: str) -> str:
    """Title and text as one, as models are given them."""
    return f"{title}\n{text}" if title and text else title or text


def _edge_counts(reader: DatasetReader, start: int, count: int) -> Array:
    counts = np.ones(count, np.int64)
    for kind in ("judgments", "candidates"):
        for edges in reader.iter_edges(kind):
            rows = edges["query"].to_numpy() - start
            counts += np.bincount(rows[(rows >= 0) & (rows < count)], minlength=count)
    return counts


def _batch(reader: DatasetReader, split: str, first: int, stop: int) -> list[QueryRow]:
    judgments = reader.edges("judgments", first, stop)
    candidates = reader.edges("candidates", first, stop)
    texts = _texts(reader, [judgments, candidates])
    begin = reader.manifest.start(split)
    queries = reader.queries_between(split, first - begin, stop - begin).to_pylist()
    rows = [
        QueryRow(one["id"], one["text"], one["prompt"], json.loads(one["fields"] or "{}"))
        for one in queries
    ]
    scores = {
        (one["query"], one["document"]): one["score"]
        for one in candidates.select(["query", "document", "score"]).to_pylist()
    }
    judged = set()
    for one in judgments.to_pylist():
        key = one["query"], one["document"]
        judged.add(key)
        row = rows[key[0] - first]
        id, text = texts[key[1]]
        linked = Linked(text, id, one["grade"], scores.get(key))
        (row.positives if one["grade"] > 0 else row.others).append(linked)
    for key, score in scores.items():
        if key not in judged:
            id, text = texts[key[1]]
            rows[key[0] - first].others.append(Linked(text, id, 0, score, False))
    return rows


def _texts(reader: DatasetReader, edges: list[pa.Table]) -> dict[int, tuple[str, str]]:
    """Document -> id and text."""
    wanted = np.unique(np.concatenate([table["document"].to_numpy() for table in edges])).tolist()
    table = reader.documents_at(wanted).select(["id", "title", "text"])
    columns = (table[name].to_pylist() for name in ("id", "title", "text"))
    return {
        row: (id, joined(title, text))
        for row, id, title, text in zip(wanted, *columns, strict=True)
    }
