"""An open index, what is found in it, and what the data set knows of the query. Torch-free."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.records import Index
from workbench.data.digests import of_bytes, of_strings
from workbench.errors import BadInput, ModelUnusable
from workbench.evaluation.texts import join_documents
from workbench.model_kinds import scoring
from workbench.models.contract import Scorer
from workbench.search.fields import Fields, parse
from workbench.search.index_types import Mask, Searchable
from workbench.search.plan import PlannedIndex
from workbench.search.protocol import Hit
from workbench.search.texts import Documents, as_rows

if TYPE_CHECKING:
    from workbench.workspace import Workspace


# Keeps the last few things used in memory.

T = TypeVar("T")


class LruCache(Generic[T]):
    """The last few things used, by key; the one unused for longest goes first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[str, T] = OrderedDict()
        self._marks: dict[str, object] = {}

    def get(self, key: str, make: Callable[[], T], mark: object = None) -> T:
        """The thing of that key, made where it is not kept, or was kept with another ``mark``."""
        if key in self._kept and self._marks[key] != mark:
            del self._kept[key]
        if key not in self._kept:
            while len(self._kept) >= self._size:
                self._marks.pop(self._kept.popitem(last=False)[0])
            self._kept[key] = make()
        self._marks[key] = mark
        self._kept.move_to_end(key)
        return self._kept[key]

    def keys(self) -> list[str]:
        return list(self._kept)


# The best documents of an index: by score, then by document id.

Scores = NDArray[np.float32]
Positions = NDArray[np.int64]

#: More are asked for than wanted, so that equal scores at the end can be told apart by id.
_SPARE = 16
#: Where very many documents score the same, their order is settled among this many.
_MOST = 20_000


def contenders(
    index: Searchable, vector: Scores, top_k: int, mask: Mask | None = None
) -> tuple[Positions, Scores]:
    """The documents that can be among the ``top_k`` best for one query (d,), of those in ``mask``.

    These are ``top_k``, and those that score the same as the last of them.
    """
    want = min(top_k + _SPARE, len(index))
    while True:
        scores, positions = index.search(vector, want, mask)
        if not len(scores):
            return positions, scores
        tied = len(scores) == want > top_k and scores[-1] == scores[top_k - 1]
        if not tied or want >= min(len(index), _MOST):
            keep = scores >= scores[min(top_k, len(scores)) - 1]
            return positions[keep], scores[keep]
        want = min(want * 4, len(index), _MOST)


def order(ids: list[str], scores: Scores, top_k: int) -> list[int]:
    """Positions of the ``top_k`` best: highest score first, equal ones by id."""
    return sorted(range(len(ids)), key=lambda place: (-scores[place], ids[place]))[:top_k]


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


@dataclass(frozen=True)
class OpenIndex:
    """An opened index: what is asked, its documents, and what the data set knows of queries; None
    where the data set was removed."""

    record: Index
    searcher: PlannedIndex
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
    def _masks(self) -> LruCache[Mask]:
        return LruCache(_MASKS_KEPT)

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


# Whether anything was written to the workspace's records since: two looks at the file system
# instead of ten queries per search.


def generation(workspace: "Workspace") -> object:
    """A value that is another one after each write; for a database elsewhere, at each call."""
    file = workspace.store.database.file
    if file is None:
        return object()
    seen = []
    for path in _files(file):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue  # The log is not there while nobody has written.
        seen.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(seen)


@lru_cache(maxsize=8)
def _files(database: Path) -> tuple[Path, Path]:
    """The database and its log: putting the path together takes longer than looking."""
    return database, database.with_name(f"{database.name}-wal")


# The second stage of a search: a reranker or a late-interaction model re-ranks what the index
# found. Torch-free: the model is handed in, loaded.

_DAMAGED = "Its weights may be damaged, or its training went wrong. Choose another second stage."


def check_kind(name: str, kind: str) -> None:
    """Raises :class:`ModelUnusable` for a model that cannot be a second stage."""
    if kind not in scoring():
        raise ModelUnusable(
            f"'{name}' is an {kind} model and cannot be a second stage.",
            "Choose a reranker or a late-interaction model, or build an index with this one.",
        )


def no_encoder(name: str, kind: str) -> ModelUnusable:
    """A model that gives no vectors, where an index is to be built."""
    return ModelUnusable(
        f"'{name}' is a {kind} model; an index is built with an embedding model.",
        "It can order what an index finds: choose it as second stage of a search.",
    )


def check_candidates(candidates: int, top_k: int, most: int) -> None:
    """Raises :class:`BadInput` where the second stage would see fewer than are to be shown."""
    if not 1 <= candidates <= most:
        raise BadInput(f"candidates must be between 1 and {most}.", "50 is usual.")
    if candidates < top_k:
        raise BadInput(
            f"The reranker sees {candidates} documents, but {top_k} are requested.",
            "Raise the candidates to at least top_k, or ask for fewer documents.",
        )


def score_documents(scorer: Scorer, name: str, query: str, documents: Any) -> NDArray[np.float32]:
    """How well each document of an Arrow table (n rows; title, text) answers the query: (n,).

    A document without any text is scored like the others. Raises :class:`ModelUnusable` where a
    score is not a finite number: there would be no order.
    """
    texts = join_documents(documents, scorer.contract).to_pylist()
    if not texts:
        return np.empty(0, dtype=np.float32)
    pairs = np.stack([np.zeros(len(texts), np.int64), np.arange(len(texts))], axis=1)
    scores = np.asarray(scorer.score([query], texts, pairs), dtype=np.float32)
    if wrong := int(np.count_nonzero(~np.isfinite(scores))):
        raise ModelUnusable(
            f"The second stage '{name}' gave {wrong} of {len(texts)} documents a score that is not"
            " a finite number.",
            _DAMAGED,
        )
    return scores
