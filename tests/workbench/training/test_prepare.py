"""What a training recipe is checked for when it is submitted."""

from pathlib import Path
from typing import Any

import pytest

from tests.workbench.training.fakes import FakeDatasets, FakeReader
from workbench.errors import BadInput, DatasetNotFound, ModelNotFound, NameTaken
from workbench.prepare import prepare
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.recipes.train_kinds import TrainRerankerRecipe
from workbench.workspace import Workspace

ROWS = [("a", ["b"], []), ("c", ["d"], [])]


@pytest.fixture
def workspace(home: Path) -> Workspace:
    workspace = Workspace.open(home)
    workspace.__dict__["datasets"] = FakeDatasets(FakeReader({"train": ROWS}))
    return workspace


def recipe(**values: Any) -> TrainEmbeddingRecipe:
    return TrainEmbeddingRecipe(**{"dataset": "pets", **values})


def test_name_and_version_are_filled_in(workspace: Workspace) -> None:
    ready = prepare(recipe(), workspace)
    assert (ready.name, ready.dataset_version) == ("all-MiniLM-L6-v2-pets", 1)
    assert workspace.models.exists("all-MiniLM-L6-v2")


def test_a_taken_name_is_refused_with_a_free_one(workspace: Workspace) -> None:
    workspace.models.ensure_packaged()
    with pytest.raises(NameTaken) as caught:
        prepare(recipe(name="all-MiniLM-L6-v2"), workspace)
    assert "all-MiniLM-L6-v2-2" in caught.value.hint


def test_unknown_model(workspace: Workspace) -> None:
    with pytest.raises(ModelNotFound):
        prepare(recipe(model="all-MiniLM-L6"), workspace)


def test_no_training_queries(workspace: Workspace) -> None:
    workspace.__dict__["datasets"] = FakeDatasets(FakeReader({"dev": ROWS}))
    with pytest.raises(BadInput, match="no training queries"):
        prepare(recipe(), workspace)


def test_what_an_earlier_job_brings_may_be_missing(home: Path) -> None:
    workspace = Workspace.open(home)
    with pytest.raises(DatasetNotFound):
        prepare(recipe(), workspace)
    ready = prepare(recipe(model="made-by-the-job-before"), workspace, waits=True)
    assert ready.dataset_version is None and ready.name == "made-by-the-job-before-pets"


@pytest.mark.parametrize(
    ("gpus", "devices", "said"),
    [
        (("0", "1"), "gpu:0,gpu:5", "no gpu:5 here; there is gpu:0, gpu:1"),
        (("0", "1"), "3", "3 devices were requested; this machine has 2"),
        ((), "gpu:0", "no gpu:0 here; there is no GPU"),
    ],
)
def test_more_gpus_than_there_are_would_wait_for_ever(
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    gpus: tuple[str, ...],
    devices: str,
    said: str,
) -> None:
    monkeypatch.setattr("workbench.training.prepare.gpus", lambda: gpus)
    with pytest.raises(BadInput) as caught:
        prepare(recipe(devices=devices), workspace)
    assert said in str(caught.value)
    assert prepare(recipe(devices="2"), workspace).devices == "2"


def test_a_guide_and_a_first_stage_are_looked_up_too(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no-such-guide"):
        prepare(recipe(objective="gist", guide_model="no-such-guide"), workspace)
    # One that is not used is not asked for.
    prepare(recipe(guide_model="no-such-guide"), workspace)
    staged = {"dataset": "pets", "first_stage": "no-such-stage"}
    with pytest.raises(ModelNotFound, match="no-such-stage"):
        prepare(TrainRerankerRecipe(**staged), workspace)
    prepare(TrainRerankerRecipe(**{**staged, "first_stage": "bm25"}), workspace)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"objective": "distill-kl", "negatives": 0}, "with negatives 0 each query has one"),
        ({"objective": "margin-mse", "negatives": 0}, "with negatives 0 each query has one"),
        ({"objective": "cosent", "batch_size": 1}, "learnt in batches of one"),
    ],
)
def test_what_cannot_be_learnt_whatever_the_data_is_refused(
    workspace: Workspace, values: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        prepare(recipe(**values), workspace)


def test_gist_is_guided_by_the_base_where_no_guide_is_named(workspace: Workspace) -> None:
    assert prepare(recipe(objective="gist"), workspace).guide_model == ""
