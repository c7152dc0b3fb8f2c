"""Which FAISS structure an index gets, and with which parameters. Torch-free and FAISS-free."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from workbench.errors import BadInput
from workbench.recipes.evaluate import IndexRecipe

Structure = Literal["flat", "hnsw", "ivf", "sq8", "pq", "ivfpq", "binary"]

#: A product quantizer learns 256 centres per byte; FAISS wants 39 documents for each of them.
PQ_NEEDS = 256 * 39
#: Below this many documents a query is compared with all of them in a millisecond or so.
FEW = 1_000
#: A graph of more documents than this takes too long to build on a few cores.
GRAPH_MOST = 200_000
#: Documents that a list of an IVF index is trained on, and the most in all.
PER_LIST, TRAINED_MOST = 48, 200_000
LINKS, BUILD_EFFORT, SEARCH_EFFORT = 32, 80, 96


@dataclass(frozen=True, slots=True)
class Plan:
    """How an index is made and asked. Unused parameters are 0.

    ``dimensions``: of the vectors as they are indexed; ``cut``: whether that is fewer than the
    model gives; ``normalize``: whether cut vectors are brought to length 1 again.
    """

    structure: Structure
    dimensions: int
    cut: bool = False
    normalize: bool = True
    lists: int = 0
    probes: int = 0
    links: int = 0
    effort: int = 0
    code_bytes: int = 0
    rescore: int = 0
    train_rows: int = 0
    #: What was decided otherwise than asked, in sentences.
    notes: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "notes": list(self.notes)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Plan":
        return cls(**{**values, "notes": tuple(values.get("notes", ()))})


def make_plan(recipe: IndexRecipe, documents: int, dimensions: int, normalize: bool) -> Plan:
    """The plan for so many documents; raises :class:`BadInput` for parameters that cannot be.

    A structure that needs more documents to learn from than there are gives way to one that does
    not; the plan's notes say so.
    """
    kept = _kept_dimensions(recipe, dimensions)
    structure, notes = _structure(recipe, documents)
    lists = _lists(documents) if structure in ("ivf", "ivfpq") else 1 if structure == "pq" else 0
    quantized = structure in ("pq", "ivfpq")
    return Plan(
        structure=structure,
        dimensions=kept,
        cut=kept < dimensions,
        normalize=normalize,
        lists=lists,
        probes=_probes(recipe, lists),
        links=LINKS if structure == "hnsw" else 0,
        effort=SEARCH_EFFORT if structure == "hnsw" else 0,
        code_bytes=_code_bytes(recipe, kept) if quantized else 0,
        rescore=recipe.rescore if structure == "binary" else 0,
        train_rows=_train_rows(structure, lists, documents),
        notes=notes,
    )


def _kept_dimensions(recipe: IndexRecipe, dimensions: int) -> int:
    kept = recipe.truncate_dim or dimensions
    if kept > dimensions:
        raise BadInput(
            f"truncate_dim is {kept}, but the model's vectors have {dimensions} dimensions.",
            f"Choose fewer than {dimensions}, or leave it empty.",
        )
    return kept


def _structure(recipe: IndexRecipe, documents: int) -> tuple[Structure, tuple[str, ...]]:
    wanted = recipe.structure if recipe.structure != "auto" else _preset(recipe.type, documents)
    if wanted in ("pq", "ivfpq") and documents < PQ_NEEDS:
        return "sq8", (
            f"PQ needs at least {PQ_NEEDS:,} documents to train on and there are {documents:,}: "
            "each dimension is stored in one byte (SQ8) instead.",
        )
    if wanted == "ivf" and documents < FEW:
        return "flat", (
            f"With {documents:,} documents there is nothing to divide into lists: the search is "
            "exact instead.",
        )
    return wanted, ()


def _preset(type: str, documents: int) -> Structure:
    if type == "fast":
        return "hnsw" if documents <= GRAPH_MOST else "ivf"
    if type == "small":
        return "sq8" if documents < 2 * PQ_NEEDS else "ivfpq"
    return "flat"


def _lists(documents: int) -> int:
    """FAISS's rule of thumb, but with enough documents to learn each list's centre from."""
    return max(1, min(round(4 * math.sqrt(documents)), documents // 39))


def _probes(recipe: IndexRecipe, lists: int) -> int:
    return min(lists, recipe.probes or max(8, lists // 16)) if lists else 0


def _code_bytes(recipe: IndexRecipe, dimensions: int) -> int:
    if recipe.code_bytes is None:
        # The largest divisor up to a quarter of the dimensions.
        return max(m for m in range(1, max(1, dimensions // 4) + 1) if dimensions % m == 0)
    if dimensions % recipe.code_bytes:
        fits = ", ".join(str(m) for m in range(1, dimensions + 1) if dimensions % m == 0)
        raise BadInput(
            f"code_bytes is {recipe.code_bytes}, but {dimensions} dimensions are no multiple of "
            "it.",
            f"Choose one of {fits}.",
        )
    return recipe.code_bytes


def _train_rows(structure: Structure, lists: int, documents: int) -> int:
    """How many documents the structure learns from, chosen by chance."""
    if structure in ("pq", "ivfpq"):
        return min(documents, TRAINED_MOST, max(2 * PQ_NEEDS, PER_LIST * lists))
    if structure == "ivf":
        return min(documents, TRAINED_MOST, PER_LIST * lists)
    return min(documents, TRAINED_MOST) if structure in ("sq8", "binary") else 0
