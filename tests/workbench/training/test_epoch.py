"""What an epoch sees of real rows, and what is said of the rest, before and after."""

from typing import Any

import numpy as np
import pytest

from tests.workbench.training.fakes import FakeReader, animal_splits
from workbench.errors import BadInput
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.recipes.train_kinds import TrainLateInteractionRecipe, TrainRerankerRecipe
from workbench.training.epoch import planned, row_texts, steps, unseen
from workbench.training.rows import build_rows

Queries = list[tuple[str, list[str], list[str]]]


def recipe(**values: Any) -> TrainEmbeddingRecipe:
    return TrainEmbeddingRecipe(**{"dataset": "pets", "batch_size": 32, **values})


def many(positives: int, others: int, *, negatives: bool = False) -> FakeReader:
    """One query with many positives beside others with one."""
    wrong = ["nothing of the kind"] if negatives else []
    big = ("big question", [f"relevant passage {at}" for at in range(positives)], wrong)
    rest: Queries = [(f"question {at}", [f"answer {at}"], wrong) for at in range(others)]
    return FakeReader({"train": [big, *rest]})


@pytest.mark.parametrize("negatives", [False, True])
def test_rows_that_are_left_out_are_told_before(negatives: bool) -> None:
    made = planned(many(40, 300, negatives=negatives), recipe(), 1)
    assert (len(made), made.left_out) == (13, 27)
    (said,) = unseen(recipe(), made)
    assert said == (
        "27 of 340 training rows are left out of each epoch, different ones each time: too many "
        "belong to one query or one document to fill batches with others."
    )
    assert steps(recipe(epochs=2.5, gradient_accumulation=3), made) == 13


@pytest.mark.parametrize("kind", [TrainEmbeddingRecipe, TrainLateInteractionRecipe])
def test_one_query_alone_is_refused(kind: Any) -> None:
    rows: Queries = [("the same question", [f"answer {at}" for at in range(200)], [])]
    with pytest.raises(BadInput, match="All 200 training rows have the same query") as caught:
        planned(FakeReader({"train": rows}), kind(dataset="pets"), 1)
    assert "Give negatives" in caught.value.hint


def test_documents_that_answer_all_queries_are_refused() -> None:
    rows: Queries = [(f"question {at}", ["the one answer"], []) for at in range(30)]
    with pytest.raises(BadInput, match="No two of the 30 training rows can share a batch"):
        planned(FakeReader({"train": rows}), recipe(), 1)


def test_a_reranker_tells_a_document_from_its_own_query_s() -> None:
    made = planned(many(100, 20), TrainRerankerRecipe(dataset="pets", batch_size=8), 1)
    assert (len(made), made.left_out) == (15, 0)


def test_equal_texts_are_one_text() -> None:
    """Files with ids bring the same words under several of them."""
    reader = FakeReader({"train": [("a", ["x"], []), ("b", ["y"], []), ("c", ["z"], [])]})
    reader._queries[1]["text"] = "a"
    table = reader._documents.to_pylist()
    table[2]["text"] = "x"
    reader._documents = reader._documents.from_pylist(table, schema=reader._documents.schema)
    rows = build_rows(reader, recipe(negatives=0))
    found = row_texts(reader, rows)
    assert found.queries[0] == found.queries[1] != found.queries[2]
    assert found.documents[0] == found.documents[2] != found.documents[1]
    # What is relevant to one of two equal queries is relevant to both: all three conflict.
    with pytest.raises(BadInput, match="No two of the 3 training rows"):
        planned(reader, recipe(negatives=0), 1)


def test_a_relevant_document_of_another_query_never_becomes_its_negative() -> None:
    reader = FakeReader({"train": [("a", ["x", "y"], []), ("b", ["y"], []), ("c", ["z"], [])]})
    made = planned(reader, recipe(negatives=0), 1)
    rows = build_rows(reader, recipe(negatives=0))
    batches = [rows.queries[batch].tolist() for batch in made.epoch(0)]
    # (a, x) may not meet (b, y): y is relevant to a, too. Each finds c, or is left out.
    assert all(sorted(batch) in ([0, 2], [1, 2]) for batch in batches)


def test_a_run_that_ends_before_its_first_epoch_says_so() -> None:
    reader = FakeReader(animal_splits())
    short = recipe(max_steps=2)
    (said,) = unseen(short, planned(reader, short, 1))
    assert said == (
        "The run ends after 2 of the 3 steps of an epoch, because of max_steps: about 32 of 96 "
        "training rows are never seen."
    )
    half = recipe(epochs=0.5)
    (said,) = unseen(half, planned(reader, half, 1))
    assert "because of epochs" in said


def test_a_row_without_negatives_is_never_alone_in_a_batch() -> None:
    """One that brings some can be."""
    few: Queries = [(f"question {at}", [f"answer {at}"], [f"wrong {at}"]) for at in range(9)]
    made = planned(FakeReader({"train": few}), recipe(batch_size=8), 1)
    assert [len(batch) for batch in made.epoch(0)] == [8, 1]
    made = planned(FakeReader({"train": [*few[:8], ("x", ["y"], [])]}), recipe(batch_size=8), 1)
    assert [len(batch) for batch in made.epoch(0)] == [7, 2]


def test_devices_get_the_same_and_the_rest_is_told() -> None:
    reader = FakeReader(animal_splits(train=95))
    across = recipe(batch_size=8, negatives_cross_device=True)
    made = planned(reader, across, 2)
    assert len(made) % 2 == 0 and made.left_out == 1
    assert "so that each of 2 devices" in unseen(across, made)[0]


def test_labels_of_rows_stay_with_them() -> None:
    """Batches are numbers of rows, in whatever order."""
    made = planned(FakeReader(animal_splits()), recipe(), 1)
    assert np.sort(np.concatenate(made.epoch(2))).tolist() == list(range(96))


def test_epochs_take_turns_with_the_draws_of_negatives() -> None:
    wrong = [f"wrong {at}" for at in range(3)]
    reader = FakeReader({"train": [(f"question {at}", [f"answer {at}"], wrong) for at in range(8)]})
    short = recipe(batch_size=4, epochs=4.0)
    rows = build_rows(reader, short)
    made = planned(reader, short, 1)
    assert (rows.draws, len(made.rows), made.left_out) == (3, 8, 0)
    for epoch in range(4):
        numbers = np.sort(np.concatenate(made.epoch(epoch)))
        assert numbers.tolist() == [*range(epoch % 3 * 8, epoch % 3 * 8 + 8)]
    # As one who resumes finds them.
    again = planned(reader, short, 1)
    assert [one.tolist() for one in again.epoch(2)] == [one.tolist() for one in made.epoch(2)]
