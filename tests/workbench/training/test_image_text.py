"""What a small CLIP of random weights learns from the pictures' sample, and how it is kept."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import warm
from tests.workbench.data.fakes import context as data_context
from tests.workbench.training.fakes import FakeContext
from workbench.errors import BadInput, JobCancelled
from workbench.pictures.captions import words
from workbench.pictures.sample import run as draw
from workbench.recipes.data import DrawPicturesRecipe
from workbench.recipes.train_kinds import TrainImageTextRecipe
from workbench.workspace import Workspace

# Real runs: fifteen seconds for each of the three seeds on two quiet cores (fewer steps would not
# show the gain), a second or two for each of the others.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
HELD_OUT = 520


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Any:
    opened = Workspace.open(tmp_path_factory.mktemp("clip") / "home")
    recipe = DrawPicturesRecipe(
        name="drawn", model="", train_pictures=1500, dev_pictures=40, test_pictures=HELD_OUT, seed=5
    )
    draw(recipe, data_context(opened))
    yield opened
    opened.close()


def small_clip(folder: Path, seed: int) -> Path:
    from workbench.models.small_clip import make_small_clip

    make_small_clip(folder, words(), 48, seed)
    return folder


def recipe_for(model: Path, **values: Any) -> TrainImageTextRecipe:
    settings: dict[str, Any] = {
        "dataset": "drawn",
        "model": str(model),
        "name": "mine",
        "batch_size": 64,
        "learning_rate": 2e-3,
        "temperature": 0.07,
        "precision": "fp32",
        "device": "cpu",
        "dev_documents": 40,
    }
    return TrainImageTextRecipe(**{**settings, **values})


def load(workspace: Workspace, folder: Path) -> Any:
    from workbench.models.load import load_model
    from workbench.models.locate import locate_folder

    return load_model(locate_folder(workspace, folder), device="cpu", precision="fp32")


def recall_at_10(workspace: Workspace, folder: Path) -> float:
    """Of the held-out captions, over the held-out pictures alone; plainly, without our measures."""
    reader = workspace.datasets.read("drawn")
    model = load(workspace, folder)
    judged = reader.judgments("test").sort_by("query")
    captions = reader.queries("test").sort_by("row")["text"].to_pylist()
    pictures = reader.documents_at(judged["document"].to_pylist())["picture"].to_pylist()
    assert len(captions) == len(pictures) == HELD_OUT
    texts = model.encode(captions)
    images = model.encode_pictures([reader.folder / one for one in pictures])
    scores = texts @ images.T
    places = (scores > np.diag(scores)[:, None]).sum(axis=1)
    return float((places < 10).mean())


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in (2, 3))]
)
def test_text_finds_picture_after_training(seed: int, workspace: Workspace, tmp_path: Path) -> None:
    from workbench.training.task import run

    base = small_clip(tmp_path / "clip", seed)
    before = recall_at_10(workspace, base)
    assert before < 0.06
    recipe = recipe_for(base, name=f"clip-{seed}", epochs=12.0, eval_steps=138, seed=seed)
    result = run(recipe, FakeContext(workspace, tmp_path / "job"))
    after = recall_at_10(workspace, workspace.models.folder(result["model"]))
    assert after >= 0.5, f"{before:.3f} before, {after:.3f} after"
    assert result["beats_base"] and result["kind"] == "image-text"


QUESTIONS = ["a large red circle in the middle", "two small blue stars at the top left", "nothing"]


def scores(workspace: Workspace, folder: Path) -> Any:
    """Of questions with the first pictures, (3, 12)."""
    model, reader = load(workspace, folder), workspace.datasets.read("drawn")
    places = reader.documents(0, 12)["picture"].to_pylist()
    return model.encode(QUESTIONS) @ model.encode_pictures([reader.folder / p for p in places]).T


_READ = """
import json, sys
from pathlib import Path
from tests.workbench.training.test_image_text import scores
from workbench.workspace import Workspace

opened = Workspace.open(sys.argv[1])
folders = json.loads(sys.argv[2])
print(json.dumps({name: scores(opened, Path(at)).ravel().tolist() for name, at in folders.items()}))
"""


def test_full_and_lora_are_kept_and_read_by_another_process(
    workspace: Workspace, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file

    from workbench.training.task import run

    base = small_clip(tmp_path / "clip", 7)
    folders: dict[str, Path] = {"untrained": base}
    for method, rate in (("full", 2e-3), ("lora", 1e-2)):
        recipe = recipe_for(
            base,
            name=f"cell-{method}",
            method=method,
            learning_rate=rate,
            max_rows=320,
            epochs=2.0,
            eval_steps=5,
        )
        context = FakeContext(workspace, tmp_path / method)
        result = run(recipe, context)
        # Whether such short runs find more is chance: that much is learnt is shown above.
        assert result["baseline"] == result["untrained"]
        assert [step for step, _ in context.of("dev")] == [5, 10]
        folders[method] = workspace.models.folder(result["model"])
        assert (folders[method] / "adapter_config.json").is_file() == (method == "lora")
        model = workspace.models.get(result["model"])
        assert model.kind == "image-text" and model.contract["dataset"] == "drawn"
        assert "pictures" in (folders[method] / "README.md").read_text(encoding="utf-8")
    here = {name: scores(workspace, folder).ravel() for name, folder in folders.items()}
    for method in ("full", "lora"):
        assert not np.allclose(here["untrained"], here[method], atol=1e-2)
    adapter = load_file(folders["lora"] / "adapter_model.safetensors")
    for tower in ("text_model", "vision_model"):
        learnt = [value for name, value in adapter.items() if tower in name and "lora_B" in name]
        assert learnt and all(np.abs(value).max() > 0 for value in learnt)
    asked = json.dumps({name: str(folder) for name, folder in folders.items()})
    done = warm.run([sys.executable, "-c", _READ, str(workspace.home), asked], cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    there = json.loads(done.stdout.splitlines()[-1])
    for name, expected in here.items():
        assert np.allclose(there[name], expected, atol=1e-4), name


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_resumed_run_ends_with_the_same_weights(
    method: str, workspace: Workspace, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file

    from workbench.training.task import run

    base = small_clip(tmp_path / "clip", 3)
    recipe = recipe_for(
        base, method=method, max_rows=384, epochs=1.0, eval_steps=2, lora_dropout=0.0
    )
    straight = FakeContext(workspace, tmp_path / "a")
    whole = run(recipe, straight)
    broken = FakeContext(workspace, tmp_path / "b", cancel_at=3)
    with pytest.raises(JobCancelled):
        run(recipe, broken)
    resumed = FakeContext(workspace, tmp_path / "b", resuming=True, rows=broken.rows)
    result = run(recipe, resumed)
    assert result["steps"] == whole["steps"] == 6
    assert [step for step, _ in resumed.of("train")] == [step for step, _ in straight.of("train")]
    name = "adapter_model.safetensors" if method == "lora" else "model.safetensors"
    first, second = (
        load_file(tmp_path / run / "output" / "checkpoint-6" / name) for run in ("a", "b")
    )
    assert first.keys() == second.keys()
    for key, value in first.items():
        assert np.allclose(value, second[key], atol=1e-5), key


def test_a_model_of_texts_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    from tests.workbench.models.tiny import bert
    from workbench.prepare import prepare
    from workbench.training.task import run

    recipe = recipe_for(bert(tmp_path / "bert"))
    with pytest.raises(BadInput, match="does not see pictures"):
        prepare(recipe, workspace)
    with pytest.raises(BadInput, match="does not see pictures"):
        run(recipe, FakeContext(workspace, tmp_path / "job"))
