"""The candidates a data set brings itself, by query, in the order it brings them."""

from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.data.reader import DatasetReader
from workbench.errors import BadInput
from workbench.evaluation.metrics import Judgments
from workbench.evaluation.pool import Pool, Rows
from workbench.evaluation.retrieve import Run
from workbench.recipes.mine import MINED


def given_for_most(reader: DatasetReader, split: str) -> bool:
    """Whether most of the split's queries bring candidates of their own."""
    queries = reader.counts["splits"].get(split, 0)
    having = pc.count_distinct(brought(reader, split)["query"]).as_py()
    return bool(2 * having > queries)


def brought(reader: DatasetReader, split: str) -> Any:
    """The split's candidates (query, document, origin, rank, score) without those that were mined
    here: what a model of this workspace found is nothing to measure the others by."""
    table = reader.candidates(split)
    mined = pc.fill_null(pc.starts_with(table["origin"], MINED), False)
    return table.filter(pc.invert(mined))


def none_given(reader: DatasetReader, split: str) -> BadInput:
    return BadInput(
        f"The {split} queries of '{reader.name}' bring no candidates of their own.",
        "Choose 'bm25' or an embedding model as the first stage.",
    )


def own_candidates(table: Any) -> dict[int, list[int]]:
    """Query row -> the table's candidates, best first; some may be judged relevant."""
    if "rank" in table.column_names:
        table = table.sort_by([("query", "ascending"), ("rank", "ascending")])
    found: dict[int, list[int]] = {}
    columns = (table[name].to_pylist() for name in ("query", "document"))
    for query, document in zip(*columns, strict=True):
        found.setdefault(query, []).append(document)
    return found


def own_run(pool: Pool, own: dict[int, list[int]], k: int | None) -> tuple[Rows, Run]:
    """The pool's queries that bring a wrong candidate (places in the pool), and each one's
    candidates, its own document aside: all of them, or up to ``k``, those judged first, then the
    others by rank.

    The order they are put in is fixed and tells nothing: it is that of a hash of query and
    document. In the data's order the relevant ones would come first, or last.
    """
    shut = np.full(len(pool.queries), -1) if pool.own is None else pool.own
    asked = zip(pool.queries.tolist(), shut.tolist(), strict=True)
    chosen = [_chosen(query, itself, own, pool.judgments, k) for query, itself in asked]
    kept = np.array([at for at, one in enumerate(chosen) if one], dtype=np.int64)
    width = max((len(chosen[at]) for at in kept), default=0)
    documents = np.full((len(kept), width), -1, dtype=np.int64)
    scores = np.full((len(kept), width), -np.inf, dtype=np.float32)
    for row, at in enumerate(kept.tolist()):
        ordered = _shuffled(int(pool.queries[at]), chosen[at])
        documents[row, : len(ordered)] = ordered
        scores[row, : len(ordered)] = -np.arange(len(ordered))
    return kept, Run(documents, scores)


def _chosen(
    query: int, itself: int, own: dict[int, list[int]], judgments: Judgments, k: int | None
) -> list[int]:
    """Empty where nothing is there that is not relevant: any order would be a perfect one."""
    grades = judgments.get(query, {})
    everything = list(dict.fromkeys([*grades, *own.get(query, [])]))
    everything = [one for one in everything if one != itself]
    if all(grades.get(one, 0) >= 1 for one in everything):
        return []
    return everything if k is None else everything[: max(k, len(grades) + 1)]


def _shuffled(query: int, documents: list[int]) -> Rows:
    rows = np.array(documents, dtype=np.int64)
    return rows[np.argsort(_mixed(rows, query), kind="stable")]


def _mixed(rows: Rows, query: int) -> NDArray[np.uint64]:
    """Whole numbers without a pattern, the same wherever it runs (splitmix64's mixer)."""
    seed = (query * 0xD1342543DE82EF95) % 2**64
    mixed = rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
