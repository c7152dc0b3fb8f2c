"""Adding a model: checked at the click, copied, converted, tried, registered; or nothing left."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.workbench.models import tiny
from tests.workbench.models.fakes import FakeContext, write_modules
from workbench.errors import BadInput, JobCancelled, ModelNotFound, ModelUnusable, NameTaken
from workbench.jobs.outcome import made
from workbench.models.locate import locate
from workbench.prepare import prepare
from workbench.recipes.data import AddModelRecipe
from workbench.workspace import Workspace


@pytest.fixture
def opened(home: Path) -> Iterator[Workspace]:
    workspace = Workspace.open(home)
    yield workspace
    workspace.close()


def test_the_click_fills_in_source_and_name(
    opened: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_modules(tmp_path / "my-model")
    monkeypatch.chdir(tmp_path)
    recipe = prepare(AddModelRecipe(source="my-model"), opened, False)
    assert (recipe.source, recipe.name) == (str(tmp_path / "my-model"), "my-model")


def test_the_click_refuses_what_is_no_model(opened: Workspace, tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable, match="holds no model"):
        prepare(AddModelRecipe(source=str(tmp_path)), opened, False)
    with pytest.raises(ModelNotFound):
        prepare(AddModelRecipe(source="no-such-model"), opened, False)
    opened.models.ensure_packaged()
    with pytest.raises(BadInput, match="already"):
        prepare(AddModelRecipe(source="all-MiniLM-L6-v2"), opened, False)
    folder = str(write_modules(tmp_path / "mine"))
    with pytest.raises(NameTaken):
        prepare(AddModelRecipe(source=folder, name="all-MiniLM-L6-v2"), opened, False)


# The rest loads models: importing sentence-transformers takes 6 to 11 seconds.
@pytest.mark.slow
def test_a_pickled_checkpoint_becomes_a_model_of_safetensors(
    opened: Workspace, tmp_path: Path
) -> None:
    from workbench.models.jobs import run_add
    from workbench.models.load import load_embedding

    source = tiny.pickled(tiny.bert(tmp_path / "tiny"))
    context = FakeContext(opened)
    recipe = prepare(AddModelRecipe(source=str(source)), opened, False)
    result = run_add(recipe, context)
    assert made(opened.store, context.folder) == result
    model = opened.models.get("tiny")
    folder = opened.models.folder("tiny")
    assert result["converted"] == ["model.safetensors"]
    assert result["contract"]["dimensions"] == 32
    assert (model.job_id, model.summary["origin"]) == ("job00001", "added")
    assert not list(folder.glob("*.bin"))
    assert (folder / "contract.json").is_file()
    assert context.messages == ["Copying the model", "Checking the weights", "Trying the model"]
    outside = load_embedding(locate(opened, str(source)), precision="fp32")
    inside = load_embedding(locate(opened, "tiny"), precision="fp32")
    np.testing.assert_allclose(
        inside.encode(["the fox"], "query"), outside.encode(["the fox"], "query"), atol=1e-6
    )


@pytest.mark.slow
def test_an_adapter_keeps_its_base(opened: Workspace, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from sentence_transformers import SentenceTransformer

    from workbench.models.jobs import run_add
    from workbench.models.load import load_embedding

    base = tiny.bert(tmp_path / "tiny")
    run_add(AddModelRecipe(source=str(base), name="tiny"), FakeContext(opened))
    config = LoraConfig(r=4, target_modules=["query", "value"], init_lora_weights=False)
    made = get_peft_model(SentenceTransformer(str(base))[0].model, config)
    made.save_pretrained(tmp_path / "lora")
    # As on the machine it came from, which is not here any more.
    shutil.move(base, tmp_path / "gone")
    run_add(AddModelRecipe(source=str(tmp_path / "lora"), name="tiny-lora"), FakeContext(opened))
    assert opened.models.get("tiny-lora").base == "tiny"
    with pytest.raises(BadInput, match="the adapter 'tiny-lora'"):
        opened.models.remove("tiny")
    loaded = load_embedding(locate(opened, "tiny-lora"), precision="fp32")
    plain = load_embedding(locate(opened, "tiny"), precision="fp32")
    difference = loaded.encode(["the fox"], "query") - plain.encode(["the fox"], "query")
    assert np.abs(difference).max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("at", ["Copying the model", "Checking the weights", "Trying the model"])
def test_cancelling_leaves_nothing_behind(opened: Workspace, tmp_path: Path, at: str) -> None:
    from workbench.models.jobs import run_add

    source = tiny.bert(tmp_path / "tiny")
    with pytest.raises(JobCancelled):
        run_add(AddModelRecipe(source=str(source), name="tiny"), FakeContext(opened, at))
    assert opened.models.list() == []
    assert list((opened.home / "models").iterdir()) == []


@pytest.mark.slow
def test_a_model_that_gives_nan_is_refused(opened: Workspace, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from workbench.models.jobs import run_add

    source = tiny.bert(tmp_path / "tiny")
    weights = load_file(source / "model.safetensors")
    name = next(key for key in weights if key.endswith("word_embeddings.weight"))
    weights[name].fill_(float("nan"))
    save_file(weights, source / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelUnusable, match="no usable embeddings"):
        run_add(AddModelRecipe(source=str(source), name="tiny"), FakeContext(opened))
    assert list((opened.home / "models").iterdir()) == []
