"""Every objective with any number of negatives, and every preset: it runs, or is refused."""

from pathlib import Path
from typing import Any

import pytest

from tests.workbench.training.fakes import (
    PLACE,
    FakeContext,
    FakeReader,
    FakeWorkspace,
    animal_splits,
)
from tests.workbench.training.test_cells import run_training
from tests.workbench.training.test_objectives import Alike, Taught
from workbench.errors import BadInput, TrainingDiverged
from workbench.recipes.objectives import OBJECTIVES, names
from workbench.recipes.train import KINDS, TrainEmbeddingRecipe
from workbench.recipes.train_kinds import TrainLateInteractionRecipe, TrainRerankerRecipe

# Each trains a real, tiny model for two steps.
pytestmark = pytest.mark.slow

EMBEDDING = names("embedding")
RERANKER = names("reranker")
REFUSED = {(name, 0) for name in EMBEDDING if OBJECTIVES.get(name).rows == "teacher"}


def splits(negatives: int) -> dict[str, list[Any]]:
    """Queries with so many documents of other queries as negatives."""
    rows = animal_splits(train=24, dev=0)["train"]
    texts = [positives[0] for _, positives, _ in rows]
    return {
        "train": [
            (query, right, [texts[(at + step) % len(texts)] for step in range(1, negatives + 1)])
            for at, (query, right, _) in enumerate(rows)
        ]
    }


def reader_for(objective: str, negatives: int) -> FakeReader:
    if OBJECTIVES.get(objective).rows == "pairs":
        return Alike()
    return (
        Taught(splits(negatives))
        if OBJECTIVES.get(objective).rows == "teacher"
        else FakeReader(splits(negatives))
    )


def trained(recipe: Any, reader: FakeReader, home: Path) -> dict[str, Any]:
    context = FakeContext(FakeWorkspace(home, reader), home / "job")
    result: dict[str, Any] = run_training(recipe, context)
    losses = [values["loss"] for _, values in context.of("train")]
    assert len(losses) == result["steps"] == recipe.max_steps
    return result


def shared(tiny: Path, **values: Any) -> dict[str, Any]:
    return {
        "dataset": "pets",
        "model": str(tiny),
        "batch_size": 6,
        "max_steps": 2,
        **PLACE,
        **values,
    }


#: None and several: with one, every other test trains. Scored pairs have none.
EMBEDDING_CELLS = [
    (name, negatives)
    for name in EMBEDDING
    for negatives in ((0,) if OBJECTIVES.get(name).rows == "pairs" else (0, 3))
]


@pytest.mark.parametrize(("objective", "negatives"), EMBEDDING_CELLS)
def test_embedding(objective: str, negatives: int, tiny: Path, tmp_path: Path) -> None:
    recipe = TrainEmbeddingRecipe(
        **shared(tiny, objective=objective, negatives=negatives, mini_batch_size=4)
    )
    reader = reader_for(objective, negatives)
    if (objective, negatives) in REFUSED:
        with pytest.raises(BadInput, match="negatives"):
            trained(recipe, reader, tmp_path)
        return
    assert trained(recipe, reader, tmp_path)["rows_left_out"] == 0


@pytest.mark.parametrize(
    ("objective", "negatives"), [("contrastive", 1), *((name, 3) for name in RERANKER)]
)
def test_reranker(objective: str, negatives: int, tiny: Path, tmp_path: Path) -> None:
    values = shared(tiny, objective=objective, negatives=negatives, first_stage="bm25")
    trained(TrainRerankerRecipe(**values), FakeReader(splits(negatives)), tmp_path)


@pytest.mark.parametrize("negatives", [0, 3])
def test_late_interaction(negatives: int, tiny: Path, tmp_path: Path) -> None:
    values = shared(tiny, negatives=negatives, first_stage="bm25", token_dimensions=8)
    trained(TrainLateInteractionRecipe(**values), FakeReader(splits(negatives)), tmp_path)


PRESETS = [
    (kind, preset)
    for kind, recipe in KINDS.items()
    for preset in recipe.presets
    if kind != "image-text"
]


@pytest.mark.parametrize(("kind", "preset"), PRESETS)
def test_every_preset(kind: str, preset: str, tiny: Path, tmp_path: Path) -> None:
    recipe = KINDS[kind]
    gist = {"objective": "gist"} if kind == "embedding" else {"first_stage": "bm25"}
    values = shared(tiny, **{**recipe.presets[preset], **gist, "batch_size": 6})
    trained(recipe.model_validate(values), FakeReader(splits(3)), tmp_path)


def test_one_step_is_taken_at_a_learning_rate_above_0(tiny: Path, tmp_path: Path) -> None:
    context = FakeContext(FakeWorkspace(tmp_path, FakeReader(splits(1))), tmp_path / "job")
    run_training(TrainEmbeddingRecipe(**shared(tiny, max_steps=1)), context)
    ((_, values),) = context.of("train")
    assert values["learning_rate"] == pytest.approx(5e-5)


def test_rows_that_are_left_out_stand_in_the_result(tiny: Path, tmp_path: Path) -> None:
    rows: list[Any] = [("which cat red", [f"here is cat number {at}" for at in range(40)], [])]
    rows += [(f"which dog {word}", [f"here is {word} dog"], []) for word in ("old", "big", "shy")]
    context = FakeContext(FakeWorkspace(tmp_path, FakeReader({"train": rows})), tmp_path / "job")
    values = shared(tiny, max_steps=None, epochs=2.0)
    result = run_training(TrainEmbeddingRecipe(**values), context)
    assert (result["rows"], result["rows_left_out"], result["steps"]) == (43, 37, 6)
    told = [note for note in result["notes"] if note.startswith("37 of 43 training rows are left")]
    assert told and told[0] in context.notes


def test_a_teacher_that_tells_nothing_is_refused(tiny: Path, tmp_path: Path) -> None:
    reader = Taught(splits(2))
    reader.right = 0.0
    context = FakeContext(FakeWorkspace(tmp_path, reader), tmp_path / "job")
    with pytest.raises(BadInput, match="the same score, in every row"):
        run_training(
            TrainEmbeddingRecipe(**shared(tiny, objective="distill-kl", negatives=2)), context
        )


def test_pairs_of_one_score_are_refused(tiny: Path, tmp_path: Path) -> None:
    reader = Alike(top=0.0)
    reader.summary["pair_splits"]["dev"] = 0
    context = FakeContext(FakeWorkspace(tmp_path, reader), tmp_path / "job")
    with pytest.raises(BadInput, match="All 300 training pairs have the score 0"):
        run_training(TrainEmbeddingRecipe(**shared(tiny, objective="cosent")), context)


def test_a_loss_of_0_throughout_a_short_run_fails_it(tiny: Path, tmp_path: Path) -> None:
    """Over before the guard would have stopped it: the guide leaves out every negative."""
    context = FakeContext(FakeWorkspace(tmp_path, FakeReader(splits(1))), tmp_path / "job")
    values = shared(tiny, objective="gist", guide_margin=100.0)
    with pytest.raises(TrainingDiverged, match="has been exactly 0 for 2 steps") as caught:
        run_training(TrainEmbeddingRecipe(**values), context)
    assert "guide_margin" in caught.value.hint
