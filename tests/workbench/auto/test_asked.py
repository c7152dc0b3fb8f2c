"""Rerankers and late interaction by the preset auto: whole runs on tiny models, held against the
first stage and, where the base is of the kind already, against the base."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workbench.auto.test_run import stop_when, try_with_few
from tests.workbench.training.fakes import (
    FakeContext,
    FakeReader,
    FakeWorkspace,
    animal_splits,
    save_tiny_model,
    told_by_a_word,
)
from workbench.auto import halving
from workbench.errors import JobCancelled
from workbench.recipes.decided import Schedule
from workbench.recipes.train_kinds import (
    TrainCandidatesRecipe,
    TrainLateInteractionRecipe,
    TrainRerankerRecipe,
)

# Importing torch and sentence-transformers takes 6 to 11 s; each run after that a few.
pytestmark = pytest.mark.slow

BM25 = "the order of bm25 (first 5)"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("base") / "tiny")


def start(home: Path, splits: dict[str, list[Any]], **more: Any) -> FakeContext:
    reader = FakeReader(splits)
    reader.summary = {"carved": {"dev": len(splits.get("dev", ()))}}
    return FakeContext(FakeWorkspace(home, reader), home / "jobs" / "job", **more)


def train(
    kind: type[TrainCandidatesRecipe], context: FakeContext, base: Path, **values: Any
) -> dict[str, Any]:
    from workbench.training.task import run

    settings: dict[str, Any] = {
        "dataset": "pets", "model": str(base), "name": "mine", "learning_rate": 5e-3,
        "precision": "fp32", "device": "cpu", "first_stage": "bm25", "candidates": 5,
    }  # fmt: skip
    recipe = kind.read({**kind.presets["auto"], **settings, **values})
    return run(recipe, context)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def reranker(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[FakeContext, Any]:
    splits = told_by_a_word("today today today", "number", 64, 16)
    context = start(tmp_path_factory.mktemp("reranker"), splits)
    fewer = Schedule(fewest=60, batches=(), largest=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainRerankerRecipe, "schedule", fewer)
        return context, train(TrainRerankerRecipe, context, tiny, objective="contrastive")


def test_a_reranker_that_learnt_is_held_against_the_first_stage(
    reranker: tuple[FakeContext, Any],
) -> None:
    context, result = reranker
    assert result["baseline_name"] == BM25
    assert result["best"]["map@100"] > result["baseline"]["map@100"] + 0.1
    assert result["p_value"] < 0.05 and result["beats_base"] is True
    assert (result["verdict"], result["recommended"]) == ("", "mine")
    assert (result["folds"], result["dev_queries"]) == (3, 80)
    # A head of chance is worth nothing that could be measured.
    assert result["untrained"] == {} and "look" not in result
    card = (context.folder / "output" / "final" / "README.md").read_text(encoding="utf-8")
    assert "| Metric | The order of bm25 (first 5) | Fine-tuned | Difference |" in card
    assert [step for step, _ in context.of("baseline")] == [0]


def test_its_decisions_are_those_of_its_kind(reranker: tuple[FakeContext, Any]) -> None:
    decided = {one["name"]: one for one in reranker[1]["decisions"]}
    assert tuple(decided) == TrainRerankerRecipe.decidable
    assert (decided["batch_size"]["value"], decided["max_steps"]["value"]) == (8, 60)
    assert decided["learning_rate"]["by"] == "you"
    assert (decided["blend"]["value"], decided["blend"]["by"]) == (1.0, "rule")
    assert "lacks a part" in decided["blend"]["reason"]
    assert all(one["reason"] and not one["reason"].endswith(".") for one in decided.values())


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few steps each."""
    few = Schedule(fewest=4, most=4, batches=(), largest=8)
    for kind in (TrainRerankerRecipe, TrainLateInteractionRecipe):
        monkeypatch.setattr(kind, "schedule", few)


@pytest.mark.usefixtures("short")
def test_a_reranker_that_learnt_nothing_leaves_the_first_stage_its_order(
    tiny: Path, tmp_path: Path
) -> None:
    # BM25 finds the one document that has all of a query's words.
    context = start(tmp_path, animal_splits(64, 16))
    result = train(TrainRerankerRecipe, context, tiny, learning_rate=1e-9, head_first=0.0)
    assert result["beats_base"] is False
    assert (result["verdict"], result["recommended"]) == ("below-first-stage", BM25)
    assert context.workspace.models.added[0].verdict == "below-first-stage"


@pytest.mark.usefixtures("short")
def test_a_base_that_ranks_already_has_to_be_beaten_as_it_is(
    reranker: tuple[FakeContext, Any], tmp_path: Path
) -> None:
    """It is far better than BM25, and no better than before."""
    base = reranker[0].folder / "output" / "final"
    context = start(tmp_path, told_by_a_word("today today today", "number", 64, 16))
    result = train(TrainRerankerRecipe, context, base, learning_rate=1e-9)
    assert result["baseline_name"] == "the original" and result["beats_base"] is False
    assert result["untrained"] == result["baseline"]
    assert (result["verdict"], result["recommended"]) == ("no-better", base.name)
    blend = next(one for one in result["decisions"] if one["name"] == "blend")
    assert blend["by"] == "measured" and "at 0.5" in blend["reason"]


@pytest.mark.usefixtures("short")
def test_a_resumed_job_repeats_no_fold_and_ends_the_same(tiny: Path, tmp_path: Path) -> None:
    splits = told_by_a_word("today today today", "number", 40, 10)
    whole = start(tmp_path / "whole", splits)
    first = train(TrainRerankerRecipe, whole, tiny)
    context = start(tmp_path / "parts", splits)
    record = FakeContext.metrics

    def stop_in_the_second_fold(at: int, kind: str, values: Any) -> None:
        record(context, at, kind, values)
        context.cancelled = context.cancelled or (kind == "train" and at == 6)

    context.metrics = stop_in_the_second_fold  # type: ignore[method-assign]
    with pytest.raises(JobCancelled):
        train(TrainRerankerRecipe, context, tiny)
    kept = sorted(path.name for path in (context.folder / "output/auto").glob("*.npz"))
    assert kept == ["round-1.npz"]
    context.resuming, context.cancelled = True, False
    context.metrics = lambda *row: record(context, *row)  # type: ignore[method-assign]
    again = train(TrainRerankerRecipe, context, tiny)
    assert again["p_value"] == first["p_value"]
    assert again["best"] == pytest.approx(first["best"], abs=1e-6)
    assert [step for step, _ in context.of("train")] == list(range(1, 4 * 4 + 1))


def test_late_interaction_begins_with_a_projection_and_is_held_against_the_first_stage(
    tiny: Path, tmp_path: Path
) -> None:
    context = start(tmp_path, animal_splits(64, 16))
    result = train(TrainLateInteractionRecipe, context, tiny, token_dimensions=16)
    decided = {one["name"]: one["value"] for one in result["decisions"]}
    assert tuple(decided) == TrainLateInteractionRecipe.decidable
    assert (decided["batch_size"], decided["max_steps"], decided["blend"]) == (16, 24, 1.0)
    assert result["baseline_name"] == BM25 and result["p_value"] is not None
    assert any("principal components" in note for note in result["notes"])
    assert result["recommended"] in ("mine", BM25)


def test_where_there_is_time_late_interaction_tries_settings_on_the_first_stage_s_candidates(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try_with_few(monkeypatch)
    context = start(tmp_path, animal_splits(96, 24))
    stop_when(context, "Trying settings: 2 of 4: Training")
    decided = ",".join(TrainLateInteractionRecipe.decidable)
    with pytest.raises(JobCancelled):
        train(
            TrainLateInteractionRecipe, context, tiny, token_dimensions=16, auto=decided,
            minutes=1000,
        )  # fmt: skip
    kept = json.loads((context.folder / "output" / "auto" / halving.FILE).read_text())
    assert kept["queries"] == 30
    assert [one["settings"] for one in kept["trials"]] == [{"learning_rate": 5e-5, "negatives": 1}]
    assert len(kept["trials"][0]["values"]) == 3


@pytest.mark.usefixtures("short")
def test_candidates_without_an_order_have_to_be_ordered_better_than_by_words(
    tiny: Path, tmp_path: Path
) -> None:
    context = start(tmp_path, animal_splits(64, 16))
    result = train(
        TrainRerankerRecipe, context, tiny, learning_rate=1e-9, head_first=0.0,
        first_stage="given",
    )  # fmt: skip
    assert result["baseline_name"] == "BM25's order of the candidates"
    assert result["verdict"] == "below-first-stage"


@pytest.mark.usefixtures("short")
def test_too_few_queries_keep_the_first_stage_until_they_are_compared(
    tiny: Path, tmp_path: Path
) -> None:
    result = train(TrainRerankerRecipe, start(tmp_path, animal_splits(12, 0)), tiny)
    assert result["p_value"] is None and result["beats_base"] is None
    assert result["recommended"] == "the first stage"
    assert "nothing can be measured" in result["unmeasured"]


def test_measuring_a_round_costs_about_half_of_its_training(tiny: Path, tmp_path: Path) -> None:
    """Every pair is read once for each model that is measured; three times where it is trained."""
    from workbench.auto.asked import Ordering, Plan
    from workbench.auto.folds import Material, rounds

    context = start(tmp_path, animal_splits(180, 0))
    run = _looked_up(context, tiny)
    for plain in (True, False):
        ordering = Ordering(run, _training())
        ordering.blends = plain  # type: ignore[misc]
        material = Material.of(run.reader)
        plan = Plan(run.recipe, material, rounds(material, 3, 0))
        sizes = [ordering.view(plan, one)[1] for one in plan.rounds]
        assert len({one["candidates"] for one in sizes}) == 1
        models = 3 if plain else 1
        for one, size in zip(plan.rounds, sizes, strict=True):
            read = models * size["dev_queries"] * size["candidates"]
            trained = 3 * plan.steps(one) * 8 * 5
            assert read <= 0.6 * trained
            assert size["dev_queries"] == ordering.judges(plan, one)
            assert size["dev_queries"] >= 20 and size["candidates"] >= 10


def _training() -> Any:
    from workbench.training.reranker import RerankerTraining

    return RerankerTraining()


def _looked_up(context: FakeContext, base: Path) -> Any:
    from workbench.training.loop import look_up

    recipe = TrainRerankerRecipe.read(
        {"dataset": "pets", "model": str(base), "auto": "all", "first_stage": "bm25",
         "device": "cpu", "precision": "fp32"}
    )  # fmt: skip
    return look_up(recipe, context, _training(), measures=False)  # type: ignore[arg-type]


def test_the_rounds_are_kept_with_every_order(tmp_path: Path) -> None:
    from workbench.auto.fit import Candidate, Judged

    values = {"map@100": np.array([0.1, 0.2])}
    one = Judged(np.array([3, 5]), {}, {Candidate(1.0, 256): values}, 9, 4, 0.1, {}, {BM25: values})
    one.write(tmp_path / "kept.npz")
    kept = Judged.read(tmp_path / "kept.npz")
    assert kept is not None and kept.base == {} and list(kept.orders) == [BM25]
    assert kept.orders[BM25]["map@100"].tolist() == [0.1, 0.2]
