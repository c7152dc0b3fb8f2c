"""Suggestions for a run that did not fit: their arithmetic, for any recipe and any memory."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.checks.memory_estimate import Shape
from workbench.checks.memory_suggestions import MOST, Suggestion, suggest
from workbench.checks.run_facts import RunFacts
from workbench.recipes.objectives import names
from workbench.recipes.train import KINDS, TrainRecipe

GB = 10**9


def shape(layers: int = 12, hidden: int = 768) -> Shape:
    linear = {f"layer.{n}.{m}.weight": (hidden, hidden) for n in range(layers) for m in range(12)}
    return Shape(
        parameters=len(linear) * hidden * hidden + 30_000 * hidden,
        linear=linear,
        layers=layers,
        hidden=hidden,
        heads=12,
        positions=512,
        tokenizer=None,
    )


def facts(**more: Any) -> RunFacts:
    about: dict[str, Any] = {"shape": shape(), "rows": 5000, "width": 1, "longest": (60, 500)}
    return RunFacts(**{**about, "gpu": True, **more})


def recipe(kind: str = "embedding", **values: Any) -> TrainRecipe:
    return KINDS[kind].read({"dataset": "d", "passage_max_len": 512, **values})


def effective(one: TrainRecipe) -> int:
    return one.batch_size * one.gradient_accumulation


def changed(one: TrainRecipe, suggestion: Suggestion) -> TrainRecipe:
    return type(one).read({**one.model_dump(mode="json"), **suggestion.changes})


@st.composite
def recipes(draw: st.DrawFn) -> TrainRecipe:
    kind = draw(st.sampled_from(list(KINDS)))
    choices = (
        ["full", "lora"]
        if kind in ("late-interaction", "image-text")
        else ["full", "lora", "qlora"]
    )
    values: dict[str, Any] = {
        "batch_size": draw(st.integers(1, 600)),
        "gradient_accumulation": draw(st.integers(1, 6)),
        "passage_max_len": draw(st.integers(4, 1024)),
        "method": draw(st.sampled_from(choices)),
        "gradient_checkpointing": draw(st.booleans()),
    }
    if kind == "embedding":
        values["objective"] = draw(st.sampled_from(names(kind)))
        values["mini_batch_size"] = draw(st.integers(1, 64))
        values["in_batch_negatives"] = draw(st.booleans())
    return KINDS[kind].read({"dataset": "d", **values})


footings = st.builds(
    facts,
    shape=st.sampled_from([None, shape(2, 64), shape(), shape(4, 256)]),
    rows=st.integers(1, 5000),
    width=st.integers(0, 8),
    longest=st.one_of(st.none(), st.tuples(st.integers(1, 64), st.integers(1, 1024))),
    gpu=st.booleans(),
)
memory = st.one_of(st.none(), st.integers(0, 100 * GB))


@settings(deadline=None, max_examples=150)
@given(one=recipes(), on=footings, available=memory, adapter=st.booleans())
def test_every_suggestion_is_a_recipe_with_the_same_effective_batch(
    one: TrainRecipe, on: RunFacts, available: int | None, adapter: bool
) -> None:
    found = suggest(one, on, available, adapter=adapter)
    assert len(found) <= MOST
    failed = on.memory(one)
    for suggestion in found:
        after = changed(one, suggestion)
        assert after != one
        assert effective(after) == effective(one)
        assert suggestion.sentence.endswith(".")
        assert not (adapter and after.method != one.method)
        needed = on.memory(after)
        assert suggestion.memory == (needed.total if needed else None)
        if suggestion.fits and available is not None:
            assert needed is not None and failed is not None
            assert needed.total < min(available, failed.total)


@settings(deadline=None, max_examples=100)
@given(one=recipes(), on=footings, available=memory)
def test_a_batch_that_can_be_smaller_always_leads_to_a_suggestion(
    one: TrainRecipe, on: RunFacts, available: int | None
) -> None:
    if one.batch_size > 1 and "cached" not in getattr(one, "objective", ""):
        assert suggest(one, on, available)


def test_batches_are_halved_until_they_fit() -> None:
    one = recipe("reranker", batch_size=32, gradient_accumulation=2)
    whole = facts().memory(one)
    assert whole is not None
    found = suggest(one, facts(), whole.total // 2)
    assert found[0].changes == {"batch_size": 8, "gradient_accumulation": 8}
    assert "8 to a step: the same effective batch of 64." in found[0].sentence
    assert found[0].memory is not None and found[0].memory <= 0.9 * whole.total / 2


def test_an_odd_batch_keeps_its_size_too() -> None:
    found = suggest(recipe("reranker", batch_size=33), facts(), 20 * GB)
    after = [one.changes for one in found if "batch_size" in one.changes]
    assert after == [{"batch_size": 11, "gradient_accumulation": 3}]


def test_in_batch_negatives_are_kept_first_and_their_loss_is_said() -> None:
    found = suggest(recipe(batch_size=64), facts(), 20 * GB)
    assert found[0].changes["objective"] == "cached-contrastive"
    assert "with all its in-batch negatives" in found[0].sentence
    smaller = next(one for one in found if "batch_size" in one.changes)
    assert "fewer in-batch negatives: those of" in smaller.sentence
    alone = suggest(recipe(batch_size=64, in_batch_negatives=False), facts(), 20 * GB)
    assert not any("fewer in-batch" in one.sentence for one in alone)
    late = suggest(recipe("late-interaction", batch_size=64), facts(), 20 * GB)
    assert "fewer in-batch negatives" in late[0].sentence


def test_a_cached_objective_keeps_less_at_a_time() -> None:
    one = recipe(batch_size=512, objective="cached-contrastive", mini_batch_size=128)
    found = suggest(one, facts(), 8 * GB)
    assert found[0].changes["objective"] == "cached-contrastive"
    assert found[0].changes["mini_batch_size"] < 128
    assert "negatives kept" in found[0].sentence


def test_where_the_weights_alone_are_too_many_fewer_are_trained() -> None:
    large = facts(shape=shape(24, 2048))
    found = suggest(recipe(batch_size=8), large, 14 * GB)
    assert found
    assert all(one.fits and one.changes["method"] == "lora" for one in found)


def test_where_nothing_fits_it_says_so() -> None:
    found = suggest(recipe(batch_size=8), facts(shape=shape(24, 2048)), GB)
    assert found
    assert all(one.fits is False and "still more than is free" in one.sentence for one in found)


def test_without_the_models_size_there_are_suggestions_all_the_same() -> None:
    found = suggest(recipe(batch_size=32), facts(shape=None), 20 * GB)
    assert [one.memory for one in found] == [None] * 3
    assert {"batch_size": 16, "gradient_accumulation": 2} in [one.changes for one in found]


def test_without_in_batch_negatives_nothing_is_cached() -> None:
    own = recipe(batch_size=256, in_batch_negatives=False)
    suggested = suggest(own, facts(), 16 * GB)
    assert suggested and all("objective" not in one.changes for one in suggested)
    cached = recipe(batch_size=256, in_batch_negatives=False, objective="cached-contrastive")
    # The loss computes the whole batch at once, whatever the objective is called.
    assert facts().memory(cached) == facts().memory(own)
