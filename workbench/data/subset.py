"""The task 'data-sample': some queries of a data set, with what belongs to them."""

from typing import Any

import numpy as np

from workbench.data.edit import Changes
from workbench.data.edit_plan import plan_of
from workbench.data.reader import DatasetReader
from workbench.data.splits import SPLITS, codes_of
from workbench.data.versions import new_dataset
from workbench.errors import BadInput
from workbench.jobs.reporting import JobContext
from workbench.recipes.data import SampleRowsRecipe

Array = np.ndarray[Any, Any]


def run(recipe: SampleRowsRecipe, context: JobContext) -> dict[str, Any]:
    """Make the sample; returns what ``data add`` does. Raises :class:`BadInput`."""
    datasets = context.workspace.datasets
    reader = datasets.read(recipe.dataset, recipe.dataset_version)
    changes = sample_of(reader, recipe.size, recipe.documents, recipe.seed)
    name = recipe.name or datasets.free_name(f"{recipe.dataset}-sample")
    how = {
        "what": f"a sample of '{reader.name}', version {reader.version}",
        "by": recipe.task,
        "recipe": recipe.model_dump(mode="json"),
    }
    return new_dataset(context, name, plan_of(reader, changes), how)


def sample_of(reader: DatasetReader, size: int, documents: str, seed: int) -> Changes:
    """What has to go; raises :class:`BadInput` where there is no more than that."""
    counts, random = reader.counts, np.random.default_rng(seed)
    what = next((one for one in ("queries", "pairs", "documents") if counts.get(one)), "queries")
    if size >= counts.get(what, 0):
        raise BadInput(
            f"'{reader.name}' has {counts.get(what, 0):,} {what}: a sample has fewer.",
            "Ask for fewer.",
        )
    if what == "documents":
        return Changes(drop_documents=_others(counts["documents"], size, random))
    if what == "pairs":
        codes = codes_of(reader.pairs()["split"].to_pylist())
        return Changes(drop_pairs=np.flatnonzero(~_drawn(codes, size, random)))
    chosen = _drawn(reader.query_codes(), size, random)
    unlinked = np.zeros(0, np.int64)
    if documents == "linked":
        unlinked = np.flatnonzero(~_linked(reader, chosen))
    return Changes(drop_queries=np.flatnonzero(~chosen), drop_documents=unlinked)


def _drawn(codes: Array, size: int, random: np.random.Generator) -> Array:
    """True for ``size`` of the rows: of each split its share, and one at least where it can be."""
    held = np.bincount(codes, minlength=len(SPLITS))
    share = held * size / len(codes)
    wanted = np.floor(share).astype(np.int64)
    # What rounding left over goes to splits that have none yet, then where most was cut off.
    order = np.lexsort((-(share - wanted), (wanted > 0) | (held == 0)))
    for place in order[: size - int(wanted.sum())]:
        wanted[place] += 1
    chosen = np.zeros(len(codes), bool)
    for code, count in enumerate(wanted.tolist()):
        rows = np.flatnonzero(codes == code)
        chosen[random.permutation(rows)[:count]] = True
    return chosen


def _linked(reader: DatasetReader, chosen: Array) -> Array:
    """Which documents belong to a chosen query."""
    linked = np.zeros(reader.counts["documents"], bool)
    for kind in ("judgments", "candidates"):
        for edges in reader.iter_edges(kind):
            mine = chosen[edges["query"].to_numpy()]
            linked[edges["document"].to_numpy()[mine]] = True
    return linked


def _others(count: int, size: int, random: np.random.Generator) -> Array:
    return np.sort(random.permutation(count)[size:])
