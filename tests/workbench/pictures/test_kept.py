"""Pictures stay with their data set, whatever becomes of its name, and its splits."""

from pathlib import Path

import pytest

from tests.workbench.data.fakes import bring, context
from tests.workbench.pictures.test_taken_out import contents, pictures
from workbench.data.resplit import run as resplit
from workbench.jobs.outcome import made
from workbench.pictures import sample
from workbench.recipes.data import DrawPicturesRecipe, ResplitRecipe
from workbench.workspace import Workspace


def test_a_killed_drawing_goes_on_with_its_data_set(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    counts = {"train_pictures": 50, "dev_pictures": 10, "test_pictures": 50, "size": 32}
    recipe = DrawPicturesRecipe(name="drawn", model="small", **counts)
    job = context(workspace)
    with monkeypatch.context() as patch:
        patch.setattr(sample, "_with_model", killed)
        with pytest.raises(KeyboardInterrupt):
            sample.run(recipe, job)
    before = workspace.datasets.list()
    assert "drawn" in {one.name for one in before}
    # The model is what the job makes last: until it is there, nothing says that the job was done.
    assert made(workspace.store, job.folder) is None
    monkeypatch.setattr(sample, "_with_model", lambda recipe, context, result: result)
    assert sample.run(recipe, job)["name"] == "drawn"
    assert workspace.datasets.list() == before


def test_other_splits_and_another_name(workspace: Workspace, tmp_path: Path) -> None:
    _, reader = bring(workspace, pictures(tmp_path / "set"), name="first-name")
    before = contents(reader)
    done = context(workspace)
    done.job = type("Job", (), {"id": "resplit"})
    resplit(ResplitRecipe(dataset="first-name", dev_share=0.3, test_share=0.3, seed=5), done)
    again = workspace.datasets.read("first-name")
    assert again.version == 2 and contents(again) == before
    # The earlier version has its own still.
    assert contents(workspace.datasets.read("first-name", 1)) == before
    workspace.datasets.rename("first-name", "second-name")
    assert contents(workspace.datasets.read("second-name")) == before
    folder = again.folder
    workspace.datasets.remove("second-name")
    assert not folder.exists()
