"""The types of index: how each is planned, and what builds and searches it. Neither torch nor
FAISS is imported: forms, recipes and plans need to know of types, and only workers of vectors."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from workbench.errors import BadInput
from workbench.extensions import Registry

#: Vectors (n, d), or one (d,).
Vectors = NDArray[np.float32]
#: Vectors read, trained or added at a time.
BLOCK = 20_000
#: Marks documents of an index by position (n,).
Mask = NDArray[np.bool_]
#: Scores and positions of documents, best first.
Nearest = tuple[NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Plan:
    """How one index is made and searched.

    ``structure``: the name of its type. ``dimensions``: of the vectors as they are indexed;
    ``cut``: whether that is fewer than the model gives; ``normalize``: whether cut vectors are
    brought to length 1 again. ``train_rows``: how many vectors it is trained on. ``parameters``:
    those of its type. ``notes``: what was decided otherwise than asked, in sentences.
    """

    structure: str
    dimensions: int
    cut: bool = False
    normalize: bool = True
    train_rows: int = 0
    parameters: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As in an index's record: the parameters stand among the other values."""
        own = {name: getattr(self, name) for name in _PLANNED}
        return {**own, **self.parameters, "notes": list(self.notes)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Plan":
        own = {name: values[name] for name in _PLANNED if name in values}
        parameters = {name: values[name] for name in values.keys() - {*_PLANNED, "notes"}}
        return cls(**own, parameters=parameters, notes=tuple(values.get("notes", ())))


_PLANNED = ("structure", "dimensions", "cut", "normalize", "train_rows")


class Searchable(Protocol):
    """Documents' vectors that can be searched."""

    def __len__(self) -> int: ...

    def search(self, query: Vectors, want: int, mask: Mask | None = None) -> Nearest:
        """The best ``want`` documents for one query (d,) by dot product, or another score of which
        more is better; with a ``mask`` (n,), only among the documents it marks. Fewer than ``want``
        only where no more are left."""
        ...


class VectorIndex(Searchable, Protocol):
    """An index of documents' vectors, in memory or opened from its files.

    A document is known by its position, from 0. Vectors (n, d) are float32 and have the plan's
    dimensions. ``search`` is asked for 1 to as many documents as are marked.
    """

    def __init__(self, plan: Plan) -> None:
        """An empty index."""
        ...

    @classmethod
    def read(cls, plan: Plan, folder: Path, mapped: bool) -> Self:
        """The index in this folder: to be searched, with its files mapped into memory where that is
        possible (``mapped``), or to be changed. Raises FileNotFoundError where a file is lost."""
        ...

    def train(self, sample: Vectors) -> None:
        """Learn from ``plan.train_rows`` of the vectors; not called where that is 0."""
        ...

    def add(self, vectors: Vectors) -> None:
        """Append documents."""
        ...

    def remove(self, gone: Mask) -> None:
        """Take out the documents marked in ``gone`` (n,); those after them move up."""
        ...

    def write(self, folder: Path) -> None:
        """Write its files into an index's new folder."""
        ...


@dataclass(frozen=True, slots=True)
class IndexRequest:
    """What an index is planned for: so many documents, their vectors' dimensions as indexed, and
    the recipe's fields for experts."""

    documents: int
    dimensions: int
    probes: int | None = None
    code_bytes: int | None = None
    rescore: int = 0


def _no_parameters(_request: IndexRequest) -> dict[str, int]:
    return {}


def _no_training(_documents: int, _parameters: Mapping[str, int]) -> int:
    return 0


def _suits(_documents: int) -> None:
    return None


@dataclass(frozen=True, slots=True)
class IndexType:
    """A type of index: what a recipe's ``structure`` chooses.

    ``implementation``: the class of its :class:`VectorIndex`, or where it is ('module:class').
    ``bytes_per_vector``: what an index of this plan takes in memory while it is built, per
    document. ``parameters``: those of its own, kept in the plan; may raise :class:`BadInput`.
    ``train_rows``: from the number of documents and the parameters, how many it is trained on.
    ``instead``: for a number of documents that does not suit it, the type to take and a sentence
    why. ``remedy``: what to do about low recall. ``outgrown``: whether it is built anew, instead of
    changed, once half of the documents it was laid out for have changed. ``step``: documents added
    at a time, between which a job can be stopped.
    """

    name: str
    label: str
    help: str
    implementation: "str | type[VectorIndex]"
    bytes_per_vector: Callable[[Plan], float]
    parameters: Callable[[IndexRequest], dict[str, int]] = _no_parameters
    train_rows: Callable[[int, Mapping[str, int]], int] = _no_training
    instead: Callable[[int], tuple[str, str] | None] = _suits
    remedy: str = ""
    outgrown: bool = False
    step: int = BLOCK

    def load(self) -> "type[VectorIndex]":
        """The class that builds and searches it; FAISS comes with those of ours."""
        if not isinstance(self.implementation, str):
            return self.implementation
        module, _, name = self.implementation.partition(":")
        loaded: type[VectorIndex] = getattr(import_module(module), name)
        return loaded


# The types that FAISS implements.

#: A product quantizer learns 256 centres per byte; FAISS wants 39 documents for each of them.
PQ_NEEDS = 256 * 39
#: Below this many documents a query is compared with all of them in a millisecond or so.
FEW = 1_000
#: Documents that a list of an IVF index is trained on, and the most in all.
PER_LIST, TRAINED_MOST = 48, 200_000
LINKS, SEARCH_EFFORT = 32, 96
_FAISS = "workbench.search.faiss_indexes"


def _faiss(**chosen: int) -> dict[str, int]:
    """Parameters as they are recorded: those that a type does not use are 0."""
    names = ("lists", "probes", "links", "effort", "code_bytes", "rescore")
    return {**dict.fromkeys(names, 0), **chosen}


def _lists(request: IndexRequest) -> dict[str, int]:
    """FAISS's rule of thumb, but with enough documents to learn each list's centre from."""
    documents = request.documents
    lists = max(1, min(round(4 * math.sqrt(documents)), documents // 39))
    return {"lists": lists, "probes": min(lists, request.probes or max(8, lists // 16))}


def _code_bytes(request: IndexRequest) -> int:
    dimensions, wanted = request.dimensions, request.code_bytes
    if wanted is None:
        # The largest divisor up to a quarter of the dimensions.
        return max(m for m in range(1, max(1, dimensions // 4) + 1) if dimensions % m == 0)
    if dimensions % wanted:
        fits = ", ".join(str(m) for m in range(1, dimensions + 1) if dimensions % m == 0)
        raise BadInput(
            f"code_bytes is {wanted}, but {dimensions} dimensions are no multiple of it.",
            f"Choose one of {fits}.",
        )
    return wanted


def _train_all(documents: int, _parameters: Mapping[str, int]) -> int:
    return min(documents, TRAINED_MOST)


def _train_lists(documents: int, parameters: Mapping[str, int]) -> int:
    return min(documents, TRAINED_MOST, PER_LIST * parameters["lists"])


def _train_codes(documents: int, parameters: Mapping[str, int]) -> int:
    return min(documents, TRAINED_MOST, max(2 * PQ_NEEDS, PER_LIST * parameters["lists"]))


def _without_codes(documents: int) -> tuple[str, str] | None:
    if documents >= PQ_NEEDS:
        return None
    return "sq8", (
        f"PQ needs at least {PQ_NEEDS:,} documents to train on and there are {documents:,}: "
        "each dimension is stored in one byte (SQ8) instead."
    )


def _without_lists(documents: int) -> tuple[str, str] | None:
    if documents >= FEW:
        return None
    return "flat", (
        f"With {documents:,} documents there is nothing to divide into lists: the search is "
        "exact instead."
    )


def _pq_bytes(plan: Plan) -> float:
    return plan.parameters["code_bytes"] + 8


_PQ_REMEDY = "Rebuild it with more code bytes, or as ‘fast’ or ‘exact’."

#: All types of index: recipes' choices, forms, plans and the reference follow from it.
INDEX_TYPES = Registry(
    "index type",
    [
        IndexType(
            "flat",
            "Flat (exact)",
            "Compares the query with every document.",
            f"{_FAISS}:FlatIndex",
            bytes_per_vector=lambda plan: 4 * plan.dimensions,
            parameters=lambda _: _faiss(),
        ),
        IndexType(
            "hnsw",
            "HNSW graph",
            "Walks a graph that links each document to its nearest ones.",
            f"{_FAISS}:HnswIndex",
            # The lowest level has twice as many links, of four bytes each.
            bytes_per_vector=lambda plan: 4 * plan.dimensions + 8 * plan.parameters["links"],
            parameters=lambda _: _faiss(links=LINKS, effort=SEARCH_EFFORT),
            remedy="The preset ‘exact’ misses none.",
            # A graph grows slowly: small steps keep 'stop' quick.
            step=500,
        ),
        IndexType(
            "ivf",
            "IVF lists",
            "Divides the documents into lists, and searches those nearest to the query.",
            f"{_FAISS}:IvfIndex",
            bytes_per_vector=lambda plan: 4 * plan.dimensions + 8,
            parameters=lambda request: _faiss(**_lists(request)),
            train_rows=_train_lists,
            instead=_without_lists,
            remedy="Rebuild it with more probes, or as ‘exact’, which misses none.",
            outgrown=True,
        ),
        IndexType(
            "sq8",
            "SQ8, one byte a dimension",
            "Rounds each dimension to one of 256 values, and compares the query with every "
            "document.",
            f"{_FAISS}:Sq8Index",
            bytes_per_vector=lambda plan: plan.dimensions,
            parameters=lambda _: _faiss(),
            train_rows=_train_all,
            outgrown=True,
        ),
        IndexType(
            "pq",
            "PQ codes",
            "Stores each document as codes of parts of its vector (product quantization).",
            f"{_FAISS}:IvfPqIndex",
            bytes_per_vector=_pq_bytes,
            # A single list: FAISS's own PQ index cannot search among chosen documents, and centred
            # on the mean the codes lose a little less.
            parameters=lambda request: _faiss(lists=1, probes=1, code_bytes=_code_bytes(request)),
            train_rows=_train_codes,
            instead=_without_codes,
            remedy=_PQ_REMEDY,
            outgrown=True,
        ),
        IndexType(
            "ivfpq",
            "IVF lists of PQ codes",
            "Divides the documents into lists, and stores them as PQ codes there.",
            f"{_FAISS}:IvfPqIndex",
            bytes_per_vector=_pq_bytes,
            parameters=lambda request: _faiss(**_lists(request), code_bytes=_code_bytes(request)),
            train_rows=_train_codes,
            instead=_without_codes,
            remedy=_PQ_REMEDY,
            outgrown=True,
        ),
        IndexType(
            "binary",
            "Binary, one bit a dimension",
            "Compares the signs of the dimensions, and rescores the best with int8 vectors.",
            f"{_FAISS}:BinaryIndex",
            bytes_per_vector=lambda plan: (
                plan.dimensions / 8 + (plan.dimensions if plan.parameters["rescore"] else 0)
            ),
            parameters=lambda request: _faiss(rescore=request.rescore),
            train_rows=_train_all,
            remedy="Rebuild it with a larger rescore, or as ‘exact’, which misses none.",
        ),
    ],
)


def structures() -> tuple[str, ...]:
    """What a recipe's ``structure`` may be."""
    return ("auto", *INDEX_TYPES.names())
