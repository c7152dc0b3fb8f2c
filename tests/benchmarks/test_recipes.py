"""benchmarks/recipes.py: which queries are drawn together, and the interval that comes of it."""

import numpy as np

from benchmarks.recipes import clustered_interval, clusters
from workbench.evaluation.pool import Pool


def test_queries_are_joined_by_the_documents_they_share() -> None:
    judgments = {0: {7: 1}, 1: {7: 1, 8: 1}, 2: {8: 2, 9: 0}, 3: {9: 1}, 4: {9: 0}}
    pool = Pool(np.arange(5), ["?"] * 5, judgments, 10, lambda: iter(()), lambda: np.arange(10))
    found = clusters(pool).tolist()
    assert len(found) == 4, "the last one has nothing relevant"
    assert found[0] == found[1] == found[2] != found[3]


def test_an_interval_is_wider_where_queries_answer_together() -> None:
    chance = np.random.default_rng(0)
    gains = np.repeat(chance.normal(0.1, 1.0, size=50), 10)
    alone = clustered_interval(gains, np.arange(500))
    together = clustered_interval(gains, np.repeat(np.arange(50), 10))
    assert together[1] - together[0] > 2 * (alone[1] - alone[0])
    assert alone[0] < gains.mean() < alone[1]
