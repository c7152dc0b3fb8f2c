"""An open index, what is found in it, and what the data set knows of the query. Torch-free."""

import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.records import Index
from workbench.data.digests import of_bytes, of_strings
from workbench.search.fields import Fields
from workbench.search.kept import Kept
from workbench.search.plan import Plan
from workbench.search.ranking import Asked, Mask, contenders, order
from workbench.search.results import Hit
from workbench.search.texts import Documents, as_rows
from workbench.search.where import parse

#: Filters whose documents are remembered, per index.
_MASKS_KEPT = 8
#: A document's columns that a hit has.
_SHOWN = ("id", "title", "text", "picture", "fields")
_NO_DIGESTS = np.empty((0, 2), np.uint64)


class Known:
    """A data set version's queries and judgments, to mark what is known to be relevant."""

    def __init__(self, reader: Any) -> None:
        queries: pa.Table = reader.queries()
        # A text is looked up by its digest: comparing it with a million takes milliseconds.
        texts = pc.utf8_trim_whitespace(queries.column("text"))
        digests = np.concatenate([_NO_DIGESTS, *(of_strings(chunk) for chunk in texts.chunks)])
        in_order = np.argsort(digests[:, 0], kind="stable")
        self._high, self._low = np.ascontiguousarray(digests[in_order].T)
        self._rows = queries.column("row").to_numpy()[in_order]
        judgments: pa.Table = reader.judgments()
        self._query = judgments.column("query").to_numpy()
        self._document = judgments.column("document").to_numpy()
        self._grade = judgments.column("grade").to_numpy()

    def grades(self, text: str) -> dict[int, int] | None:
        """What is judged of this query: documents' rows and their grades, the highest where equal
        queries differ; None if it is not in the data."""
        high, low = of_bytes([text.strip().encode("utf-8", "surrogatepass")])[0]
        first = np.searchsorted(self._high, high, side="left")
        last = np.searchsorted(self._high, high, side="right")
        rows = self._rows[first:last][self._low[first:last] == low]
        if not len(rows):
            return None
        found: dict[int, int] = {}
        for row in rows.tolist():
            first, last = np.searchsorted(self._query, [row, row + 1])
            judged = zip(self._document[first:last], self._grade[first:last], strict=True)
            for document, grade in judged:
                found[int(document)] = max(int(grade), found.get(int(document), 0))
        return found


class Searched(Asked, Protocol):
    """What an index is asked through, and how it was made."""

    plan: Plan


@dataclass(frozen=True)
class OpenIndex:
    """An opened index: what is asked, its documents, and what the data set knows of queries; None
    where the data set was removed."""

    record: Index
    searcher: Searched
    documents: Documents
    known: Known | None

    @property
    def dimensions(self) -> int:
        """Of the vectors its model gives, which may be more than are indexed."""
        return int(self.record.contract.get("dimensions") or self.searcher.plan.dimensions)

    @cached_property
    def fields(self) -> Fields:
        """The documents' own fields; reading them takes a second or so per million documents."""
        columns = self.documents.column("fields")
        return Fields(text for chunk in columns.chunks for text in chunk.to_pylist())

    @cached_property
    def _masks(self) -> Kept[Mask]:
        return Kept(_MASKS_KEPT)

    def mask(self, where: str) -> Mask | None:
        """Which documents a filter leaves; None for no filter. Raises :class:`BadInput`."""
        conditions = parse(where)
        if not conditions:
            return None
        return self._masks.get(where, lambda: self.fields.mask(conditions))


@dataclass(frozen=True)
class Found:
    """Documents found, best first: rows (n,), scores (n,) and their Arrow table (id, title, text,
    picture, fields).

    ``first`` has rank and score of each in the stage before, where there was one.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float32]
    documents: pa.Table
    first: list[tuple[int, float]] | None = None

    def reordered(self, scores: NDArray[np.float32], top_k: int) -> "Found":
        """The ``top_k`` best by a second stage's scores (n,), then by document id."""
        before = [(rank, float(score)) for rank, score in enumerate(self.scores, start=1)]
        places = order(self.documents["id"].to_pylist(), scores, top_k)
        taken = replace(self, scores=scores).taken(places)
        return replace(taken, first=[before[place] for place in places])

    def taken(self, places: list[int]) -> "Found":
        """The documents at these places, in this order."""
        return Found(
            self.rows[places],
            self.scores[places],
            # With a type: that of an empty list is 'null', by which nothing can be taken.
            self.documents.take(pa.array(places, pa.int64())),
        )

    def hits(self, known: dict[int, int] | None) -> list[Hit]:
        """As hits; ``known``: rows and grades of judged documents, None for an unknown query."""
        columns = (self.documents[name].to_pylist() for name in _SHOWN)
        nothing: list[tuple[None, None]] = [(None, None)] * len(self.rows)
        return [
            Hit(
                id=id,
                row=row,
                score=score,
                title=title or "",
                text=text or "",
                relevant=None if known is None else known.get(row, 0) >= 1,
                grade=None if known is None else known.get(row),
                first_rank=rank,
                first_score=before,
                picture=picture or "",
                fields=orjson.loads(own) if own else {},
            )
            for row, score, id, title, text, picture, own, (rank, before) in zip(
                self.rows.tolist(),
                self.scores.tolist(),
                *columns,
                self.first or nothing,
                strict=True,
            )
        ]


def find(
    opened: OpenIndex, vector: NDArray[np.float32], top_k: int, mask: Mask | None = None
) -> Found:
    """The ``top_k`` best of an index for a query's embedding (d,), of the documents in ``mask``:
    by score, then document id."""
    positions, scores = contenders(opened.searcher, vector, top_k, mask)
    # What only ties with the last is told apart by its id; the texts of the others are not read.
    places = order(opened.documents.ids(positions), scores, top_k)
    documents = opened.documents.at(positions[places])
    return Found(as_rows(documents), scores[places], documents)


class Clock:
    """Milliseconds per stage, and in all, from when it was made.

    ``opening``: what was spent before, on the picture that is asked for, in milliseconds.
    """

    def __init__(self, opening: float = 0.0) -> None:
        self._started = self._last = time.perf_counter()
        self._before = opening
        self._laps: dict[str, float] = {"open": opening} if opening else {}

    def lap(self, name: str) -> None:
        """The stage ``name`` has just ended."""
        now = time.perf_counter()
        self._laps[name] = (now - self._last) * 1000
        self._last = now

    def milliseconds(self) -> dict[str, float]:
        return {**self._laps, "total": self._before + (self._last - self._started) * 1000}
