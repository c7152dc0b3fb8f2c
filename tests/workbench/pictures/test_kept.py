"""Pictures stay with their data set, whatever becomes of its name, and its splits."""

from pathlib import Path

from tests.workbench.data.fakes import bring, context
from tests.workbench.pictures.test_taken_out import contents, pictures
from workbench.data.resplit import run as resplit
from workbench.recipes.data import ResplitRecipe
from workbench.workspace import Workspace


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
