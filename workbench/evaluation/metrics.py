"""Retrieval metrics per query, by ``ir_measures``, from a ranking that is already decided.

The ranking is by score, then document id. The providers behind ``ir_measures`` break ties in
different ways, so they never see the scores: they get strictly decreasing ones in our order.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import ir_measures
import numpy as np
from ir_measures import Measure
from numpy.typing import NDArray

from workbench.comparison.matrix import MEASURED
from workbench.comparison.names import METRICS, measure_of
from workbench.errors import BadInput

#: Queries handed to ir_measures at once: its dictionaries are large.
BLOCK = 1000

#: query row -> {document row: grade}
Judgments = Mapping[int, Mapping[int, int]]


def measures() -> dict[str, Measure]:
    """Every metric as ``ir_measures`` has it.

    Binary metrics count grades from 1 on as relevant; NDCG weighs the grades themselves."""
    return {one.name: _measure(one.name, one.measure, one.cutoff) for one in METRICS.all()}


def _measure(name: str, notation: str, cutoff: int) -> Measure:
    try:
        return ir_measures.parse_measure(f"{notation}@{cutoff}")
    except (NameError, ValueError) as error:
        raise BadInput(
            f"'{notation}' is no measure of ir_measures for '{name}': {error}.",
            "Write it as 'P(rel=1)', without the cutoff.",
        ) from error


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
    names = {measure: metric for metric, measure in measures().items()}
    values = {metric: np.zeros(len(rows)) for metric in names.values()}
    for at, measure, value in calculated(list(names), rows, ranked[judged], judgments):
        values[names[measure]][at] = value
    return Scores(rows, values, unjudged=len(queries) - len(rows))


def cut_scores(
    queries: Sequence[int] | NDArray[np.int64],
    ranked: NDArray[np.int64],
    judgments: Judgments,
    cutoffs: Sequence[int],
) -> list[dict[str, float]]:
    """Means over the queries at each cutoff: {"k", "hit_rate", "mrr", "map", "ndcg"}.

    ``ranked``: (n, depth) document rows, best first, -1 where a query found fewer. All queries are
    judged.
    """
    names = {_measure(name, measure_of(name), k): (k, name) for k in cutoffs for name in MEASURED}
    sums = dict.fromkeys(names.values(), 0.0)
    cut = ranked[:, : max(cutoffs)]
    for _at, measure, value in calculated(list(names), queries, cut, judgments):
        sums[names[measure]] += value
    return [{"k": k, **{name: sums[k, name] / len(queries) for name in MEASURED}} for k in cutoffs]


def calculated(
    wanted: Sequence[Measure],
    queries: Sequence[int] | NDArray[np.int64],
    ranked: NDArray[np.int64],
    judgments: Judgments,
) -> Iterator[tuple[int, Measure, float]]:
    """Each query's place in ``queries``, a measure, and its value.

    A query or a document is known to ``ir_measures`` by its row's number, and a document's score
    falls with its rank.
    """
    for start in range(0, len(queries), BLOCK):
        block = range(start, min(start + BLOCK, len(queries)))
        qrels = {
            str(at): {str(document): int(grade) for document, grade in grades.items()}
            for at in block
            for grades in [judgments[int(queries[at])]]
        }
        run = {str(at): _decreasing(ranked[at]) for at in block}
        for one in ir_measures.iter_calc(list(wanted), qrels, run):
            yield int(one.query_id), one.measure, one.value


def _decreasing(documents: NDArray[np.int64]) -> dict[str, float]:
    found = documents[documents >= 0]
    return {str(document): float(len(found) - rank) for rank, document in enumerate(found)}


def _has_relevant(grades: Mapping[int, int] | None) -> bool:
    return grades is not None and any(grade >= 1 for grade in grades.values())
