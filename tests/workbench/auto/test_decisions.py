"""The schedule's rules, each with its reason."""

import pytest

from workbench.auto import decisions
from workbench.auto.decisions import USUAL, Effort, effort
from workbench.models.contract import Contract
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.recipes.train_kinds import TrainLateInteractionRecipe, TrainRerankerRecipe


def test_steps_follow_the_queries_within_bounds() -> None:
    assert decisions.steps(10, 16) == USUAL.fewest
    assert decisions.steps(900, 32) == round(USUAL.passes * 900 / 32)
    assert decisions.steps(10**6, 64) == USUAL.most
    assert "at least" in decisions.max_steps(10, 16).reason
    assert "passes over the training queries: 900" in decisions.max_steps(900, 32).reason
    assert "at most" in decisions.max_steps(10**6, 64).reason


def test_steps_follow_what_a_step_really_takes() -> None:
    """Several batches to a step, and a batch that a person gives."""
    base, names = Contract(dimensions=384), ("max_steps", "learning_rate")

    def found(names: tuple[str, ...], **values: object) -> decisions.Decision:
        recipe = TrainEmbeddingRecipe.read({"dataset": "d", **values})
        return decisions.scheduled(recipe, base, 900, 0, names)[1][0]

    own = found(names, batch_size=10)
    assert own.value == round(USUAL.passes * 900 / 10) and "by 10 a step" in own.reason
    assert found(names, batch_size=10, gradient_accumulation=3).value == USUAL.passes * 30
    ruled = found(decisions.RULED, batch_size=10, gradient_accumulation=2)
    assert ruled.value == round(USUAL.passes * 900 / 64) and "by 64 a step" in ruled.reason


def test_small_sets_have_small_batches() -> None:
    sizes = [decisions.batch_size(count).value for count in (20, 299, 300, 1999, 2000, 10**5)]
    assert sizes == [16, 16, 32, 32, 64, 64]


def test_each_kind_has_steps_and_batches_of_its_own() -> None:
    """A query with its documents is many texts; the width is that of the layers, not of vectors."""
    base = Contract(dimensions=128)
    found: dict[str, dict[str, object]] = {}
    for kind in (TrainRerankerRecipe, TrainLateInteractionRecipe):
        recipe = kind.read({"dataset": "d"})
        made, ruled = decisions.scheduled(recipe, base, 900, 0, width=768)
        assert all(one.by == "rule" and one.reason for one in ruled)
        assert made.max_steps == round(3 * 900 / made.batch_size)
        found[kind.kind] = {one.name: one.value for one in ruled}
    assert found["reranker"]["batch_size"] == 8 and found["late-interaction"]["batch_size"] == 16
    assert {one["learning_rate"] for one in found.values()} == {2e-5}
    # What the first stage finds stands in for negatives that the data lacks; a batch's rows do.
    assert (found["reranker"]["negatives"], found["late-interaction"]["negatives"]) == (4, 0)
    few = decisions.scheduled(TrainRerankerRecipe.read({"dataset": "d"}), base, 30, 0)[0]
    assert few.max_steps == 120


@pytest.mark.parametrize("width", [384, 768, 1024])
def test_an_adapter_learns_ten_times_faster(width: int) -> None:
    full = decisions.learning_rate(width, adapter=False, decoder=False)
    lora = decisions.learning_rate(width, adapter=True, decoder=False)
    assert lora.value == pytest.approx(10 * float(full.value))


def test_the_rate_falls_with_the_width_and_decoders_have_their_own() -> None:
    rates = [
        float(decisions.learning_rate(width, adapter=False, decoder=False).value)
        for width in (384, 768, 1024)
    ]
    assert rates == sorted(rates, reverse=True) and len(set(rates)) == 3
    assert decisions.learning_rate(1024, adapter=True, decoder=True).value == 1e-4


def test_given_negatives_are_taken_and_none_is_made_up() -> None:
    assert decisions.negatives(0, 1).value == 0
    assert decisions.negatives(12, 1).value == 1
    assert "do not answer them: 12" in decisions.negatives(12, 1).reason


def test_without_a_limit_everything_is_done() -> None:
    assert effort(None, 10.0, 100, 60, 3) == Effort(3, 1.0)
    much = effort(1e6, 1.0, 100, 60, 3)
    assert (much.folds, much.share) == (3, 1.0)


def test_less_time_means_fewer_steps_then_one_part_then_no_measuring() -> None:
    whole = 100 + 3 * 60 * (1 + decisions.MEASURING)
    fewer = effort(0.7 * whole, 1.0, 100, 60, 3)
    assert fewer.folds == 3 and fewer.share == pytest.approx(0.7)
    one = effort(0.4 * whole, 1.0, 100, 60, 3)
    assert one.folds == 1 and one.share > 0.4
    none = effort(10.0, 1.0, 100, 60, 3)
    assert none.folds == 0 and none.share == pytest.approx(0.1)
    assert fewer.spare == one.spare == none.spare == 0


def test_what_a_general_data_set_may_take_is_not_to_spare() -> None:
    whole = 100 + 60 * (1 + decisions.MEASURING)
    assert effort(1.1 * whole, 1.0, 100, 60, 1).spare == 0
    assert effort(1.3 * whole, 1.0, 100, 60, 1).spare == pytest.approx(0.2 * whole)
    assert effort(2.6 * whole, 2.0, 100, 60, 1).spare == pytest.approx(0.4 * whole)


def test_a_temperature_is_decided_where_scores_are_divided_by_one() -> None:
    recipe = TrainEmbeddingRecipe.read({"dataset": "d"})
    found = decisions.temperature(recipe, Contract())
    assert found and (found.value, found.by) == (recipe.temperature, "rule")
    assert decisions.temperature(recipe, Contract(normalize=False)) is None
    other = TrainEmbeddingRecipe.read({"dataset": "d", "objective": "margin-mse"})
    assert decisions.temperature(other, Contract()) is None
