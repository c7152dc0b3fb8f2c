"""The types of index that FAISS implements. Imports FAISS: worker processes only."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

import faiss as untyped
import numpy as np
from numpy.typing import NDArray

from workbench.search.index_types import BLOCK, Mask, Nearest, Plan, Vectors

# What FAISS's Python wrappers take is not what its type stubs say.
faiss: Any = untyped
#: The file in an index's folder, and that of a binary index's int8 vectors, which are read only
#: for the documents that are rescored.
FILE, RESCORE_FILE = "index.faiss", "rescore.faiss"
#: k-means gains little after so many rounds.
_ROUNDS = 10
#: How thoroughly a graph's links are chosen.
_BUILD_EFFORT = 80
_IP = faiss.METRIC_INNER_PRODUCT
#: Where a filter leaves fewer than this many documents, or less than this share of them, all of
#: them are compared: quicker than walking lists or a graph that mostly lead elsewhere, and exact.
_FEW, _SHARE = 5_000, 0.1


class FlatIndex:
    """Vectors in one piece, all of which are compared; a base for the others."""

    #: Codes in one piece are mapped by one flag, lists of them by another.
    _MAPPED: ClassVar[int] = faiss.IO_FLAG_MMAP_IFC
    _read: ClassVar[Callable[..., Any]] = staticmethod(faiss.read_index)
    _write: ClassVar[Callable[..., None]] = staticmethod(faiss.write_index)

    def __init__(self, plan: Plan, main: Any = None) -> None:
        """``main`` is the FAISS index; an empty one is made where it is None."""
        self.plan = plan
        self.main: Any = self._make() if main is None else main

    @classmethod
    def read(cls, plan: Plan, folder: Path, mapped: bool) -> Self:
        """The index in this folder. What of a mapped file is not asked for is not read, and the
        system may take the memory back. Raises FileNotFoundError where there is no such file."""
        path = folder / FILE
        if not path.is_file():
            raise FileNotFoundError(path)
        if mapped:
            _read_ahead(path)
        return cls(plan, cls._read(str(path), cls._MAPPED if mapped else 0))

    def __len__(self) -> int:
        return int(self.main.ntotal)

    def train(self, sample: Vectors) -> None:
        self.main.train(sample)

    def add(self, vectors: Vectors) -> None:
        self.main.add(vectors)

    def remove(self, gone: Mask) -> None:
        self.main.remove_ids(_selector(gone))

    def write(self, folder: Path) -> None:
        self._write(self.main, str(folder / FILE))

    def search(self, query: Vectors, want: int, mask: Mask | None = None) -> Nearest:
        """Where the index finds fewer under a mask, it is asked on, in the end for all of them."""
        selector = None if mask is None else _selector(mask)
        marked = len(self) if mask is None else int(np.count_nonzero(mask))
        if mask is None or marked >= max(_FEW, _SHARE * len(self)):
            found = self._ask(query, want, selector)
            if len(found[1]) >= want:
                return found
        return self._ask_all(query, want, selector)

    def _make(self) -> Any:
        """The empty FAISS index."""
        return faiss.IndexFlatIP(self.plan.dimensions)

    def _ask(self, query: Vectors, want: int, selector: Any) -> Nearest:
        """As the index searches by itself."""
        return _asked(self.main, query, want, faiss.SearchParameters(sel=selector))

    def _ask_all(self, query: Vectors, want: int, selector: Any) -> Nearest:
        """Comparing every document that is marked."""
        return self._ask(query, want, selector)


class Sq8Index(FlatIndex):
    """One byte a dimension."""

    def _make(self) -> Any:
        eight_bits = faiss.ScalarQuantizer.QT_8bit
        return faiss.IndexScalarQuantizer(self.plan.dimensions, eight_bits, _IP)


class HnswIndex(FlatIndex):
    """A graph of links between near documents."""

    def _make(self) -> Any:
        index = faiss.IndexHNSWFlat(self.plan.dimensions, self.plan.parameters["links"], _IP)
        index.hnsw.efConstruction = _BUILD_EFFORT
        index.hnsw.efSearch = self.plan.parameters["effort"]
        return index

    def remove(self, gone: Mask) -> None:
        """A graph cannot forget: it is built again from the vectors that stay."""
        made = self._make()
        for start in range(0, len(self), BLOCK):
            count = min(BLOCK, len(self) - start)
            vectors = self.main.reconstruct_n(start, count)
            made.add(vectors[~gone[start : start + count]])
        self.main = made

    def _ask(self, query: Vectors, want: int, selector: Any) -> Nearest:
        effort = max(self.plan.parameters["effort"], want)
        params = faiss.SearchParametersHNSW(sel=selector, efSearch=effort)
        return _asked(self.main, query, want, params)

    def _ask_all(self, query: Vectors, want: int, selector: Any) -> Nearest:
        stored = faiss.downcast_index(self.main.storage)
        return _asked(stored, query, want, faiss.SearchParameters(sel=selector))


class IvfIndex(FlatIndex):
    """Vectors in lists, of which those nearest to the query are searched."""

    _MAPPED = faiss.IO_FLAG_MMAP

    def __init__(self, plan: Plan, main: Any = None) -> None:
        super().__init__(plan, main)
        self.main.cp.niter = _ROUNDS
        self.main.nprobe = plan.parameters["probes"]

    @classmethod
    def read(cls, plan: Plan, folder: Path, mapped: bool) -> Self:
        opened = super().read(plan, folder, mapped)
        if mapped:
            # FAISS would start 32 threads for each query to read its lists ahead, which costs ten
            # times the search where they are in memory already.
            faiss.downcast_InvertedLists(opened.main.invlists).prefetch_nthread = 0
        return opened

    def remove(self, gone: Mask) -> None:
        super().remove(gone)
        # Those left in the lists get the numbers they have without those that are gone.
        new = np.cumsum(~gone) - 1
        lists = self.main.invlists
        for number in range(self.main.nlist):
            size = lists.list_size(number)
            if size:
                ids = faiss.rev_swig_ptr(lists.get_ids(number), size)
                ids[:] = new[ids]

    def _make(self) -> Any:
        plan = self.plan
        coarse = faiss.IndexFlatIP(plan.dimensions)
        return faiss.IndexIVFFlat(coarse, plan.dimensions, plan.parameters["lists"], _IP)

    def _ask(self, query: Vectors, want: int, selector: Any) -> Nearest:
        return self._probe(query, want, selector, self.plan.parameters["probes"])

    def _ask_all(self, query: Vectors, want: int, selector: Any) -> Nearest:
        return self._probe(query, want, selector, self.plan.parameters["lists"])

    def _probe(self, query: Vectors, want: int, selector: Any, lists: int) -> Nearest:
        params = faiss.SearchParametersIVF(sel=selector, nprobe=lists)
        return _asked(self.main, query, want, params)


class IvfPqIndex(IvfIndex):
    """Codes of vectors' parts in lists; in a single one for plain PQ."""

    def _make(self) -> Any:
        d, parameters = self.plan.dimensions, self.plan.parameters
        coarse = faiss.IndexFlatIP(d)
        codes = parameters["code_bytes"]
        index = faiss.IndexIVFPQ(coarse, d, parameters["lists"], codes, 8, _IP)
        index.pq.cp.niter = _ROUNDS
        return index


class BinaryIndex(FlatIndex):
    """One bit a dimension, and int8 vectors to rescore what the bits find."""

    _read = staticmethod(faiss.read_index_binary)
    _write = staticmethod(faiss.write_index_binary)

    def __init__(self, plan: Plan, main: Any = None) -> None:
        super().__init__(plan, main)
        self.int8 = Sq8Index(plan) if plan.parameters["rescore"] else None

    @classmethod
    def read(cls, plan: Plan, folder: Path, mapped: bool) -> Self:
        opened = super().read(plan, folder, mapped)
        path = folder / RESCORE_FILE
        if opened.int8 is not None:
            if not path.is_file():
                raise FileNotFoundError(path)
            opened.int8.main = faiss.read_index(str(path), cls._MAPPED if mapped else 0)
        return opened

    def train(self, sample: Vectors) -> None:
        if self.int8 is not None:
            self.int8.train(sample)

    def add(self, vectors: Vectors) -> None:
        super().add(_bits(vectors))  # type: ignore[arg-type]
        if self.int8 is not None:
            self.int8.add(vectors)

    def remove(self, gone: Mask) -> None:
        super().remove(gone)
        if self.int8 is not None:
            self.int8.remove(gone)

    def write(self, folder: Path) -> None:
        super().write(folder)
        if self.int8 is not None:
            faiss.write_index(self.int8.main, str(folder / RESCORE_FILE))

    def search(self, query: Vectors, want: int, mask: Mask | None = None) -> Nearest:
        marked = len(self) if mask is None else int(np.count_nonzero(mask))
        more = min(marked, want * max(1, self.plan.parameters["rescore"]))
        params = None if mask is None else faiss.SearchParameters(sel=_selector(mask))
        distances, rows = _asked(self.main, _bits(query), more, params)
        if self.int8 is None:
            # The share of equal bits, from -1 to 1, so that more is better here too.
            scores = (1 - 2 * distances / self.plan.dimensions).astype(np.float32)
        else:
            scores = self.int8.main.reconstruct_batch(rows) @ query
        order = np.lexsort((rows, -scores))[:want]
        return scores[order], rows[order].astype(np.int64)

    def _make(self) -> Any:
        return faiss.IndexBinaryFlat((self.plan.dimensions + 7) // 8 * 8)


def _bits(vectors: Vectors) -> NDArray[np.uint8]:
    """The sign of each dimension as a bit: (..., d) -> (..., d / 8 rounded up)."""
    return np.packbits(vectors > 0, axis=-1)


def _selector(mask: Mask) -> Any:
    return faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))


def _asked(index: Any, query: NDArray[Any], want: int, params: Any) -> Nearest:
    """One query's answers without FAISS's fillers."""
    scores, rows = (one[0] for one in index.search(query[None, :], want, params=params))
    there = rows >= 0
    return scores[there], rows[there]


def _read_ahead(path: Path) -> None:
    """Ask the system to have a mapped file in its cache by the time of the first search, if there
    is memory to spare. It reads while others go on, and gives the memory to who needs it."""
    if hasattr(os, "posix_fadvise"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)
