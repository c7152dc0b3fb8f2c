"""Copying leaves junk behind, follows no link outside, and a zip holds the model whole."""

import zipfile
from pathlib import Path

import pytest

from tests.workbench.models.fakes import write_modules
from workbench.errors import BadInput, JobCancelled, ModelUnusable
from workbench.models.contract import check_name, name_from
from workbench.models.files import copy_model, export_zip


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_junk_stays_behind(tmp_path: Path) -> None:
    source = write_modules(tmp_path / "source")
    wanted = names(source)
    for junk in ("optimizer.pt", "rng_state_0.pth", "training_args.bin", "model.onnx"):
        (source / junk).write_bytes(b"junk")
    (source / "checkpoint-3").mkdir()
    (source / "checkpoint-3" / "model.safetensors").write_bytes(b"junk")
    reported: list[tuple[int, int]] = []
    size = copy_model(source, tmp_path / "copy", progress=lambda *done: reported.append(done))
    assert names(tmp_path / "copy") == wanted
    assert reported[-1] == (size, size)


def test_a_link_that_leads_outside_is_refused(tmp_path: Path) -> None:
    source = write_modules(tmp_path / "source")
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    (source / "README.md").symlink_to(secret)
    with pytest.raises(ModelUnusable, match="leads out"):
        copy_model(source, tmp_path / "copy")
    (source / "README.md").unlink()
    (source / "inner").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(ModelUnusable, match="leads out"):
        copy_model(source, tmp_path / "copy")


def test_the_hub_caches_own_links_are_followed(tmp_path: Path) -> None:
    blobs = tmp_path / "models--owner--name" / "blobs"
    snapshot = tmp_path / "models--owner--name" / "snapshots" / "0123abcd"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    (blobs / "aa").write_bytes(b"weights")
    (snapshot / "model.safetensors").symlink_to("../../blobs/aa")
    copy_model(snapshot, tmp_path / "copy")
    copied = tmp_path / "copy" / "model.safetensors"
    assert copied.read_bytes() == b"weights"
    assert not copied.is_symlink()


def test_copying_can_be_stopped(tmp_path: Path) -> None:
    source = write_modules(tmp_path / "source")

    def stop() -> None:
        raise JobCancelled("stopped")

    with pytest.raises(JobCancelled):
        copy_model(source, tmp_path / "copy", stop=stop)


def test_a_zip_holds_every_file_in_one_folder(tmp_path: Path) -> None:
    source = write_modules(tmp_path / "source")
    target = export_zip(source, tmp_path / "mine.zip")
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
        assert {f"mine/{name}" for name in names(source)} == set(archive.namelist())
        assert archive.read("mine/model.safetensors") == b"weights"
    assert names(tmp_path) == {f"source/{name}" for name in names(source)} | {"mine.zip"}


@pytest.mark.parametrize("where", ["missing/mine.zip", "."])
def test_a_zip_needs_a_place(tmp_path: Path, where: str) -> None:
    source = write_modules(tmp_path / "source")
    with pytest.raises(BadInput, match="cannot be written"):
        export_zip(source, tmp_path / where)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("owner/my-encoder", "my-encoder"),
        ("/home/me/runs/support/final", "support-final"),
        ("/home/me/runs/support/checkpoint-40", "support-checkpoint-40"),
        ("/cache/models--owner--name/snapshots/" + "a" * 40, "name"),
        ("/home/me/.hidden", "hidden"),
    ],
)
def test_a_name_comes_from_the_source(source: str, name: str) -> None:
    assert name_from(source) == name


@pytest.mark.parametrize("name", ["", " ", "a/b", "a\\b", "bm25", "-x", ".x", "a\nb"])
def test_ambiguous_names_are_refused(name: str) -> None:
    with pytest.raises(BadInput):
        check_name(name)
    assert check_name(" my model.v2 ") == "my model.v2"
