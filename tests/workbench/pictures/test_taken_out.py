"""Pictures that are exported, merged, sampled and shown small stay the same pictures."""

import io
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from tests.workbench.data.fakes import bring, context
from tests.workbench.pictures.fakes import noise, plain
from tests.workbench.pictures.test_importing import linked, rows, written
from workbench.data.export import run as export
from workbench.data.merge import run as merge
from workbench.data.reader import DatasetReader
from workbench.data.subset import run as sample
from workbench.data_check.checked import joined
from workbench.errors import NotFound
from workbench.pictures.captions import SHAPES, draw, scenes, words
from workbench.pictures.store import thumbnail
from workbench.recipes.data import ExportDataRecipe, MergeDataRecipe, SampleRowsRecipe
from workbench.workspace import Workspace


def contents(reader: DatasetReader) -> dict[str, set[bytes]]:
    """caption -> the bytes of the pictures relevant for it."""
    named = {one["id"]: reader.folder / one["picture"] for one in reader.documents().to_pylist()}
    return {text: {named[id].read_bytes() for id in ids} for text, ids in linked(reader).items()}


def pictures(folder: Path) -> Path:
    captions = [
        *({"file_name": f"{at}.png", "text": f"thing {at}", "kind": at % 2} for at in range(8)),
        {"file_name": "0.png", "text": "another name"},
        {"file_name": "1.png", "text": "thing 2"},
    ]
    files = {f"{at}.png": noise(at) for at in range(8)}
    return written(folder, {**files, "metadata.jsonl": rows(*captions)})


def test_an_image_folder_comes_back_as_it_was(workspace: Workspace, tmp_path: Path) -> None:
    _, reader = bring(workspace, pictures(tmp_path / "set"), name="out")
    target = tmp_path / "out.zip"
    recipe = ExportDataRecipe(dataset="out", format="imagefolder", output=str(target))
    done = export(recipe, context(workspace))
    assert done["left_out"] == ["the documents' own ids (8)"]
    with zipfile.ZipFile(target) as archive:
        assert {name.split("/")[0] for name in archive.namelist()} == {"train", "dev", "test"}
    result, again = bring(workspace, target)
    # A picture whose captions are in two splits is written in both.
    assert set(result["problem_counts"]) <= {"picture-repeated"}
    assert again.counts["splits"] == reader.counts["splits"]
    assert contents(again) == contents(reader)
    for split in ("train", "dev", "test"):
        texts = [set(one.queries(split)["text"].to_pylist()) for one in (reader, again)]
        assert texts[0] == texts[1]
    fields = [set(one.documents()["fields"].to_pylist()) for one in (reader, again)]
    assert fields[0] == fields[1] == {'{"kind": 0}', '{"kind": 1}'}
    assert again.counts["documents"] == reader.counts["documents"]


def test_other_formats_say_that_pictures_are_left_out(workspace: Workspace, tmp_path: Path) -> None:
    bring(workspace, pictures(tmp_path / "set"), name="said")
    recipe = ExportDataRecipe(dataset="said", format="beir", output=str(tmp_path / "beir"))
    assert "pictures (8)" in export(recipe, context(workspace))["left_out"]


def test_odd_names_stay_inside_the_export(workspace: Workspace, tmp_path: Path) -> None:
    names = ["a/b c.png", "a b c.png", "x ..y.png", "Ünï/图 片.png", "A B C.png"]
    files = {name: noise(at) for at, name in enumerate(names)}
    captions = rows(*({"file_name": name, "text": f"n {name}"} for name in names))
    bring(workspace, written(tmp_path / "s", {**files, "metadata.jsonl": captions}), name="odd")
    recipe = ExportDataRecipe(dataset="odd", format="imagefolder", output=str(tmp_path / "out"))
    export(recipe, context(workspace))
    found = [path for path in (tmp_path / "out").rglob("*") if path.suffix == ".png"]
    assert len(found) == len(names)
    assert all(path.parent.parent == tmp_path / "out" for path in found)
    _, again = bring(workspace, tmp_path / "out")
    assert set(contents(again)) == {f"n {name}" for name in names}


def test_a_merge_joins_the_same_picture_and_keeps_the_files(
    workspace: Workspace, tmp_path: Path
) -> None:
    one = {"a.png": noise(1), "b.png": noise(2)}
    two = {"c.png": noise(2), "d.png": noise(3)}
    said = {"a.png": "red", "b.png": "blue", "c.png": "the sea", "d.png": "red"}
    for name, files in (("left", one), ("right", two)):
        captions = rows(*({"file_name": file, "text": said[file]} for file in files))
        folder = written(tmp_path / name, {**files, "train.jsonl": captions})
        bring(workspace, folder, name=name, dev_share=0.0, test_share=0.0)
    done = context(workspace)
    done.job = type("Job", (), {"id": "j1"})
    merge(MergeDataRecipe(datasets=["left", "right"], name="both"), done)
    reader = workspace.datasets.read("both")
    workspace.datasets.remove("left")
    workspace.datasets.remove("right")
    assert reader.counts["documents"] == 3
    assert contents(reader) == {
        "red": {noise(1), noise(3)},
        "blue": {noise(2)},
        "the sea": {noise(2)},
    }
    done.folder = workspace.home / "jobs" / "sampled"
    done.folder.mkdir()
    sample(SampleRowsRecipe(dataset="both", size=1, name="few"), done)
    few = workspace.datasets.read("few")
    kept = [path for path in (few.folder / "pictures").rglob("*") if path.is_file()]
    assert len(kept) == few.counts["documents"] < 3
    assert contents(few).items() <= contents(reader).items()


def test_one_caption_of_two_pictures_makes_no_copies(workspace: Workspace, tmp_path: Path) -> None:
    files = {"cat 1.png": noise(1), "cat 2.png": noise(2)}
    _, reader = bring(workspace, written(tmp_path / "set", files))
    assert reader.documents()["text"].to_pylist() == ["cat", "cat"]
    first, second = joined(reader.documents())
    assert first != second and first.startswith("cat\n")


def test_thumbnails_are_small_and_kept(workspace: Workspace, tmp_path: Path) -> None:
    files = {"wide one.png": plain("red", (900, 300)), "two.jpg": noise(1, 40, "JPEG")}
    _, reader = bring(workspace, written(tmp_path / "set", files), name="thumbs")
    row = reader.documents()["text"].to_pylist().index("wide one")
    data = thumbnail(workspace, "thumbs", 1, row, 200)
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.size) == ("WEBP", (256, 85))
    kept = list((workspace.home / "cache/thumbnails").rglob("*.webp"))
    assert len(kept) == 1
    # The next time it is not drawn anew.
    kept[0].write_bytes(b"kept")
    assert thumbnail(workspace, "thumbs", None, row, 256) == b"kept"
    assert Image.open(io.BytesIO(thumbnail(workspace, "thumbs", 1, row, 9_999))).width == 900
    for bad in (-1, 2, 10**9):
        with pytest.raises(NotFound):
            thumbnail(workspace, "thumbs", 1, bad, 64)
    with pytest.raises(NotFound, match="no version 7"):
        thumbnail(workspace, "thumbs", 7, row, 64)


def test_scenes_are_different_and_the_same_by_seed() -> None:
    some = scenes(400, 7)
    assert some == scenes(400, 7) and some != scenes(400, 8)
    assert scenes(500, 7)[:400] == some
    captions = [scene.caption() for scene in some]
    assert len(set(captions)) == 400
    assert {word for text in captions for word in text.split()} <= set(words())
    assert {group.shape for scene in some for group in scene.groups} == set(SHAPES)
    drawn = [draw(scene, 48, 3).tobytes() for scene in some[:40]]
    assert len(set(drawn)) == 40
    assert drawn[0] == draw(some[0], 48, 3).tobytes() != draw(some[0], 48, 4).tobytes()
