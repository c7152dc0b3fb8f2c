"""What is taken away names no path of this machine; what a hub gets is the same."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.workbench.training.fakes import FakeContext, FakeReader, FakeWorkspace, save_tiny_model
from ui.routes.downloads import zipped
from workbench.errors import BadInput, BadRecipe, JobCancelled
from workbench.models import registry
from workbench.models.contract import Contract
from workbench.models.files import export_zip
from workbench.models.registry import new_model
from workbench.recipes.push import PushModelRecipe
from workbench.records import Model
from workbench.takeaway import push
from workbench.takeaway.push import PushFailed, send, submit
from workbench.takeaway.snippet import missing_base, replaced_files

SECRET = "hf_a-token-that-nobody-may-see"


@pytest.fixture
def workspace(tmp_path: Path) -> Any:
    return FakeWorkspace(tmp_path / "home", FakeReader({"train": []}))


def put(workspace: Any, name: str, summary: dict[str, Any] | None = None) -> tuple[Model, Path]:
    id, folder = workspace.models.new_folder()
    made = new_model(id, name, contract=Contract().model_dump(), summary=summary or {})
    return workspace.models.add(made), folder


def base_of(workspace: Any, name: str, source: str = "") -> Path:
    model, folder = put(workspace, name, {"source": source} if source else {})
    folder.rmdir()
    save_tiny_model(folder)
    return workspace.path(model.path)


def adapter_of(workspace: Any, base: Path) -> tuple[Model, Path]:
    model, folder = put(workspace, "mine")
    about = {"base_model_name_or_path": str(base), "peft_type": "LORA", "r": 16}
    (folder / "adapter_config.json").write_text(json.dumps(about))
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    contract = Contract(base_model=str(base))
    contract.write(folder)
    config = {"model": str(base), "batch_size": 8}
    (folder / "training_config.json").write_text(json.dumps(config))
    return model, folder


@pytest.mark.parametrize(
    ("name", "source", "elsewhere"),
    [
        (registry.NAME, "", "sentence-transformers/all-MiniLM-L6-v2"),
        ("bge", "BAAI/bge-small-en-v1.5", "BAAI/bge-small-en-v1.5"),
        ("ours", "/somewhere/ours", "ours"),
    ],
)
def test_an_adapter_names_its_base_as_others_know_it(
    workspace: Any, name: str, source: str, elsewhere: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr("workbench.takeaway.snippet.from_folder", known_base(name))
    base = base_of(workspace, name, source)
    model, folder = adapter_of(workspace, base)
    found = replaced_files(workspace, model)
    config = json.loads(found["adapter_config.json"])
    assert config["base_model_name_or_path"] == elsewhere and config["r"] == 16
    assert all(str(base).encode() not in content for content in found.values())
    assert json.loads(found["training_config.json"]) == {"model": elsewhere, "batch_size": 8}
    assert missing_base(workspace, model) == ("" if "/" in elsewhere else elsewhere)
    # Here everything stays as it is: the base is found by its path.
    assert str(base) in (folder / "adapter_config.json").read_text()


def known_base(name: str) -> Any:
    """Stands in for resolving: the adapter's base is the workspace's model of that name."""
    from workbench.models.resolve import ResolvedModel

    def found(workspace: Any, folder: Path, _name: str, _model: Any) -> ResolvedModel:
        where = str(workspace.path(workspace.models.get(name).path))
        base = ResolvedModel(name, where, Contract(), "id")
        return ResolvedModel("mine", str(folder), Contract(), "mine", base)

    return found


def test_a_base_that_is_gone_leaves_its_last_name(workspace: Any) -> None:
    model, _ = adapter_of(workspace, Path("/gone/by/now/tea-model"))
    found = json.loads(replaced_files(workspace, model)["adapter_config.json"])
    assert found["base_model_name_or_path"] == "tea-model"


def test_both_zips_hold_what_was_rewritten(workspace: Any, tmp_path: Path) -> None:
    model, folder = adapter_of(workspace, Path("/gone/by/now/tea-model"))
    instead = replaced_files(workspace, model)
    export_zip(folder, tmp_path / "a.zip", instead)
    (tmp_path / "b.zip").write_bytes(b"".join(zipped(folder, "b", instead)))
    for name in ("a", "b"):
        with zipfile.ZipFile(tmp_path / f"{name}.zip") as archive:
            names = {path.removeprefix(f"{name}/") for path in archive.namelist()}
            assert names == {path.name for path in folder.iterdir()}
            assert b"/gone/by" not in b"".join(map(archive.read, archive.namelist()))
            assert archive.read(f"{name}/adapter_model.safetensors") == b"weights"


class FakeApi:
    """``HfApi`` as far as a push goes; remembers what it was given."""

    def __init__(self, token: str, fail: Exception | None = None) -> None:
        self.token, self.fail = token, fail
        self.created: dict[str, Any] = {}
        self.ahead: list[str] = []
        self.files: dict[str, bytes] = {}

    def create_repo(self, repo: str, **options: Any) -> None:
        self.created = {"repo": repo, **options}

    def preupload_lfs_files(self, repo: str, additions: list[Any], **_: Any) -> None:
        if self.fail:
            raise self.fail
        assert repo == self.created["repo"]
        self.ahead += [one.path_in_repo for one in additions]

    def create_commit(self, repo: str, operations: list[Any], **_: Any) -> Any:
        assert repo == self.created["repo"]
        self.files = {
            one.path_in_repo: Path(one.path_or_fileobj).read_bytes() for one in operations
        }


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def pushed(workspace: Any, model: Model, api: FakeApi, **more: Any) -> tuple[str, FakeContext]:
    context = FakeContext(workspace, workspace.home, **more)
    recipe = PushModelRecipe.read({"model": model.name, "repo": "me/mine"})
    address = send(
        lambda folder: push._stage(workspace, model, folder),
        recipe,
        context,
        make_api=lambda _token: api,
    )
    return address, context


@pytest.mark.usefixtures("online")
def test_a_hub_gets_the_portable_files(
    workspace: Any, monkeypatch: Any, caplog: Any, capsys: Any
) -> None:
    model, folder = adapter_of(workspace, Path("/gone/by/now/tea-model"))
    monkeypatch.setenv("HF_TOKEN", SECRET)
    caplog.set_level("DEBUG")
    api = FakeApi(SECRET)
    address, context = pushed(workspace, model, api)
    assert address == "https://huggingface.co/me/mine" and api.created["private"] is True
    assert set(api.files) == set(api.ahead) == {path.name for path in folder.iterdir()}
    assert b"/gone/by" not in b"".join(api.files.values())
    written = b"".join(path.read_bytes() for path in workspace.home.rglob("*") if path.is_file())
    said = "".join(capsys.readouterr()) + caplog.text + "".join(context.messages)
    assert SECRET.encode() not in written and SECRET not in said
    assert "Uploading adapter_model.safetensors" in context.messages


@pytest.mark.usefixtures("online")
def test_it_stops_between_two_files(workspace: Any, monkeypatch: Any) -> None:
    model, _ = adapter_of(workspace, Path("/gone/tea-model"))
    monkeypatch.setenv("HF_TOKEN", SECRET)
    api = FakeApi(SECRET)
    with pytest.raises(JobCancelled):
        pushed(workspace, model, api, cancelled=True)
    assert api.ahead == [] and api.files == {}


@pytest.mark.usefixtures("online")
def test_what_cannot_be_tried_is_said(workspace: Any, monkeypatch: Any) -> None:
    recipe = PushModelRecipe.read({"model": "mine", "repo": " me/mine "})
    assert recipe.repo == "me/mine"
    with pytest.raises(BadInput, match="A token"):
        submit(workspace, recipe)
    with pytest.raises(BadRecipe, match="no repository"):
        PushModelRecipe.read({"model": "mine", "repo": "mine"})
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(BadInput, match="HF_HUB_OFFLINE"):
        submit(workspace, recipe, SECRET)


@pytest.mark.usefixtures("online")
def test_a_hub_that_fails_does_not_show_the_token(workspace: Any, monkeypatch: Any) -> None:
    model, _ = adapter_of(workspace, Path("/gone/tea-model"))
    monkeypatch.setenv("HF_TOKEN", SECRET)
    broken = OSError(f"no route, Authorization: Bearer {SECRET}")
    with pytest.raises(PushFailed) as failed:
        pushed(workspace, model, FakeApi(SECRET, broken))
    assert SECRET not in str(failed.value) and failed.value.__cause__ is None
    assert "could not be reached" in str(failed.value)
