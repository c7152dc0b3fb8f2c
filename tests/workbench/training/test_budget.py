"""How often and on how much dev is measured, without training anything."""

import math
from typing import Any

import pyarrow as pa
import pytest

from tests.workbench.training.fakes import FakeReader
from workbench.models.contract import Contract
from workbench.recipes.train import KINDS, TrainRecipe
from workbench.training.budget import AROUND, SHARE, DevPlan, Sizes, _steps, plan
from workbench.training.epoch import planned

#: 40 bytes are 12 tokens, 400 bytes 102: so are all queries and documents here.
QUERY, DOCUMENT = "q" * 36, "d" * 396
CONTRACT = Contract(query_max_len=64, passage_max_len=128)


def data(train: int = 1000, dev: int = 300) -> Any:
    def rows(split: str, count: int) -> list[tuple[str, list[str], list[str]]]:
        return [
            (f"{QUERY}{at:04}", [f"{split[0]}{DOCUMENT[1:]}{at:04}"], []) for at in range(count)
        ]

    return FakeReader({split: rows(split, n) for split, n in (("train", train), ("dev", dev))})


@pytest.fixture(scope="module")
def reader() -> Any:
    return data()


def recipe(kind: str = "embedding", **values: Any) -> TrainRecipe:
    return KINDS[kind].read({"dataset": "pets", **values})


def decided(reader: Any, recipe: TrainRecipe) -> DevPlan:
    found = plan(reader, recipe, CONTRACT, 1)
    assert found is not None
    return found


def test_a_long_run_is_measured_as_often_and_on_as_much_as_wished_for(reader: Any) -> None:
    found = decided(reader, recipe(epochs=20.0))
    assert found.sizes == Sizes(200, 1000, 50)
    assert found.looks(640) == 8 and found.share <= SHARE and not found.notes(640)


def test_the_share_is_that_of_the_tokens(reader: Any) -> None:
    """Worked out: 1,000 rows of 12 + 102 tokens, read and learned from; and ten looks."""
    found = decided(reader, recipe(epochs=20.0))
    looks = (8 + AROUND) * (200 * 12 + 1000 * 102)
    assert found.share == pytest.approx(looks / (20 * 1000 * (12 + 102) * 3))
    parts = decided(reader, recipe(epochs=20.0, objective="cached-contrastive"))
    assert parts.share == pytest.approx(found.share * 3 / 4)


def test_first_there_are_fewer_looks_then_less_of_dev_then_fewer_looks_still(reader: Any) -> None:
    found = [decided(reader, recipe(epochs=epochs)) for epochs in (20, 11, 4, 1, 0.5)]
    whole = Sizes(200, 1000, 50)
    assert [one.most for one in found[:3]] == [8, 5, 4] and found[1].sizes == whole
    assert found[1].sizes.queries > found[2].sizes.queries > 50
    assert found[2].sizes.documents < 1000
    assert found[4].most < 4 and found[4].sizes == Sizes(50, 100, 10)
    assert all(one.share <= SHARE for one in found)


@pytest.mark.parametrize("kind", ["embedding", "reranker", "late-interaction"])
def test_dev_takes_a_fifth_at_most_or_its_least(kind: str, reader: Any) -> None:
    for epochs in (0.01, 0.1, 0.3, 1.0, 2.0, 5.0, 30.0):
        found = decided(reader, recipe(kind, epochs=epochs))
        if found.share > SHARE:
            assert (found.most, found.sizes) == (1, Sizes(50, 100, 10))
            assert "the run is short" in found.notes(10)[0]
        else:
            assert not found.notes(10) or "at most a fifth" in found.notes(10)[0]


def test_four_steps_of_a_reranker(reader: Any) -> None:
    found = decided(reader, recipe("reranker", max_steps=4, batch_size=8))
    assert found.looks(4) == 1 and found.sizes == Sizes(50, 100, 10)
    [said] = found.notes(4)
    assert said.startswith("Dev is measured 1 time in training, on 50 queries with 10 candidates")


def test_what_the_recipe_says_is_done_and_said(reader: Any) -> None:
    given = {"eval_steps": 2, "dev_queries": 150, "dev_documents": 5000}
    found = decided(reader, recipe(max_steps=10, **given))
    assert found.eval_steps(10) == 2 and found.looks(10) == 5
    assert (found.sizes.queries, found.sizes.documents) == (150, 1300)
    assert "because of eval_steps, dev_queries, dev_documents;" in found.notes(10)[0]
    one = decided(reader, recipe("reranker", max_steps=10, candidates=30))
    assert one.sizes.candidates == 30 and one.sizes.queries == 50 and one.most == 1
    often = decided(reader, recipe(epochs=20.0, eval_steps=10))
    assert often.looks(640) == 64 and often.share <= SHARE and often.sizes.queries < 100


def test_a_run_that_shall_stop_early_is_measured_often_enough_for_it(reader: Any) -> None:
    assert decided(reader, recipe(epochs=4.0, early_stopping=6)).most == 7
    assert decided(reader, recipe(epochs=4.0)).most == 4


def test_looks_never_come_to_more_than_were_counted(reader: Any) -> None:
    for steps in range(1, 60):
        found = decided(reader, recipe(max_steps=steps))
        assert found.looks(steps) <= found.most == min(found.most, steps)
        assert found.looks(steps) == math.ceil(steps / found.eval_steps(steps))


def test_steps_are_those_of_the_batches_that_can_be_made() -> None:
    """Many questions to few answers make small batches; a query with many rows has few of them in
    an epoch."""
    answers = {at: at % 7 + 1 if at > 100 else 0 for at in range(300)}
    shared = [(f"{QUERY}{at:04}", [f"{DOCUMENT}{answer:04}"], []) for at, answer in answers.items()]
    many = [(QUERY, [f"{DOCUMENT}{at:04}" for at in range(400)], [])]
    many += [(f"{QUERY}{at:04}", [f"{DOCUMENT}{400 + at}"], []) for at in range(500)]
    for rows, steps, seen in ((shared, 101, 300), (many, 21, 521)):
        reader: Any = FakeReader({"train": rows})
        made = planned(reader, recipe(), 1)
        assert (len(made), len(made.rows) - made.left_out) == (steps, seen)
        assert _steps(reader, recipe(epochs=2), 1) == (2 * steps, 2 * seen)
        taken, read = _steps(reader, recipe(max_steps=10), 1)
        assert (taken, read) == (10, pytest.approx(10 * seen / steps))


def test_without_dev_there_is_nothing_to_measure() -> None:
    assert plan(data(10, 0), recipe(), CONTRACT, 1) is None


def test_the_recipe_that_is_measured_has_the_sizes(reader: Any) -> None:
    asked = recipe("reranker", max_steps=4)
    sized = decided(reader, asked).sizes.applied(asked)
    assert (sized.dev_queries, sized.dev_documents, sized.candidates) == (50, 100, 10)
    assert asked.dev_queries is None
    asked = recipe(max_steps=4, dev_queries=7)
    assert decided(reader, asked).sizes.applied(asked).dev_queries == 7


class Pairs(FakeReader):
    """Scored pairs alone: 1,000 to train on, 400 of dev."""

    def __init__(self) -> None:
        super().__init__({})
        self.summary = {"pair_splits": {"train": 1000, "dev": 400}}

    def pairs(self, split: str) -> Any:
        count = self.summary["pair_splits"][split]
        return pa.table({"left": [QUERY] * count, "right": [DOCUMENT] * count})


def test_of_scored_pairs_fewer_are_measured() -> None:
    values = {"objective": "cosent", "batch_size": 10}
    long, short = (decided(Pairs(), recipe(epochs=epochs, **values)) for epochs in (10.0, 2.0))
    assert long.sizes.documents == 400 and long.looks(1000) == 8 and not long.notes(1000)
    assert 100 < short.sizes.documents < 400 and short.looks(200) == 4
    assert f"4 times in training, on {short.sizes.documents} pairs. That" in short.notes(200)[0]
