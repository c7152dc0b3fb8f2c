"""Retrieval metrics per query, by ``ir_measures``, from a ranking that is already decided.

The ranking is by score, then document id. The providers behind ``ir_measures`` break ties in
different ways, so they never see the scores: they get strictly decreasing ones in our order.
Nor do they see documents' names, which no measure depends on: a document is called by its rank, so
that queries whose judged documents stand at the same ranks are one query, and are measured once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ir_measures
import numpy as np
from ir_measures import Measure
from numpy.typing import NDArray

from workbench.comparison.matrix import MEASURED
from workbench.comparison.names import METRICS, measure_of
from workbench.data.clusters import relevant_clusters
from workbench.errors import BadInput

#: Queries handed to ir_measures at once: its dictionaries are large.
BLOCK = 1000
#: Ranks compared with judgments at once.
_COMPARED = 4_000_000

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
    #: (n,) numbers of the queries that share relevant documents.
    clusters: NDArray[np.int64]
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
    found = calculated(list(names), rows, ranked[judged], judgments)
    values = {metric: found[measure] for measure, metric in names.items()}
    clusters = relevant_clusters(rows, judgments)
    return Scores(rows, values, clusters, unjudged=len(queries) - len(rows))


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
    names = {(k, name): _measure(name, measure_of(name), k) for k in cutoffs for name in MEASURED}
    found = calculated(list(names.values()), queries, ranked[:, : max(cutoffs)], judgments)
    means = {name: float(found[measure].mean()) for name, measure in names.items()}
    return [{"k": k, **{name: means[k, name] for name in MEASURED}} for k in cutoffs]


def calculated(
    wanted: Sequence[Measure],
    queries: Sequence[int] | NDArray[np.int64],
    ranked: NDArray[np.int64],
    judgments: Judgments,
) -> dict[Measure, NDArray[np.float64]]:
    """Each measure's value for each query (n,), all of which are judged."""
    patterns, which = _patterns(queries, ranked, judgments)
    measures = {str(measure): measure for measure in wanted}
    values = {name: np.zeros(len(patterns)) for name in measures}
    runs: dict[int, dict[str, float]] = {}
    for start in range(0, len(patterns), BLOCK):
        block = range(start, min(start + BLOCK, len(patterns)))
        qrels = {str(at): _grades(patterns[at]) for at in block}
        for at in block:
            found = patterns[at].found
            if found not in runs:
                runs[found] = {str(rank): float(found - rank) for rank in range(found)}
        run = {str(at): runs[patterns[at].found] for at in block}
        for one in ir_measures.iter_calc(list(wanted), qrels, run):
            values[str(one.measure)][int(one.query_id)] = one.value
    return {measure: values[name][which] for name, measure in measures.items()}


@dataclass(frozen=True, slots=True)
class _Pattern:
    """All that a measure sees of a query: how many documents it found, and of each judged one the
    rank from 0, -1 where it was not found, and the grade (n, 2), in that order."""

    found: int
    judged: NDArray[np.int64]


def _patterns(
    queries: Sequence[int] | NDArray[np.int64],
    ranked: NDArray[np.int64],
    judgments: Judgments,
) -> tuple[list[_Pattern], NDArray[np.int64]]:
    """The different ones, and which of them each query has (n,)."""
    grades = [judgments[int(query)] for query in queries]
    counts = np.array([len(one) for one in grades], np.int64)
    total = int(counts.sum())
    documents = np.fromiter((one for some in grades for one in some), np.int64, total)
    asked = np.repeat(np.arange(len(grades)), counts)
    judged = np.empty((total, 2), np.int64)
    judged[:, 0] = _ranks(ranked, asked, documents)
    judged[:, 1] = np.fromiter((one for some in grades for one in some.values()), np.int64, total)
    judged = judged[np.lexsort((judged[:, 1], judged[:, 0], asked))]
    found = (ranked >= 0).sum(axis=1).tolist()
    places: dict[tuple[int, bytes], int] = {}
    patterns: list[_Pattern] = []
    which = np.empty(len(grades), np.int64)
    for at, end in enumerate(np.cumsum(counts).tolist()):
        mine = judged[end - counts[at] : end]
        key = found[at], mine.tobytes()
        if key not in places:
            places[key] = len(patterns)
            patterns.append(_Pattern(found[at], mine))
        which[at] = places[key]
    return patterns, which


def _ranks(
    ranked: NDArray[np.int64], asked: NDArray[np.int64], documents: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Where each document (n,) stands among those of its query, found ones only; -1: nowhere."""
    ranks = np.full(len(documents), -1, np.int64)
    there = ranked >= 0
    # Ranks count what was found: a place may be empty.
    order = np.cumsum(there, axis=1) - 1
    step = max(1, _COMPARED // max(1, ranked.shape[1]))
    for start in range(0, len(documents), step):
        mine = asked[start : start + step]
        at, column = np.nonzero(ranked[mine] == documents[start : start + step, None])
        ranks[start + at] = order[mine[at], column]
    return ranks


def _grades(pattern: _Pattern) -> dict[str, int]:
    """A judged document is called by its rank; those that were not found, by nothing that is
    one."""
    judged = enumerate(pattern.judged.tolist())
    return {str(rank) if rank >= 0 else f"-{at}": grade for at, (rank, grade) in judged}


def _has_relevant(grades: Mapping[int, int] | None) -> bool:
    return grades is not None and any(grade >= 1 for grade in grades.values())
