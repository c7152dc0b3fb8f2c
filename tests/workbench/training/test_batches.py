"""Batches: every row once an epoch, no false negatives, and as few batches as can be."""

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.training.batches import Batching, RowTexts, expected


def texts(queries: Any, documents: Any, relevant: Any = None) -> RowTexts:
    """``documents``: a row's positive, and negatives; positives are relevant to their queries."""
    asked = np.array(queries, dtype=np.int64)
    read = np.array(documents, dtype=np.int64).reshape(len(asked), -1)
    pairs = {(q, d) for q, d in zip(asked.tolist(), read[:, 0].tolist(), strict=True)}
    pairs |= set(relevant or ())
    return RowTexts(asked, read, np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2))


def meet_wrongly(rows: RowTexts, one: int, other: int) -> bool:
    """Whether two rows may not share a batch, by the plain definition."""
    relevant = {(int(q), int(d)) for q, d in rows.relevant}
    return rows.queries[one] == rows.queries[other] or any(
        (int(rows.queries[a]), int(document)) in relevant
        for a, b in ((one, other), (other, one))
        for document in rows.documents[b]
    )


@st.composite
def some_rows(draw: st.DrawFn) -> RowTexts:
    count = draw(st.integers(1, 40))
    width = draw(st.integers(1, 3))
    some = draw(st.integers(1, 30))
    number = st.integers(0, some)
    queries = draw(st.lists(number, min_size=count, max_size=count))
    documents = draw(st.lists(number, min_size=count * width, max_size=count * width))
    more = draw(st.sets(st.tuples(number, number), max_size=20))
    return texts(queries, documents, more)


@settings(max_examples=300, deadline=None)
@given(
    rows=some_rows(),
    size=st.integers(1, 9),
    least=st.integers(1, 2),
    devices=st.integers(1, 4),
    across=st.booleans(),
    seed=st.integers(0, 3),
    epoch=st.integers(0, 3),
)
def test_what_always_holds(
    rows: RowTexts, size: int, least: int, devices: int, across: bool, seed: int, epoch: int
) -> None:
    made = Batching(rows, size, least=least, devices=devices, across=across, seed=seed)
    batches = made.epoch(epoch)
    assert len(batches) == len(made) and len(made) % devices == 0
    seen = [row for batch in batches for row in batch.tolist()]
    assert len(seen) == len(set(seen)) >= 0.99 * (len(rows) - made.left_out)
    assert epoch or len(seen) == len(rows) - made.left_out
    assert all(1 <= len(batch) <= size for batch in batches)
    turns = [batches[at : at + devices] for at in range(0, len(batches), devices)]
    if across:
        assert all(len({len(batch) for batch in turn}) == 1 for turn in turns)
        wholes = [np.concatenate(turn) for turn in turns]
    else:
        wholes = batches
    for whole in wholes:
        assert len(whole) >= least
        assert not any(meet_wrongly(rows, a, b) for a, b in combinations(whole.tolist(), 2))
    again = Batching(rows, size, least=least, devices=devices, across=across, seed=seed)
    for one, other in zip(batches, again.epoch(epoch), strict=True):
        assert one.tolist() == other.tolist()


@settings(max_examples=200, deadline=None)
@given(counts=st.lists(st.integers(1, 30), min_size=1, max_size=20), size=st.integers(1, 9))
def test_rows_of_queries_fill_batches(counts: list[int], size: int) -> None:
    queries = [query for query, count in enumerate(counts) for _ in range(count)]
    made = Batching(texts(queries, range(len(queries))), size)
    seen = len(queries) - made.left_out
    full = math.ceil(0.75 * min(size, len(counts)))
    half = 2 * (seen - len(counts)) <= len(queries) <= 2 * seen
    assert half or seen >= full * (len(made) - 1)
    # Nothing is left out without need, no query ever, and each row has its turn.
    assert made.left_out == 0 or len(queries) < full * max(counts)
    assert expected(made.rows.queries, made.rows.documents[:, 0], size, 1) == (seen, len(made))
    found = set()
    for epoch in range(max(counts)):
        rows = np.concatenate(made.epoch(epoch))
        found |= set(rows.tolist())
        assert len({queries[row] for row in rows.tolist()}) == len(counts)
    assert len(found) == len(queries)


def sizes(made: Batching, epoch: int = 0) -> list[int]:
    return [len(batch) for batch in made.epoch(epoch)]


@pytest.mark.parametrize("least", [1, 2])
def test_one_query_with_many_rows_does_not_shrink_the_batches(least: int) -> None:
    """150 queries with a document each, and one with 20, which would make 20 batches of 8."""
    rows = texts([0] * 20 + list(range(1, 151)), range(170))
    made = Batching(rows, 32, least=least)
    assert (len(made), made.left_out) == (6, 14)
    assert min(sizes(made)) >= 24
    seen = {int(row) for epoch in range(4) for batch in made.epoch(epoch) for row in batch}
    assert len(seen) == 170


@pytest.mark.parametrize(("least", "kept"), [(1, 510), (2, 40)])
def test_one_query_with_most_of_the_rows_takes_turns(least: int, kept: int) -> None:
    """Half of all rows stay, unless too few others are there for a batch to have two."""
    rows = texts([0] * 1000 + list(range(1, 21)), range(1020))
    made = Batching(rows, 32, least=least)
    assert (len(made), made.left_out) == (kept - 20, 1020 - kept)
    seen = {int(row) for epoch in range(50) for batch in made.epoch(epoch) for row in batch}
    assert len(seen) == 1020


@pytest.mark.parametrize("least", [1, 2])
def test_few_answers_to_many_questions_leave_no_question_out(least: int) -> None:
    """A thousand questions about twenty answers, one of which is that of three hundred."""
    answers = [0] * 300 + [1 + at % 19 for at in range(700)]
    made = Batching(texts(range(1000), answers), 32, least=least)
    assert (len(made), made.left_out) == (300, 0)


@pytest.mark.parametrize("least", [1, 2])
def test_an_epoch_keeps_half_of_the_rows(least: int) -> None:
    """Five queries with 300 rows each: batches three quarters full would have 31 of each."""
    queries = [at // 300 for at in range(1500)] + [5 + at // 2 for at in range(600)]
    made = Batching(texts(queries, range(2100)), 32, least=least)
    assert (len(made), made.left_out) == (90, 1050)


def test_four_queries_with_a_hundred_texts_each_are_all_seen() -> None:
    made = Batching(texts([at // 100 for at in range(400)], range(400)), 32, least=2)
    assert (made.left_out, sizes(made)) == (0, [4] * 100)
    # The same for four documents with a hundred queries each.
    made = Batching(texts(range(400), [at // 100 for at in range(400)]), 32, least=2)
    assert (made.left_out, sizes(made)) == (0, [4] * 100)


def test_batches_are_full_but_the_last_and_no_row_is_left_alone() -> None:
    assert sizes(Batching(RowTexts.unrelated(70), 32)) == [32, 32, 6]
    assert sizes(Batching(RowTexts.unrelated(65), 32)) == [32, 32, 1]
    assert sizes(Batching(RowTexts.unrelated(65), 32, least=2)) == [32, 31, 2]
    odd = Batching(RowTexts.unrelated(5), 2, least=2)
    assert (sizes(odd), odd.left_out) == ([2, 2], 1)


@pytest.mark.parametrize("least", [1, 2])
def test_nothing_can_be_made_of_one_query_alone(least: int) -> None:
    made = Batching(texts([0] * 200, range(200)), 32, least=least)
    assert (len(made), made.left_out) == ((0, 200) if least == 2 else (200, 0))


def test_a_shared_negative_does_not_keep_rows_apart() -> None:
    """It is wrong for both; only a document that is right for one must not meet it."""
    made = Batching(texts(range(64), [(at, 1000) for at in range(64)]), 32)
    assert sizes(made) == [32, 32]
    # Here the shared negative is relevant to the first query, whose row stays by itself.
    made = Batching(texts(range(64), [(at, 0) for at in range(64)]), 32)
    assert made.left_out == 0
    assert 1 in sizes(made)


def test_another_order_in_each_epoch_and_for_each_seed() -> None:
    rows = texts([at // 3 for at in range(90)], range(90))
    orders = [
        [batch.tolist() for batch in Batching(rows, 8, seed=seed).epoch(epoch)]
        for seed, epoch in ((1, 0), (1, 1), (2, 0))
    ]
    assert orders[0] != orders[1] != orders[2] != orders[0]


@pytest.mark.parametrize("devices", [1, 2, 3, 4])
def test_negatives_of_other_devices_see_conflicts(devices: int) -> None:
    """The batches of one turn are one batch to the loss that gathers them."""
    rows = texts([at // 10 for at in range(240)], range(240))
    made = Batching(rows, 4, devices=devices, across=True, seed=5)
    batches = made.epoch(1)
    for at in range(0, len(batches), devices):
        turn = np.concatenate(batches[at : at + devices])
        assert len(set(rows.queries[turn].tolist())) == len(turn) == 4 * devices
    assert made.left_out == 0


def test_many_rows_take_time_by_their_number() -> None:
    """A row finds its batch without looking at all others; a document of 5,000 queries that others
    have as a negative is the hardest case of it."""
    count, hub = 30_000, 5_000
    numbers = np.arange(count)
    positives = np.where(numbers < hub, count, numbers)
    negatives = np.where((numbers >= hub) & (numbers < 2 * hub), count, numbers)
    made = Batching(texts(numbers, np.stack([positives, negatives], axis=1)), 32)
    assert made.left_out == 0
    assert hub <= len(made) <= hub + 2 * hub // 32 + 1
