"""Which documents become negatives: never a positive, nor one with its text."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.evaluation.exact_search import Run
from workbench.mining.rules import Rules, below_positives, choose, screen, to_the_left

SCORES = st.floats(-5, 5, width=32)
MARGINS = st.none() | st.floats(0, 1, width=32)


@st.composite
def found(draw: Any) -> tuple[Run, list[Any], Any, np.ndarray[Any, Any]]:
    """Rankings of up to twelve documents, some empty; positives; texts that some share; floors."""
    documents, queries = draw(st.integers(2, 12)), draw(st.integers(1, 4))
    texts = np.array(draw(st.lists(st.integers(0, 6), min_size=documents, max_size=documents)))
    rows, scores, positives = [], [], []
    for _ in range(queries):
        order = draw(st.permutations(range(documents)))
        there = draw(st.integers(0, documents))
        rows.append([one if at < there else -1 for at, one in enumerate(order)])
        numbers = draw(st.lists(SCORES, min_size=documents, max_size=documents))
        scores.append(sorted(numbers, reverse=True))
        right = draw(st.sets(st.integers(0, documents - 1), min_size=1, max_size=3))
        positives.append(np.array(sorted(right)))
    run = Run(np.array(rows, np.int64), np.array(scores, np.float32))
    floor = np.array(
        draw(st.lists(SCORES | st.just(float("nan")), min_size=queries, max_size=queries)),
        np.float32,
    )
    return run, positives, texts, floor


@given(
    found(),
    st.builds(
        Rules,
        num_negatives=st.integers(1, 5),
        range_min=st.integers(0, 3),
        sampling=st.sampled_from(["top", "random"]),
        absolute_margin=MARGINS,
        relative_margin=MARGINS,
        max_score=st.none() | SCORES,
        min_score=st.none() | SCORES,
    ),
    st.integers(1, 12),
)
@settings(deadline=None)
def test_no_positive_is_ever_a_negative(given: Any, rules: Rules, most: int) -> None:
    run, positives, texts, floor = given
    keys: Callable[[Any], Any] = lambda rows: texts[rows]  # noqa: E731
    screened, gone = screen(run, positives, [[] for _ in positives], keys, most)
    chosen = choose(screened, floor, rules, np.random.default_rng(1))
    for at, right in enumerate(positives):
        line, scores = chosen.run.documents[at], chosen.run.scores[at]
        taken = line[line >= 0]
        assert not np.isin(taken, right).any()
        assert not np.isin(texts[taken], texts[right]).any()
        assert len(np.unique(texts[taken])) == len(taken) <= rules.num_negatives
        assert np.isin(taken, run.documents[at]).all()
        kept = scores[line >= 0]
        assert (np.diff(kept) <= 0).all()
        if rules.max_score is not None:
            assert (kept <= rules.max_score).all()
        if rules.min_score is not None:
            assert (kept >= rules.min_score).all()
        if not np.isnan(floor[at]):
            size = np.abs(floor[at])
            if rules.relative_margin is not None:
                assert (kept <= floor[at] - size * np.float32(rules.relative_margin)).all()
            if rules.absolute_margin is not None:
                assert (kept + np.float32(rules.absolute_margin) <= floor[at]).all()
    # Every document is accounted for: taken out by one rule, or left, or beyond what was looked at.
    there = int((run.documents >= 0).sum())
    assert there >= sum(gone.values()) + int((screened.documents >= 0).sum())


def line(*scores: float) -> Run:
    return Run(np.arange(len(scores))[None, :], np.array([scores], np.float32))


def test_the_first_that_are_left_are_taken_after_the_margins_and_the_range() -> None:
    run = line(0.99, 0.9, 0.8, 0.7, 0.6, 0.5)
    floor = np.array([0.9], np.float32)
    rules = Rules(num_negatives=2, relative_margin=0.05)
    chosen = choose(run, floor, rules, np.random.default_rng(0))
    assert chosen.run.documents.tolist() == [[2, 3]]
    assert chosen.left_out["relative_margin"] == 2
    skipped = choose(run, floor, replace(rules, range_min=1), np.random.default_rng(0))
    assert skipped.run.documents.tolist() == [[3, 4]] and skipped.left_out["range_min"] == 1


def test_a_margin_is_below_a_positive_that_scores_less_than_nothing() -> None:
    """A reranker's logits: five percent of -2 below it is -2.1, not -1.9."""
    run = line(-1.0, -2.05, -2.2)
    rules = Rules(num_negatives=3, relative_margin=0.05)
    chosen = choose(run, np.array([-2.0], np.float32), rules, np.random.default_rng(0))
    assert chosen.run.documents[0].tolist()[:1] == [2] and chosen.left_out["relative_margin"] == 2


def test_sampling_by_chance_follows_the_seed_and_reaches_all() -> None:
    run = line(*np.linspace(1, 0, 10).tolist())
    rules = Rules(num_negatives=3, sampling="random")
    drawn = [
        choose(run, np.array([np.nan], np.float32), rules, np.random.default_rng(seed)).run
        for seed in range(60)
    ]
    assert {one for run in drawn for one in run.documents[0].tolist()} == set(range(10))
    again = choose(run, np.array([np.nan], np.float32), rules, np.random.default_rng(5)).run
    assert again.documents.tolist() == drawn[5].documents.tolist()


def test_gaps_close() -> None:
    run = Run(np.array([[-1, 4, -1, 2]]), np.array([[9, 3, 8, 1]], np.float32))
    closed = to_the_left(run, 3)
    assert closed.documents.tolist() == [[4, 2, -1]]
    assert closed.scores.tolist() == [[3, 1, -np.inf]]


@pytest.mark.parametrize("most", [1, 2])
def test_only_so_many_are_looked_at(most: int) -> None:
    run = line(0.9, 0.8, 0.7, 0.6)
    screened, counts = screen(run, [np.array([0])], [[]], lambda rows: rows, most)
    assert screened.documents.tolist() == [[1, 2][:most]] and counts["judged"] == 1


def test_hard_documents_are_kept_below_the_positive_s_score() -> None:
    found = {
        7: ([1, 2, 3, 4], [0.5, 0.96, 0.94, 0.9]),
        8: ([5], [0.99]),
        9: ([6, 7], [0.2, 0.3]),
        3: ([], []),
        4: ([8], [0.1]),
    }
    positives = {7: 1.0, 8: 1.0, 9: -0.1, 3: 1.0}
    assert below_positives(found, positives, most=2) == {7: [3, 4]}
    assert below_positives(found, positives, most=9) == {7: [3, 4, 1]}
    # A margin of nothing, and scores below 0, of which the limit lies further below.
    assert below_positives(found, {**positives, 9: 0.3}, most=9, margin=0.0)[9] == [7, 6]
    assert below_positives({9: ([6, 7], [-0.2, -0.104])}, {9: -0.1}, most=9) == {9: [6]}
    assert below_positives({}, {}, most=3) == {}
