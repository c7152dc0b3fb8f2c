"""Asks a finished index on disk, all structures alike. Imports FAISS: worker processes only."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss as untyped
import numpy as np
from numpy.typing import NDArray

from workbench.search.plan import BUILD_EFFORT, Plan
from workbench.search.registry import FILE
from workbench.search.vectors import BLOCK, Spool, Vectors, fitted

# Makes, fills and changes FAISS indexes as a plan says. Imports FAISS: worker processes only.
#
# A document's number in an index is its position in the index's own list of documents; removing
# some closes the gaps, so that positions always run from 0.

# What FAISS's Python wrappers take is not what its type stubs say.
faiss: Any = untyped
#: A binary index's int8 vectors, read only for the documents that are scored again.
RESCORE_FILE = "rescore.faiss"
#: k-means gains little after so many rounds.
_ROUNDS = 10
_IP = faiss.METRIC_INNER_PRODUCT
Tell = Callable[[str], None]
Mask = NDArray[np.bool_]


class Built:
    """A FAISS index being made or changed, and for a binary one the vectors it rescores with."""

    def __init__(self, plan: Plan, main: Any, second: Any = None) -> None:
        self.plan = plan
        self.main = main
        self.second = second

    @property
    def rows(self) -> int:
        return int(self.main.ntotal)

    def train(self, sample: Vectors) -> None:
        """Learn from some documents' vectors (n, d), as the model gave them."""
        for one in (self.main, self.second):
            if one is not None and not one.is_trained:
                one.train(fitted(self.plan, sample))

    def add(self, vectors: Vectors) -> None:
        """Append documents' vectors (n, d), as the model gave them."""
        ready = fitted(self.plan, vectors)
        self.main.add(bits(ready) if self.plan.structure == "binary" else ready)
        if self.second is not None:
            self.second.add(ready)

    def remove(self, gone: Mask) -> None:
        """Take out the documents marked in ``gone`` (n,); those after them move up."""
        if not gone.any():
            return
        if self.plan.structure == "hnsw":
            self.main = _without(self.main, self.plan, gone)
            return
        packed = np.packbits(gone, bitorder="little")
        for one in (self.main, self.second):
            if one is not None:
                one.remove_ids(faiss.IDSelectorBitmap(packed))
        if self.plan.lists:
            _renumber(self.main, gone)

    def write(self, folder: Path) -> int:
        """Write beside and rename; the files' bytes."""
        save = faiss.write_index_binary if self.plan.structure == "binary" else faiss.write_index
        size = _write(save, self.main, folder / FILE)
        if self.second is not None:
            size += _write(faiss.write_index, self.second, folder / RESCORE_FILE)
        return size


def make(plan: Plan) -> Built:
    """An empty index as planned."""
    d = plan.dimensions
    if plan.structure == "binary":
        second = faiss.IndexScalarQuantizer(d, faiss.ScalarQuantizer.QT_8bit, _IP)
        return Built(plan, faiss.IndexBinaryFlat(_whole_bytes(d)), second if plan.rescore else None)
    return Built(plan, _MAKERS[plan.structure](plan))


def read(plan: Plan, folder: Path) -> Built:
    """An index read whole into memory, to be changed."""
    if plan.structure == "binary":
        second = folder / RESCORE_FILE
        main = faiss.read_index_binary(str(folder / FILE))
        return Built(plan, main, faiss.read_index(str(second)) if second.is_file() else None)
    return Built(plan, faiss.read_index(str(folder / FILE)))


def build(plan: Plan, spool: Spool, tell: Tell, done: Callable[[int], None]) -> Built:
    """Train where needed, then add all vectors; ``tell`` says which, ``done`` how many are in."""
    built = make(plan)
    if plan.train_rows:
        tell("Training the index")
        built.train(spool.sample(plan.train_rows, seed=13))
    tell("Filling the index")
    fill(built, spool, done)
    return built


def fill(built: Built, spool: Spool, done: Callable[[int], None]) -> None:
    """Add all vectors of a spool."""
    # A graph grows slowly: small steps keep 'stop' quick.
    step = 500 if built.plan.structure == "hnsw" else BLOCK
    added = 0
    for block in spool.blocks():
        for start in range(0, len(block), step):
            part = block[start : start + step]
            built.add(part)
            added += len(part)
            done(added)


def bits(vectors: Vectors) -> NDArray[np.uint8]:
    """The sign of each dimension as a bit: (n, d) -> (n, d / 8 rounded up)."""
    return np.packbits(vectors > 0, axis=1)


def _whole_bytes(dimensions: int) -> int:
    return (dimensions + 7) // 8 * 8


def _flat(plan: Plan) -> Any:
    return faiss.IndexFlatIP(plan.dimensions)


def _hnsw(plan: Plan) -> Any:
    index = faiss.IndexHNSWFlat(plan.dimensions, plan.links, _IP)
    index.hnsw.efConstruction = BUILD_EFFORT
    index.hnsw.efSearch = plan.effort
    return index


def _ivf(plan: Plan) -> Any:
    index = faiss.IndexIVFFlat(_flat(plan), plan.dimensions, plan.lists, _IP)
    return _sparing(index, plan)


def _sq8(plan: Plan) -> Any:
    return faiss.IndexScalarQuantizer(plan.dimensions, faiss.ScalarQuantizer.QT_8bit, _IP)


def _ivfpq(plan: Plan) -> Any:
    """Also plain PQ, as a single list: FAISS's own PQ index cannot search among chosen documents,
    and centred on the mean the codes lose a little less."""
    index = faiss.IndexIVFPQ(_flat(plan), plan.dimensions, plan.lists, plan.code_bytes, 8, _IP)
    index.pq.cp.niter = _ROUNDS
    return _sparing(index, plan)


_MAKERS = {
    "flat": _flat,
    "hnsw": _hnsw,
    "ivf": _ivf,
    "sq8": _sq8,
    "pq": _ivfpq,
    "ivfpq": _ivfpq,
}


def _sparing(index: Any, plan: Plan) -> Any:
    index.cp.niter = _ROUNDS
    index.nprobe = plan.probes
    return index


def _without(index: Any, plan: Plan, gone: Mask) -> Any:
    """A graph cannot forget: it is drawn anew from the vectors that stay."""
    made = _hnsw(plan)
    for start in range(0, index.ntotal, BLOCK):
        count = min(BLOCK, index.ntotal - start)
        vectors = index.reconstruct_n(start, count)
        made.add(vectors[~gone[start : start + count]])
    return made


def _renumber(index: Any, gone: Mask) -> None:
    """Give the documents left in the lists the numbers they have without those that are gone."""
    new = np.cumsum(~gone) - 1
    lists = index.invlists
    for number in range(index.nlist):
        size = lists.list_size(number)
        if size:
            ids = faiss.rev_swig_ptr(lists.get_ids(number), size)
            ids[:] = new[ids]


def _write(save: Callable[[Any, str], None], index: Any, path: Path) -> int:
    partial = path.with_name(f"{path.name}.partial")
    save(index, str(partial))
    return partial.rename(path).stat().st_size


Found = tuple[NDArray[np.float32], NDArray[np.int64]]
#: Where a filter leaves fewer than this many documents, or less than this share of them, all of
#: them are compared: quicker than walking lists or a graph that mostly lead elsewhere, and exact.
_FEW, _SHARE = 5_000, 0.1


class Searcher:
    """An opened index. Files are mapped into memory where FAISS can: what is not asked for is not
    read, and the system may take the memory back."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        _read_ahead(folder / FILE)
        self._main = _open(plan, folder)
        rescore = folder / RESCORE_FILE
        self._second = (
            faiss.read_index(str(rescore), faiss.IO_FLAG_MMAP_IFC) if rescore.is_file() else None
        )
        if plan.lists:
            self._main.nprobe = plan.probes

    @property
    def ntotal(self) -> int:
        return int(self._main.ntotal)

    def search(self, vector: Vectors, want: int, mask: Mask | None = None) -> Found:
        """The best ``want`` documents for one query (d,) as the model gave it: scores and
        positions, best first. With a ``mask`` (n,), only among the documents it marks.

        There are fewer than ``want`` only where no more are left: an approximate structure that
        finds fewer under a mask is asked on, in the end for all of them.
        """
        query = fitted(self.plan, vector[None, :])
        open_ = self.ntotal if mask is None else int(np.count_nonzero(mask))
        want = min(want, open_)
        if not want:
            return np.empty(0, np.float32), np.empty(0, np.int64)
        if self.plan.structure == "binary":
            return self._binary(query, want, mask)
        packed = None if mask is None else np.packbits(mask, bitorder="little")
        selector = None if packed is None else faiss.IDSelectorBitmap(packed)
        narrow = mask is not None and open_ < max(_FEW, _SHARE * self.ntotal)
        if not narrow:
            found = self._asked(query, want, selector)
            if len(found[1]) >= want:
                return found
        return self._all(query, want, selector)

    def _asked(self, query: Vectors, want: int, selector: Any) -> Found:
        """As the structure searches by itself."""
        if self.plan.structure == "hnsw":
            effort = max(self.plan.effort, want)
            params = faiss.SearchParametersHNSW(sel=selector, efSearch=effort)
        elif self.plan.lists:
            params = faiss.SearchParametersIVF(sel=selector, nprobe=self.plan.probes)
        else:
            params = faiss.SearchParameters(sel=selector)
        return _kept(*self._main.search(query, want, params=params))

    def _all(self, query: Vectors, want: int, selector: Any) -> Found:
        """Comparing every document that is open."""
        if self.plan.structure == "hnsw":
            storage = faiss.downcast_index(self._main.storage)
            return _kept(*storage.search(query, want, params=faiss.SearchParameters(sel=selector)))
        if self.plan.lists:
            params = faiss.SearchParametersIVF(sel=selector, nprobe=self.plan.lists)
            return _kept(*self._main.search(query, want, params=params))
        return _kept(*self._main.search(query, want, params=faiss.SearchParameters(sel=selector)))

    def _binary(self, query: Vectors, want: int, mask: Mask | None) -> Found:
        open_ = self.ntotal if mask is None else int(np.count_nonzero(mask))
        more = min(open_, want * max(1, self.plan.rescore))
        packed = None if mask is None else np.packbits(mask, bitorder="little")
        selector = None if packed is None else faiss.IDSelectorBitmap(packed)
        params = faiss.SearchParameters(sel=selector) if selector is not None else None
        distances, rows = (one[0] for one in self._main.search(bits(query), more, params=params))
        distances, rows = distances[rows >= 0], rows[rows >= 0]
        if self._second is None:
            # The share of equal bits, from -1 to 1, so that more is better here too.
            scores = (1 - 2 * distances / self.plan.dimensions).astype(np.float32)
        else:
            scores = self._second.reconstruct_batch(rows) @ query[0]
        order = np.lexsort((rows, -scores))[:want]
        return scores[order], rows[order].astype(np.int64)


def _open(plan: Plan, folder: Path) -> Any:
    path = str(folder / FILE)
    if plan.structure == "binary":
        return faiss.read_index_binary(path, faiss.IO_FLAG_MMAP_IFC)
    # Codes in one piece are mapped by one flag, lists of them by the other.
    if not plan.lists:
        return faiss.read_index(path, faiss.IO_FLAG_MMAP_IFC)
    index = faiss.read_index(path, faiss.IO_FLAG_MMAP)
    # FAISS would start 32 threads for each query to read its lists ahead, which costs ten times
    # the search where they are in memory already.
    faiss.downcast_InvertedLists(index.invlists).prefetch_nthread = 0
    return index


def _read_ahead(path: Path) -> None:
    """Ask the system to have a mapped file in its cache by the time of the first search, if there
    is memory to spare. It reads while others go on, and gives the memory to who needs it."""
    if hasattr(os, "posix_fadvise"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)


def _kept(scores: Any, rows: Any) -> Found:
    """One query's answers without FAISS's fillers."""
    there = rows[0] >= 0
    return scores[0][there], rows[0][there]
