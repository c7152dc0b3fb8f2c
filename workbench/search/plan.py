"""An index as planned: how a recipe's is, the vectors it is built from, and building, opening and
searching one. FAISS-free until an index is built or opened."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from workbench.errors import BadInput
from workbench.recipes.evaluate import IndexRecipe
from workbench.search.index_types import (
    BLOCK,
    INDEX_TYPES,
    PQ_NEEDS,
    IndexRequest,
    Mask,
    Nearest,
    Plan,
    VectorIndex,
    Vectors,
)

#: A graph of more documents than this takes too long to build on a few cores.
GRAPH_MOST = 200_000
#: Which vectors of a spool an index is trained on.
_SEED = 13


def make_plan(recipe: IndexRecipe, documents: int, dimensions: int, normalize: bool) -> Plan:
    """The plan for so many documents; raises :class:`BadInput` for parameters that cannot be.

    A type that needs more documents than there are gives way to another; the plan's notes say so.
    """
    kept = _kept_dimensions(recipe, dimensions)
    wanted = recipe.structure if recipe.structure != "auto" else _preset(recipe.type, documents)
    notes: tuple[str, ...] = ()
    if (other := INDEX_TYPES.get(wanted).instead(documents)) is not None:
        wanted, notes = other[0], (other[1],)
    chosen = INDEX_TYPES.get(wanted)
    parameters = chosen.parameters(
        IndexRequest(documents, kept, recipe.probes, recipe.code_bytes, recipe.rescore)
    )
    return Plan(
        structure=wanted,
        dimensions=kept,
        cut=kept < dimensions,
        normalize=normalize,
        train_rows=chosen.train_rows(documents, parameters),
        parameters=parameters,
        notes=notes,
    )


def check_memory(plan: Plan, documents: int) -> None:
    """Raises :class:`BadInput` where the machine has less memory than the index takes while it is
    built."""
    needed = documents * INDEX_TYPES.get(plan.structure).bytes_per_vector(plan) / 2**30
    there = psutil.virtual_memory().total / 2**30
    if needed > there:
        raise BadInput(
            f"Building the index takes about {needed:.1f} GiB of memory, and this machine has "
            f"{there:.1f} GiB.",
            "Choose the type 'small', or fewer dimensions.",
        )


def _kept_dimensions(recipe: IndexRecipe, dimensions: int) -> int:
    kept = recipe.truncate_dim or dimensions
    if kept > dimensions:
        raise BadInput(
            f"truncate_dim is {kept}, but the model's vectors have {dimensions} dimensions.",
            f"Choose fewer than {dimensions}, or leave it empty.",
        )
    return kept


def _preset(type: str, documents: int) -> str:
    if type == "fast":
        return "hnsw" if documents <= GRAPH_MOST else "ivf"
    if type == "small":
        return "sq8" if documents < 2 * PQ_NEEDS else "ivfpq"
    return "flat"


class Spool:
    """Vectors (n, d) on disk while an index is built: made once, read as often as needed, in little
    memory. Filled from the front; ``remove`` when done."""

    def __init__(self, path: Path, rows: int, dimensions: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._vectors = np.memmap(path, np.float32, "w+", shape=(max(1, rows), dimensions))
        self.rows = 0

    @property
    def dimensions(self) -> int:
        return int(self._vectors.shape[1])

    def add(self, vectors: Vectors) -> None:
        self._vectors[self.rows : self.rows + len(vectors)] = vectors
        self.rows += len(vectors)

    def at(self, rows: NDArray[np.int64]) -> Vectors:
        """The vectors at these rows; ascending rows are read quickest."""
        return np.array(self._vectors[rows])

    def blocks(self, start: int = 0) -> Iterator[Vectors]:
        """All vectors from ``start`` on, in order."""
        for first in range(start, self.rows, BLOCK):
            yield np.array(self._vectors[first : min(self.rows, first + BLOCK)])

    def sample(self, count: int, seed: int) -> Vectors:
        """So many vectors chosen by chance (all, where there are fewer)."""
        if count >= self.rows:
            return np.array(self._vectors[: self.rows])
        chosen = np.random.default_rng(seed).choice(self.rows, count, replace=False)
        return self.at(np.sort(chosen))

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


class PlannedIndex:
    """A vector index that takes vectors and queries as the model gives them."""

    def __init__(self, plan: Plan, index: VectorIndex) -> None:
        self.plan = plan
        self._index = index

    @classmethod
    def empty(cls, plan: Plan) -> "PlannedIndex":
        return cls(plan, INDEX_TYPES.get(plan.structure).load()(plan))

    @classmethod
    def read(cls, plan: Plan, folder: Path, *, mapped: bool = True) -> "PlannedIndex":
        """The index in this folder: ``mapped`` to be searched, else to be changed. Raises
        FileNotFoundError where a file of it is lost."""
        return cls(plan, INDEX_TYPES.get(plan.structure).load().read(plan, folder, mapped))

    def __len__(self) -> int:
        return len(self._index)

    def fill(self, spool: Spool, tell: Callable[[str], None], done: Callable[[int], None]) -> None:
        """Train where needed, then add all vectors; ``tell`` says which, ``done`` how many are
        in."""
        if self.plan.train_rows:
            tell("Training the index")
            self._index.train(self._fitted(spool.sample(self.plan.train_rows, _SEED)))
        tell("Filling the index")
        step = INDEX_TYPES.get(self.plan.structure).step
        added = 0
        for block in spool.blocks():
            for start in range(0, len(block), step):
                part = block[start : start + step]
                self.add(part)
                added += len(part)
                done(added)

    def add(self, vectors: Vectors) -> None:
        """Append documents' vectors (n, d)."""
        self._index.add(self._fitted(vectors))

    def remove(self, gone: Mask) -> None:
        """Take out the documents marked in ``gone`` (n,); those after them move up."""
        if gone.any():
            self._index.remove(gone)

    def write(self, folder: Path) -> None:
        """Write its files into an index's new folder."""
        self._index.write(folder)

    def search(self, query: Vectors, want: int, mask: Mask | None = None) -> Nearest:
        """The best ``want`` documents for one query (d,): scores and positions, best first. With a
        ``mask`` (n,), only among the documents it marks. Fewer only where no more are left."""
        want = min(want, len(self) if mask is None else int(np.count_nonzero(mask)))
        if not want:
            return np.empty(0, np.float32), np.empty(0, np.int64)
        return self._index.search(self._fitted(query[None, :])[0], want, mask)

    def _fitted(self, vectors: Vectors) -> Vectors:
        """A model's vectors (n, d) as the index holds them: cut, and again of length 1 where the
        model's are."""
        if not self.plan.cut:
            return np.ascontiguousarray(vectors, np.float32)
        cut = np.array(vectors[:, : self.plan.dimensions], np.float32)
        if self.plan.normalize:
            cut /= np.maximum(np.linalg.norm(cut, axis=1, keepdims=True), 1e-12)
        return cut
