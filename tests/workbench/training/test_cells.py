"""Every kind with every method: trained here, read back by one other process."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import warm
from tests.workbench.training.fakes import (
    LEARNS,
    PLACE,
    FakeContext,
    FakeReader,
    FakeWorkspace,
    animal_splits,
    save_decoder,
    save_late,
    save_tiny_model,
    told_by_a_word,
)
from workbench.errors import JobCancelled
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.recipes.train_kinds import TrainLateInteractionRecipe, TrainRerankerRecipe

# Each cell trains a real model: one to four seconds.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
RECIPES: dict[str, Any] = {
    "embedding": TrainEmbeddingRecipe,
    "reranker": TrainRerankerRecipe,
    "late-interaction": TrainLateInteractionRecipe,
}
METHODS: dict[str, dict[str, Any]] = {
    "full": {},
    "lora": {"method": "lora"},
    "qlora-4": {"method": "qlora", "quantization_bits": 4},
    "qlora-8": {"method": "qlora", "quantization_bits": 8},
}
#: What such small models with random weights learn at; large ones need far less.
RATES = {
    (base, method): 1e-2
    for base in ("bert", "stanford", "m3")
    for method in ("lora", "qlora-4", "qlora-8")
}
QUESTIONS = ["which old cat", "which red dog", "which new owl"]
TEXTS = ["here is old cat number 3", "here is red dog today", "which", "here is icy yak number 1"]


@dataclass(frozen=True)
class Cell:
    kind: str
    base: str
    method: str

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.base}-{self.method}"


#: An encoder with every method; of decoders, which differ in what adapters and bits are put on,
#: each method once, and of heads over tokens each with and without an adapter.
CELLS = [
    Cell(kind, base, method)
    for kind, base, methods in (
        ("embedding", "bert", METHODS),
        ("embedding", "qwen2", ["full", "qlora-4"]),
        ("embedding", "mistral", ["lora", "qlora-8"]),
        ("reranker", "bert", METHODS),
        ("reranker", "qwen2-lm", ["full", "lora", "qlora-4"]),
        ("late-interaction", "bert", ["lora"]),
        ("late-interaction", "stanford", ["full"]),
        ("late-interaction", "m3", ["full", "lora"]),
    )
    for method in methods
]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bases")
    return {
        "bert": save_tiny_model(folder / "bert"),
        "qwen2": save_decoder(folder / "qwen2", "qwen2"),
        "mistral": save_decoder(folder / "mistral", "mistral"),
        "qwen2-lm": save_decoder(folder / "qwen2-lm", "qwen2", answers=True),
        "stanford": save_late(folder / "stanford", layout="stanford"),
        "m3": save_late(folder / "m3", layout="m3"),
    }


@pytest.fixture(scope="module")
def trained() -> dict[str, Any]:
    """cell -> (folder of the model, scores in this process); filled as the cells are trained."""
    return {}


def run_training(recipe: Any, context: Any) -> Any:
    from workbench.training.task import run

    return run(recipe, context)


def recipe_for(cell: Cell, base: Path, **values: Any) -> Any:
    settings: dict[str, Any] = {
        "dataset": "pets",
        "model": str(base),
        "name": "mine",
        "learning_rate": RATES.get((cell.base, cell.method), 5e-3),
        "batch_size": 16,
        "epochs": 4.0,
        **PLACE,
        "eval_steps": 12,
        "query_max_len": 16,
        "passage_max_len": 32,
        "metric": "mrr@10",
        **METHODS[cell.method],
    }
    if cell.kind != "embedding":
        settings |= {"first_stage": "bm25", "candidates": 10}
    if cell.kind == "reranker":
        settings |= {"batch_size": 8, "negatives": 4}
    if cell.base == "qwen2-lm":
        settings["prompt_template"] = "{query} ? {document} : {yes} {no} :"
        settings["passage_max_len"] = 48
    return RECIPES[cell.kind](**{**settings, **values})


def scores(model: Any) -> Any:
    if model.contract.kind == "embedding":
        return model.encode(QUESTIONS, "query") @ model.encode(TEXTS, "document").T
    pairs = np.array([(q, d) for q in range(len(QUESTIONS)) for d in range(len(TEXTS))])
    return model.score(QUESTIONS, TEXTS, pairs)


def ranked(cell: Cell) -> dict[str, list[Any]]:
    """Rows that BM25, for the length of the relevant document, and these bases, by the chance of
    their random weights, rank the wrong way round."""
    return told_by_a_word("today today today", "number")


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_it_learns_and_is_kept(
    cell: Cell, bases: dict[str, Path], trained: dict[str, Any], tmp_path_factory: Any
) -> None:
    from workbench.models.load import load_model
    from workbench.models.locate import locate_folder

    home = tmp_path_factory.mktemp(cell.name)
    ranks = cell.kind == "reranker"
    workspace = FakeWorkspace(home, FakeReader(ranked(cell) if ranks else animal_splits()))
    context = FakeContext(workspace, home / "jobs" / "job")
    values = {"objective": "contrastive", "candidates": 5, "eval_steps": 8} if ranks else {}
    result = run_training(recipe_for(cell, bases[cell.base], **values), context)

    losses = [values["loss"] for _, values in context.of("train")]
    metric = result["metric"]
    if LEARNS:
        assert np.mean(losses[-6:]) < 0.85 * np.mean(losses[:6])
        # Far more than what rounding, threads or another order of the rows change.
        assert result["best"][metric] > result["untrained"][metric] + 0.15
    model = workspace.models.added[0]
    assert model.kind == cell.kind == result["kind"]
    folder = home / model.path
    is_adapter = (folder / "adapter_config.json").is_file()
    assert is_adapter == (cell.method != "full")
    steps = [step for step, _ in context.of("dev")]
    if cell.kind == "embedding":
        assert result["baseline"] == result["untrained"] and 0 not in steps
    else:
        # The first stage's order is the baseline; the untrained model is where dev begins.
        assert "bm25" in result["baseline_name"] and steps[0] == 0
        assert context.of("baseline")[0][1] == result["baseline"]
        better = result["best"][metric] > result["baseline"][metric]
        assert result["beats_base"] is better
        assert (result["verdict"] == "below-first-stage") is not better
    if is_adapter:
        assert any("weights are trained" in note for note in context.notes)
    loaded = load_model(locate_folder(workspace, folder), device="cpu", precision="fp32")
    trained[cell.name] = (str(folder), scores(loaded).ravel().tolist())


_READ = """
import json, sys
from pathlib import Path
from tests.workbench.training.fakes import FakeReader, FakeWorkspace
from tests.workbench.training.test_cells import scores
from workbench.models.load import load_model
from workbench.models.locate import locate_folder

found = {}
for name, folder in json.loads(sys.argv[1]).items():
    workspace = FakeWorkspace(Path(folder), FakeReader({"train": []}))
    model = load_model(locate_folder(workspace, Path(folder)), device="cpu", precision="fp32")
    found[name] = scores(model).ravel().tolist()
print(json.dumps(found))
"""


def test_another_process_gets_the_same_scores(trained: dict[str, Any]) -> None:
    assert trained, "the cells are trained first"
    folders = {name: folder for name, (folder, _) in trained.items()}
    done = warm.run([sys.executable, "-c", _READ, json.dumps(folders)], cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    for name, (_, expected) in trained.items():
        assert np.allclose(found[name], expected, atol=1e-4), name


RESUMED = [
    Cell("embedding", "bert", "lora"),
    Cell("embedding", "qwen2", "full"),
    Cell("embedding", "qwen2", "qlora-4"),
    Cell("reranker", "bert", "qlora-4"),
    Cell("reranker", "qwen2-lm", "lora"),
    Cell("late-interaction", "bert", "lora"),
    Cell("late-interaction", "m3", "full"),
]


@pytest.mark.parametrize("cell", RESUMED, ids=lambda cell: cell.name)
def test_a_resumed_run_ends_with_the_same_weights(
    cell: Cell, bases: dict[str, Path], tmp_path: Path
) -> None:
    recipe = recipe_for(cell, bases[cell.base], max_steps=6, eval_steps=3, lora_dropout=0.0)
    reader = FakeReader(animal_splits(dev=8))
    straight = FakeContext(FakeWorkspace(tmp_path / "a", reader), tmp_path / "a" / "job")
    whole = run_training(recipe, straight)
    home = tmp_path / "b"
    broken = FakeContext(FakeWorkspace(home, reader), home / "job", cancel_at=4)
    with pytest.raises(JobCancelled):
        run_training(recipe, broken)
    resumed = FakeContext(broken.workspace, home / "job", resuming=True, rows=broken.rows)
    result = run_training(recipe, resumed)
    assert result["steps"] == whole["steps"]
    assert [step for step, _ in resumed.of("train")] == [step for step, _ in straight.of("train")]
    first, second = (last_weights(folder, whole["steps"]) for folder in (tmp_path / "a", home))
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert np.allclose(value, second[name], atol=1e-5), name


def last_weights(home: Path, step: int) -> dict[str, Any]:
    from safetensors.numpy import load_file

    folder = home / "job" / "output" / f"checkpoint-{step}"
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*.safetensors")):
        prefix = path.relative_to(folder).parent.as_posix()
        found |= {f"{prefix}/{name}": value for name, value in load_file(path).items()}
    return found
