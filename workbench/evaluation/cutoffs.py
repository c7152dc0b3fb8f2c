"""A run measured at several cutoffs at once, by ``ir_measures``. Torch-free."""

from collections.abc import Mapping, Sequence

import ir_measures
import numpy as np
from ir_measures import AP, RR, Measure, Success, nDCG
from numpy.typing import NDArray

from workbench.comparison.matrix import MEASURED
from workbench.evaluation.metrics import BLOCK


def cut_scores(
    queries: Sequence[int] | NDArray[np.int64],
    ranked: NDArray[np.int64],
    judgments: Mapping[int, Mapping[int, int]],
    cutoffs: Sequence[int],
) -> list[dict[str, float]]:
    """Means over the queries at each cutoff: {"k", "hit_rate", "mrr", "map", "ndcg"}.

    ``ranked``: (n, depth) document rows, best first, -1 where a query found fewer. All queries are
    judged. Grades from 1 on are relevant; NDCG weighs them.
    """
    names: dict[Measure, tuple[int, str]] = {}
    for k in cutoffs:
        names |= {Success(rel=1) @ k: (k, "hit_rate"), RR(rel=1) @ k: (k, "mrr")}
        names |= {AP(rel=1) @ k: (k, "map"), nDCG @ k: (k, "ndcg")}
    sums = dict.fromkeys(names.values(), 0.0)
    deepest = max(cutoffs)
    for start in range(0, len(queries), BLOCK):
        part = [int(query) for query in queries[start : start + BLOCK]]
        qrels = {
            str(query): {str(document): int(grade) for document, grade in judgments[query].items()}
            for query in part
        }
        # Scores in ranking order: the measures' providers break ties each in a way of their own.
        run = {
            str(query): {
                str(document): float(deepest - rank)
                for rank, document in enumerate(row[:deepest].tolist())
                if document >= 0
            }
            for query, row in zip(part, ranked[start : start + BLOCK], strict=True)
        }
        for one in ir_measures.iter_calc(list(names), qrels, run):
            sums[names[one.measure]] += one.value
    return [{"k": k, **{name: sums[k, name] / len(queries) for name in MEASURED}} for k in cutoffs]
