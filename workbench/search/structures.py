"""Makes, fills and changes FAISS indexes as a plan says. Imports FAISS: worker processes only.

A document's number in an index is its position in the index's own list of documents; removing
some closes the gaps, so that positions always run from 0.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss as untyped
import numpy as np
from numpy.typing import NDArray

from workbench.search.plan import BUILD_EFFORT, Plan
from workbench.search.registry import FILE
from workbench.search.vectors import BLOCK, Spool, Vectors, fitted

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
