"""Each objective trains: its loss is a number, falls, and the model gets better on dev."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.workbench.training.fakes import (
    ANIMALS,
    LEARNS,
    PLACE,
    TRAITS,
    FakeContext,
    FakeReader,
    FakeWorkspace,
    animal_splits,
    told_by_a_word,
)
from workbench.errors import BadInput
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.recipes.train_kinds import TrainRerankerRecipe

# Each trains a real, tiny model: about two seconds after the imports.
pytestmark = pytest.mark.slow


def start(home: Path) -> FakeContext:
    return FakeContext(FakeWorkspace(home, FakeReader(animal_splits())), home / "job")


def hard_splits() -> dict[str, list[Any]]:
    """Negatives are other queries' relevant documents, else "today" alone would tell wrong from
    right."""
    splits = animal_splits()
    texts = [positives[0] for _, positives, _ in splits["train"]]
    splits["train"] = [
        (query, positives, [texts[(at + step) % len(texts)] for step in (1, 5, 16)])
        for at, (query, positives, _) in enumerate(splits["train"])
    ]
    return splits


def settings(tiny: Path, **values: Any) -> dict[str, Any]:
    shared = {"dataset": "pets", "model": str(tiny), "name": "mine", "learning_rate": 5e-3}
    return {**shared, **PLACE, "eval_steps": 6, **values}


def learned(context: FakeContext, result: dict[str, Any]) -> None:
    losses = [values["loss"] for _, values in context.of("train")]
    assert np.isfinite(losses).all()
    if LEARNS:
        assert np.mean(losses[-4:]) < np.mean(losses[:4])
        assert result["best"]["map@100"] > result["untrained"]["map@100"]


@pytest.mark.parametrize(
    "values",
    [
        {"objective": "cached-contrastive", "mini_batch_size": 4},
        {"objective": "gist"},
        {"objective": "cached-gist", "mini_batch_size": 4},
        {"symmetric": True},
        {"in_batch_negatives": False, "negatives": 3},
        {"matryoshka_dims": "16, 8"},
        {"gradient_checkpointing": True},
    ],
    ids=lambda values: "-".join(map(str, values.values())),
)
def test_embedding(values: dict[str, Any], tiny: Path, tmp_path: Path) -> None:
    from workbench.training.task import run

    context = FakeContext(FakeWorkspace(tmp_path, FakeReader(hard_splits())), tmp_path / "job")
    more = {"guide_model": str(tiny)} if values.get("objective") == "gist" else {}
    recipe = TrainEmbeddingRecipe(**settings(tiny, batch_size=16, epochs=3.0, **values, **more))
    learned(context, run(recipe, context))


class Taught(FakeReader):
    """With a teacher's score for every relevant and every given document."""

    right = 1.0

    def candidates(self, split: str | None = None) -> Any:
        wrong = super().candidates(split)
        judged = self.judgments(split)
        table = pa.table(
            {
                "query": pa.concat_arrays([*judged["query"].chunks, *wrong["query"].chunks]),
                "document": pa.concat_arrays(
                    [*judged["document"].chunks, *wrong["document"].chunks]
                ),
            }
        )
        scores = [self.right] * judged.num_rows + [0.0] * wrong.num_rows
        table = table.append_column("origin", pa.array(["given"] * len(scores)))
        table = table.append_column("rank", pa.array(range(len(scores)), pa.int64()))
        return table.append_column("score", pa.array(scores, pa.float64()))


@pytest.mark.parametrize(("objective", "right"), [("distill-kl", 10.0), ("margin-mse", 1.0)])
def test_a_teachers_scores(objective: str, right: float, tiny: Path, tmp_path: Path) -> None:
    from workbench.training.task import run

    reader = Taught(hard_splits())
    reader.right = right
    context = FakeContext(FakeWorkspace(tmp_path, reader), tmp_path / "job")
    values = {"objective": objective, "batch_size": 16, "epochs": 6.0, "negatives": 3}
    learned(context, run(TrainEmbeddingRecipe(**settings(tiny, **values)), context))


class Alike(FakeReader):
    """Scored pairs: 5 for the same animal and trait, 2 for one of both, 0 for neither."""

    def __init__(self, *, top: float = 5.0) -> None:
        super().__init__({"train": [], "dev": []})
        self.top = top
        self.summary = {"pair_splits": {"train": 300, "dev": 80, "test": 0}}

    def pairs(self, split: str | None = None) -> Any:
        count, seed = (300, 0) if split == "train" else (80, 1)
        random = np.random.default_rng(seed)
        rows = []
        for _ in range(count):
            animal, trait = random.choice(ANIMALS), random.choice(TRAITS)
            other = animal if random.random() < 0.5 else random.choice(ANIMALS)
            way = trait if random.random() < 0.5 else random.choice(TRAITS)
            alike = (other == animal) + (way == trait)
            score = {0: 0.0, 1: 0.4, 2: 1.0}[int(alike)] * self.top
            left, right = f"which {animal} {trait}", f"here is {way} {other}"
            rows.append({"left": left, "right": right, "score": score, "split": split})
        return pa.Table.from_pylist(rows)


@pytest.mark.parametrize("objective", ["cosent", "cosine"])
def test_scored_pairs_are_judged_by_correlation(objective: str, tiny: Path, tmp_path: Path) -> None:
    from workbench.training.task import run

    context = FakeContext(FakeWorkspace(tmp_path, Alike()), tmp_path / "job")
    values = {"objective": objective, "batch_size": 16, "epochs": 5.0, "eval_steps": 20}
    recipe = TrainEmbeddingRecipe(**{**settings(tiny, **values), "metric": "map@100"})
    result = run(recipe, context)
    assert result["metric"] == "spearman"
    assert set(result["best"]) == {"spearman", "pearson"}
    # The words alone, untrained, already say much.
    assert result["best"]["spearman"] > result["untrained"]["spearman"] + 0.03
    assert result["dev_queries"] == 80 and result["rows"] == 300
    scaled = [note for note in result["notes"] if "from 0 to 5" in note]
    assert bool(scaled) == (objective == "cosine")


@pytest.mark.parametrize("objective", ["contrastive", "listnet", "lambda"])
def test_reranker(objective: str, tiny: Path, tmp_path: Path) -> None:
    from workbench.training.task import run

    reader = FakeReader(told_by_a_word("today today today", "number"))
    context = FakeContext(FakeWorkspace(tmp_path, reader), tmp_path / "job")
    values: dict[str, Any] = {"objective": objective, "batch_size": 8, "epochs": 4.0}
    lengths = {"query_max_len": 16, "passage_max_len": 32, "first_stage": "bm25", "candidates": 5}
    recipe = TrainRerankerRecipe(**settings(tiny, **values, **lengths, eval_steps=12))
    learned(context, run(recipe, context))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"objective": "margin-mse"}, "needs its score for every document"),
        ({"matryoshka_dims": "64"}, "32 dimensions; 64 were requested"),
        ({"in_batch_negatives": False, "negatives": 0}, "needs hard negatives"),
    ],
    ids=["no-teacher", "too-long", "no-negatives"],
)
def test_what_cannot_work_says_why(
    values: dict[str, Any], sentence: str, tiny: Path, tmp_path: Path
) -> None:
    from workbench.training.task import run

    context = start(tmp_path)
    with pytest.raises(BadInput, match=sentence):
        run(TrainEmbeddingRecipe(**settings(tiny, batch_size=16, **values)), context)
