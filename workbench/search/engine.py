"""Answers searches from loaded models and indexes. Imports torch: the resident worker only."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.records import Index
from workbench.errors import ModelUnusable, SearchUnavailable
from workbench.models.contract import Contract
from workbench.models.load import LoadedEmbedding, load_embedding
from workbench.models.resolve import resolve
from workbench.search.ranking import contenders, order
from workbench.search.registry import FILE
from workbench.search.results import Hit, SearchResult
from workbench.workspace import Workspace

T = TypeVar("T")
_MODELS_KEPT = 2
_INDEXES_KEPT = 4
_REBUILD = "Build the index again."


class Kept(Generic[T]):
    """The last few things used, by key; the one unused for longest goes first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[str, T] = OrderedDict()

    def get(self, key: str, make: Callable[[], T]) -> T:
        if key not in self._kept:
            while len(self._kept) >= self._size:
                self._kept.popitem(last=False)
            self._kept[key] = make()
        self._kept.move_to_end(key)
        return self._kept[key]

    def keys(self) -> list[str]:
        return list(self._kept)


class Known:
    """A data set version's queries and judgments, to mark what is known to be relevant."""

    def __init__(self, reader: Any) -> None:
        queries: pa.Table = reader.queries()
        self._texts = pc.utf8_trim_whitespace(queries.column("text"))
        self._rows = queries.column("row").to_numpy()
        judgments: pa.Table = reader.judgments()
        self._query = judgments.column("query").to_numpy()
        self._document = judgments.column("document").to_numpy()
        self._grade = judgments.column("grade").to_numpy()

    def relevant(self, text: str) -> set[int] | None:
        """Rows of the documents judged relevant to this query; None if it is not in the data."""
        same = pc.equal(self._texts, pa.scalar(text.strip(), self._texts.type))
        rows = self._rows[pc.indices_nonzero(same).to_numpy()]
        if not len(rows):
            return None
        return {document for row in rows.tolist() for document in self._judged(row)}

    def _judged(self, query: int) -> list[int]:
        first, last = np.searchsorted(self._query, [query, query + 1])
        found: list[int] = self._document[first:last][self._grade[first:last] >= 1].tolist()
        return found


@dataclass(frozen=True)
class OpenIndex:
    """An index in memory with the data set version it was built from."""

    record: Index
    faiss: Any
    reader: Any
    known: Known


class Engine:
    """Loads on use and keeps a few; one search at a time, since each takes all cores."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._models: Kept[LoadedEmbedding] = Kept(_MODELS_KEPT)
        self._indexes: Kept[OpenIndex] = Kept(_INDEXES_KEPT)
        self._lock = threading.Lock()

    def search(self, names: list[str], query: str, top_k: int) -> list[SearchResult]:
        """The best documents of each index for one query."""
        with self._lock:
            return [self._search(name, query, top_k) for name in names]

    def warm(self, names: list[str]) -> None:
        """Load what searching these indexes needs."""
        with self._lock:
            for name in names:
                opened = self._open(name)
                self._model(opened).encode(["warm"], "query")

    def loaded(self) -> dict[str, list[str]]:
        return {"models": self._models.keys(), "indexes": self._indexes.keys()}

    def _search(self, name: str, query: str, top_k: int) -> SearchResult:
        # The clock starts after loading: what a first search waits for is not the search's time.
        opened = self._open(name)
        model = self._model(opened)
        started = time.perf_counter()
        vector = model.encode([query], "query")[0]
        encoded = time.perf_counter()
        hits, known = self._hits(opened, vector, query, top_k)
        ended = time.perf_counter()
        return SearchResult(
            hits=hits,
            milliseconds={
                "encode": (encoded - started) * 1000,
                "search": (ended - encoded) * 1000,
                "total": (ended - started) * 1000,
            },
            model=opened.record.model,
            index=opened.record.name,
            query=query,
            known_relevant=None if known is None else len(known),
        )

    def _hits(
        self, opened: OpenIndex, vector: NDArray[np.float32], query: str, top_k: int
    ) -> tuple[list[Hit], set[int] | None]:
        rows, scores = contenders(opened.faiss, vector, top_k)
        documents = opened.reader.documents_at(rows.tolist())
        ids, titles, texts = (documents[name].to_pylist() for name in ("id", "title", "text"))
        known = opened.known.relevant(query)
        hits = [
            Hit(
                id=ids[place],
                row=int(rows[place]),
                score=float(scores[place]),
                title=titles[place] or "",
                text=texts[place] or "",
                relevant=None if known is None else int(rows[place]) in known,
            )
            for place in order(ids, scores, top_k)
        ]
        return hits, known

    def _open(self, name: str) -> OpenIndex:
        record = self._workspace.indexes.get(name)
        return self._indexes.get(record.id, lambda: self._read(record))

    def _read(self, record: Index) -> OpenIndex:
        path = self._workspace.path(record.path) / FILE
        if not path.is_file():
            raise SearchUnavailable(f"The file of the index '{record.name}' is gone.", _REBUILD)
        reader = self._workspace.datasets.read(record.dataset_id, record.version)
        return OpenIndex(record, faiss.read_index(str(path)), reader, Known(reader))

    def _model(self, opened: OpenIndex) -> LoadedEmbedding:
        record = opened.record
        wanted = record.model_id or record.model
        loaded = self._models.get(wanted, lambda: self._load(wanted))
        if loaded.dimensions != opened.faiss.d:
            raise ModelUnusable(
                f"The model '{record.model}' is no longer the one the index '{record.name}' was"
                " built with.",
                _REBUILD,
            )
        return loaded.with_contract(Contract.model_validate(record.contract))

    def _load(self, model: str) -> LoadedEmbedding:
        return load_embedding(
            resolve(self._workspace, model),
            trust_remote_code=self._workspace.trust_remote_code,
        )
