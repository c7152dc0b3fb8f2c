"""Retrieval metrics per query, by ``ir_measures``, from a ranking that is already decided.

The ranking is by score, then document id. The providers behind ``ir_measures`` break ties in
different ways, so they never see the scores: they get strictly decreasing ones in our order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ir_measures
import numpy as np
from ir_measures import AP, RR, Measure, R, Success, nDCG
from numpy.typing import NDArray

from workbench.comparison.matrix import MEASURED
from workbench.comparison.names import METRICS
from workbench.errors import BadInput

#: Binary metrics count grades from 1 on as relevant; NDCG weighs the grades themselves.
MEASURES = {
    "map@100": AP(rel=1) @ 100,
    "mrr@10": RR(rel=1) @ 10,
    "ndcg@10": nDCG @ 10,
    "recall@10": R(rel=1) @ 10,
    "recall@100": R(rel=1) @ 100,
    "hit_rate@5": Success(rel=1) @ 5,
    "hit_rate@10": Success(rel=1) @ 10,
}
#: Deeper than this no metric looks.
DEPTH = 100
#: Queries handed to ir_measures at once: its dictionaries are large.
BLOCK = 1000

#: query row -> {document row: grade}
Judgments = Mapping[int, Mapping[int, int]]


@dataclass(frozen=True, slots=True)
class Scores:
    """Per-query values. ``queries`` (n,) rows of judged queries; ``values[metric]`` (n,)."""

    queries: NDArray[np.int64]
    values: dict[str, NDArray[np.float64]]
    #: Queries left out because nothing is judged relevant to them.
    unjudged: int

    def means(self) -> dict[str, float]:
        return {metric: float(values.mean()) for metric, values in self.values.items()}


def score_run(
    queries: Sequence[int] | NDArray[np.int64],
    ranked: NDArray[np.int64],
    judgments: Judgments,
) -> Scores:
    """Measure a run.

    ``queries``: (n,) query rows. ``ranked``: (n, k) document rows, best first, -1 where a query
    found fewer than k. Queries without a document of grade >= 1 are left out and counted.
    Raises :class:`BadInput` when that leaves none.
    """
    judged = [at for at, query in enumerate(queries) if _has_relevant(judgments.get(int(query)))]
    if not judged:
        raise BadInput(
            "None of the queries has a relevant document, so nothing can be measured.",
            "Give at least one query of this split a judgment of grade 1 or more.",
        )
    rows = np.array([int(queries[at]) for at in judged], dtype=np.int64)
    values = {metric: np.zeros(len(rows)) for metric in METRICS}
    for start in range(0, len(rows), BLOCK):
        block = slice(start, start + BLOCK)
        _score_block(rows[block], ranked[judged[block]], judgments, values, start)
    return Scores(rows, values, unjudged=len(queries) - len(rows))


def _score_block(
    queries: NDArray[np.int64],
    ranked: NDArray[np.int64],
    judgments: Judgments,
    values: dict[str, NDArray[np.float64]],
    start: int,
) -> None:
    relevant = {
        str(at): {str(document): int(grade) for document, grade in judgments[int(query)].items()}
        for at, query in enumerate(queries)
    }
    run = {str(at): _decreasing(documents) for at, documents in enumerate(ranked)}
    names = {measure: metric for metric, measure in MEASURES.items()}
    for one in ir_measures.iter_calc(list(names), relevant, run):
        values[names[one.measure]][start + int(one.query_id)] = one.value


def _decreasing(documents: NDArray[np.int64]) -> dict[str, float]:
    found = documents[documents >= 0]
    return {str(document): float(len(found) - rank) for rank, document in enumerate(found)}


def _has_relevant(grades: Mapping[int, int] | None) -> bool:
    return grades is not None and any(grade >= 1 for grade in grades.values())


# A run measured at several cutoffs at once, by ``ir_measures``.


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
