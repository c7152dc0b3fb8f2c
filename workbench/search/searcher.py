"""Asks a finished index on disk, all structures alike. Imports FAISS: worker processes only."""

import os
from pathlib import Path
from typing import Any

import faiss as untyped
import numpy as np
from numpy.typing import NDArray

from workbench.search.plan import Plan
from workbench.search.registry import FILE
from workbench.search.structures import RESCORE_FILE, Mask, bits
from workbench.search.vectors import Vectors, fitted

# What FAISS's Python wrappers take is not what its type stubs say.
faiss: Any = untyped
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
