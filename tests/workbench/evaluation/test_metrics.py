"""Metrics against values worked out by hand, and against ir_measures itself."""

import math

import ir_measures
import numpy as np
import pytest
from numpy.typing import NDArray

from workbench.comparison.names import METRICS, Metric, label
from workbench.errors import BadInput
from workbench.evaluation.metrics import measures, score_run


def test_by_hand() -> None:
    # Query 7: relevant 1 (grade 2), 4 (grade 1), 9 (grade 1, not found); found at ranks 2 and 3.
    ranked = np.array([[3, 1, 4, 5, -1]])
    scores = score_run([7], ranked, {7: {1: 2, 4: 1, 9: 1, 3: 0}})
    found = {metric: values[0] for metric, values in scores.values.items()}
    assert found["map@100"] == pytest.approx((1 / 2 + 2 / 3) / 3)
    assert found["mrr@10"] == pytest.approx(1 / 2)
    gained = 2 / math.log2(3) + 1 / math.log2(4)
    ideal = 2 / math.log2(2) + 1 / math.log2(3) + 1 / math.log2(4)
    assert found["ndcg@10"] == pytest.approx(gained / ideal)
    assert found["recall@10"] == found["recall@100"] == pytest.approx(2 / 3)
    assert found["hit_rate@5"] == found["hit_rate@10"] == 1.0


#: Of trec_eval's published example (github.com/usnistgov/trec_eval, test/out.test.aqc, what it
#: prints with -c): how many documents are relevant, at which ranks they were found ('relstring';
#: query 303 was found six, whose later ranks follow from its interpolated precisions 5/13 and
#: 6/18), and the figures it prints. Of query 301 the first ten ranks are told.
PUBLISHED: dict[int, tuple[int, list[int], dict[str, float]]] = {
    301: (
        474,
        [6, 7],
        {"map@100": 0.0010, "mrr@10": 0.1667, "ndcg@10": 0.1518, "recall@10": 0.0042}
        | {"hit_rate@5": 0, "hit_rate@10": 1},
    ),
    302: (77, [], {}),
    303: (
        10,
        [3, 4, 5, 7, 13, 18],
        {"map@100": 0.2723, "mrr@10": 0.3333, "ndcg@10": 0.3633, "recall@10": 0.4}
        | {"recall@100": 0.6, "hit_rate@5": 1, "hit_rate@10": 1},
    ),
}
#: The means that it prints, over all three: 302 found nothing and counts.
PUBLISHED_MEANS = {"mrr@10": 0.1667, "ndcg@10": 0.1717, "recall@10": 0.1347}
PUBLISHED_MEANS |= {"hit_rate@5": 0.3333, "hit_rate@10": 0.6667}


def published_run(depth: int) -> tuple[NDArray[np.int64], dict[int, dict[int, int]]]:
    """The example's rankings, cut to a depth, and its judgments; relevant documents are numbered
    from 0, all others from 1000."""
    ranked = np.full((3, depth), -1)
    judgments: dict[int, dict[int, int]] = {}
    for row, (query, (relevant, ranks, _)) in enumerate(PUBLISHED.items()):
        judgments[query] = dict.fromkeys(range(relevant), 1)
        if ranks:
            ranked[row] = np.arange(1000, 1000 + depth)
            for place, rank in enumerate(one for one in ranks if one <= depth):
                ranked[row, rank - 1] = place
    return ranked, judgments


def test_trec_evals_published_example() -> None:
    ranked, judgments = published_run(84)
    scores = score_run(list(PUBLISHED), ranked, judgments)
    for row, (_, _, figures) in enumerate(PUBLISHED.values()):
        for metric, printed in figures.items():
            assert round(scores.values[metric][row], 4) == printed, (row, metric)
    for metric, printed in PUBLISHED_MEANS.items():
        assert round(scores.means()[metric], 4) == printed, metric
    # What it prints as map_cut_10, of both queries and on average.
    first_ten, _ = published_run(10)
    cut = score_run(list(PUBLISHED), first_ten, judgments)
    assert [round(one, 4) for one in cut.values["map@100"]] == [0.0010, 0, 0.2005]
    assert round(cut.means()["map@100"], 4) == 0.0671


def test_trec_evals_definitions_by_hand() -> None:
    """Three queries as trec_eval's measures define them: AP is divided by all that is relevant,
    found or not and whatever the cutoff; a gain is the grade itself; nothing found is worth 0."""
    many = dict.fromkeys(range(200), 1)
    judgments = {1: {10: 3, 11: 0, 12: 1, 13: -1}, 2: many, 3: {5: 1}}
    ranked = np.full((3, 120), -1)
    ranked[0, :4] = 11, 12, 13, 10
    ranked[1] = np.arange(120)
    scores = score_run([1, 2, 3], ranked, judgments)
    gained = 1 / math.log2(3) + 3 / math.log2(5)
    expected = {
        "map@100": [(1 / 2 + 2 / 4) / 2, 100 / 200, 0],
        "mrr@10": [1 / 2, 1, 0],
        "ndcg@10": [gained / (3 + 1 / math.log2(3)), 1, 0],
        "recall@10": [1, 10 / 200, 0],
        "recall@100": [1, 100 / 200, 0],
        "hit_rate@5": [1, 1, 0],
        "hit_rate@10": [1, 1, 0],
    }
    assert scores.queries.tolist() == [1, 2, 3]
    for metric, values in expected.items():
        assert scores.values[metric].tolist() == pytest.approx(values), metric
        assert scores.means()[metric] == pytest.approx(sum(values) / 3), metric


def test_cutoffs() -> None:
    ranked = np.arange(100)[None, :]
    first = score_run([0], ranked, {0: {5: 1}})
    assert first.values["hit_rate@5"][0] == 0 and first.values["hit_rate@10"][0] == 1
    late = score_run([0], ranked, {0: {10: 1, 99: 1}})
    assert late.values["mrr@10"][0] == 0 and late.values["recall@100"][0] == 1
    assert late.values["map@100"][0] == pytest.approx((1 / 11 + 2 / 100) / 2)


@pytest.mark.parametrize("depth", [100, 3])
def test_against_ir_measures_directly(depth: int) -> None:
    """With three ranks many queries are alike, and some find fewer than there is room for."""
    random = np.random.default_rng(0)
    ranked = np.array([random.permutation(400)[:depth] for _ in range(1300)])
    ranked[random.random(ranked.shape) < 0.05] = -1
    queries = random.permutation(5000)[:1300]
    judgments = {
        int(query): {int(one): int(random.integers(-1, 4)) for one in random.permutation(400)[:8]}
        for query in queries
    }
    scores = score_run(queries, ranked, judgments)
    kept = {query for query, grades in judgments.items() if max(grades.values()) >= 1}
    assert set(scores.queries.tolist()) == kept
    assert scores.unjudged == len(queries) - len(kept)
    qrels = {str(q): {str(d): g for d, g in judgments[q].items()} for q in kept}
    run = {
        str(query): {str(one): -float(rank) for rank, one in enumerate(documents) if one >= 0}
        for query, documents in zip(queries, ranked, strict=True)
        if query in kept
    }
    expected = ir_measures.calc_aggregate(list(measures().values()), qrels, run)
    single = ir_measures.iter_calc(list(measures().values()), qrels, run)
    named = {(one.query_id, str(one.measure)): one.value for one in single}
    for metric in METRICS.names():
        assert scores.means()[metric] == pytest.approx(expected[measures()[metric]], abs=1e-9)
        wanted = [named[str(query), str(measures()[metric])] for query in scores.queries]
        assert scores.values[metric].tolist() == wanted


def test_ties_are_decided_before_the_providers_see_them() -> None:
    # With equal scores ir_measures' providers disagree; our order says the relevant one is second.
    scores = score_run([0], np.array([[8, 9]]), {0: {9: 1}})
    assert scores.values["mrr@10"][0] == scores.values["map@100"][0] == 0.5


def test_queries_without_relevant_documents_are_left_out_and_counted() -> None:
    scores = score_run([0, 1, 2], np.array([[5], [5], [5]]), {0: {5: 0}, 2: {5: 1}})
    assert scores.queries.tolist() == [2] and scores.unjudged == 2
    assert scores.means()["map@100"] == 1.0


def test_nothing_to_measure() -> None:
    with pytest.raises(BadInput, match="None of the queries"):
        score_run([0], np.array([[5]]), {0: {5: 0}})


@pytest.mark.parametrize("notation", ["Nonsense", "P(rel=", ""])
def test_a_measure_that_is_none_is_named(notation: str) -> None:
    METRICS.register(Metric("odd@5", "Odd", notation))
    try:
        with pytest.raises(BadInput, match="is no measure of ir_measures for 'odd@5'"):
            measures()
    finally:
        METRICS.unregister("odd@5")


def test_a_label_is_that_of_the_first_of_its_name() -> None:
    METRICS.register(Metric("map@20", "Mean AP", "AP(rel=1)"))
    try:
        assert (label("map@100"), label("map@20")) == ("MAP@100", "MAP@20")
    finally:
        METRICS.unregister("map@20")
