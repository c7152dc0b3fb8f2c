"""What a proposal is like, in numbers: for the page, the command line and the job's record."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.mining.proposal import EARLIER, NEGATIVE, POSITIVE

BINS = 24


def summary(table: pa.Table, left_out: dict[str, int]) -> dict[str, Any]:
    """``table`` as in the proposal; ``left_out``: documents by the rule that they failed."""
    parts = table["part"].cast(pa.string())
    each = {name: table.filter(pc.equal(parts, name)) for name in (POSITIVE, NEGATIVE, EARLIER)}
    negatives = each[NEGATIVE]
    queries = pc.count_distinct(table["query"]).as_py()
    higher = pc.greater(negatives["score"], negatives["positive_score"])
    scores = {name: _numbers(each[name]) for name in (POSITIVE, NEGATIVE)}
    return {
        "queries": queries,
        "negatives": negatives.num_rows,
        "earlier": each[EARLIER].num_rows,
        "queries_by_negatives": _per_query(negatives, queries),
        "left_out": left_out,
        "above_positive": int(pc.sum(pc.fill_null(higher, False)).as_py() or 0),
        "scores": {name: _spread(values) for name, values in scores.items()},
        "histogram": _histogram(scores),
    }


def _per_query(negatives: pa.Table, queries: int) -> dict[str, int]:
    """How many queries have how many negatives; keys are text, as JSON has them."""
    _, counts = np.unique(negatives["query"].to_numpy(), return_counts=True)
    sizes, times = np.unique(counts, return_counts=True)
    found = {str(size): int(n) for size, n in zip(sizes.tolist(), times.tolist(), strict=True)}
    none = queries - len(counts)
    return ({"0": none} if none else {}) | found


def _numbers(table: pa.Table) -> Any:
    return table["score"].drop_null().to_numpy().astype(np.float64)


def _spread(values: Any) -> dict[str, float] | None:
    if not len(values):
        return None
    names = ("min", "p25", "median", "p75", "max")
    cuts = np.quantile(values, [0, 0.25, 0.5, 0.75, 1]).tolist()
    return {"mean": float(values.mean()), **dict(zip(names, cuts, strict=True))}


def _histogram(scores: dict[str, Any]) -> dict[str, Any] | None:
    """Both on one scale."""
    every = np.concatenate(list(scores.values()))
    if not len(every) or every.min() == every.max():
        return None
    edges = np.linspace(every.min(), every.max(), BINS + 1)
    counted = {name: np.histogram(one, edges)[0].tolist() for name, one in scores.items()}
    return {"edges": edges.tolist(), **counted}
