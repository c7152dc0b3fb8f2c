"""Folders and zips of pictures, as people and hubs have them, and as attackers would."""

import csv
import io
import json
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.workbench.data.fakes import bring, codes, context
from tests.workbench.pictures.fakes import animated, bomb, noise, plain, turned
from workbench.data.job import run_import
from workbench.data.preview import preview
from workbench.data.reader import DatasetReader
from workbench.errors import JobCancelled, NoGoodRows, StrictRefused
from workbench.recipes.data import ImportRecipe
from workbench.workspace import Workspace


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def rows(*values: dict[str, Any]) -> bytes:
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in values).encode()


def table(*values: dict[str, str]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(values[0]))
    writer.writeheader()
    writer.writerows(values)
    return out.getvalue().encode()


def linked(reader: DatasetReader) -> dict[str, set[str]]:
    """caption -> ids of the pictures relevant for it."""
    queries = dict(
        zip(reader.queries()["row"].to_pylist(), reader.queries()["text"].to_pylist(), strict=True)
    )
    found: dict[str, set[str]] = {text: set() for text in queries.values()}
    for one in reader.judgments().to_pylist():
        id = reader.documents_at([one["document"]])["id"][0].as_py()
        found[queries[one["query"]]].add(id)
    return found


def test_an_image_folder_with_metadata(workspace: Workspace, tmp_path: Path) -> None:
    folder = written(
        tmp_path / "set",
        {
            "train/a.png": noise(1),
            "train/deep/b.jpg": noise(2, form="JPEG"),
            "train/metadata.jsonl": rows(
                {"file_name": "a.png", "text": "a red bag", "colour": "red"},
                {"file_name": "deep/b.jpg", "text": "a blue cup"},
            ),
            "test/a.png": noise(3),
            "test/metadata.csv": table({"file_name": "a.png", "text": "a green hat"}),
        },
    )
    result, reader = bring(workspace, folder)
    assert result["format"] == "pictures" and not result["problems"]
    assert result["splits"] == {"train": 1, "dev": 1, "test": 1}
    assert linked(reader) == {
        "a red bag": {"train/a.png"},
        "a blue cup": {"train/deep/b.jpg"},
        "a green hat": {"test/a.png"},
    }
    (test,) = reader.queries("test").to_pylist()
    assert test["text"] == "a green hat"
    for one in reader.documents().to_pylist():
        kept = reader.folder / one["picture"]
        # The bytes as they came, under a name that says only what they are.
        assert kept.read_bytes() == (folder / one["id"]).read_bytes()
        assert one["picture"].startswith(f"pictures/{kept.name[:2]}/")
        assert one["text"] in linked(reader)
    assert json.loads(
        reader.documents(0, 3)
        .filter([one == "train/a.png" for one in reader.documents()["id"].to_pylist()])["fields"][0]
        .as_py()
    ) == {"colour": "red"}


def test_captions_beside_a_folder_of_images(workspace: Workspace, tmp_path: Path) -> None:
    files = {
        "images/a.png": noise(1),
        "images/b.png": noise(2),
        "images/c.png": noise(3),
        "captions.jsonl": rows(
            {"image": "images/a.png", "text": ["a bag", "something red"]},
            {"image": "b.png", "text": "a cup"},
            {"image": "images\\b.png", "text": "something red"},
            {"image": "images/gone.png", "text": "nothing"},
            {"text": "no picture"},
            {"image": "images/c.png", "text": " "},
        ),
    }
    for path in (written(tmp_path / "set", files), zipped(tmp_path / "set.zip", files)):
        result, reader = bring(workspace, path)
        assert codes(result) == [
            ("picture-missing", 4, "error"),
            ("picture-missing", 5, "error"),
            ("no-caption", 6, "warning"),
        ]
        assert linked(reader) == {
            "a bag": {"images/a.png"},
            "something red": {"images/a.png", "images/b.png"},
            "a cup": {"images/b.png"},
        }
        assert result["documents"] == 3


def test_a_text_beside_each_picture(workspace: Workspace, tmp_path: Path) -> None:
    files = {
        "1.png": noise(1),
        "1.txt": b"a red bag\n",
        "2.png": noise(2),
        "2.txt": "杯子".encode(),
    }
    _, reader = bring(workspace, written(tmp_path / "set", files))
    assert linked(reader) == {"a red bag": {"1.png"}, "杯子": {"2.png"}}


def test_names_are_captions_where_nothing_else_is(workspace: Workspace, tmp_path: Path) -> None:
    files = {
        "red-bag.png": noise(1),
        "cups/IMG_0001.png": noise(2),
        "cups/IMG_0002.png": noise(3),
        "IMG_0003.png": noise(4),
        "README.md": b"# About these pictures\n",
    }
    result, reader = bring(workspace, written(tmp_path / "set", files))
    assert linked(reader) == {
        "red bag": {"red-bag.png"},
        "cups": {"cups/IMG_0001.png", "cups/IMG_0002.png"},
    }
    assert result["documents"] == 4 and not result["problems"]
    assert any("from the files' names" in note for note in result["notes"])
    assert any("1 pictures have names without words" in note for note in result["notes"])


def test_pictures_alone_can_be_searched(workspace: Workspace, tmp_path: Path) -> None:
    result, reader = bring(workspace, written(tmp_path / "set", {"0.png": noise(1)}))
    assert (result["queries"], result["documents"]) == (0, 1)
    assert reader.documents()["text"].to_pylist() == [""]
    assert reader.documents()["picture"][0].is_valid


def test_pictures_beside_other_data_stay_out(workspace: Workspace, tmp_path: Path) -> None:
    files = {"rows.jsonl": rows({"query": "q", "pos": ["p"]}), "figure.png": noise(1)}
    result, reader = bring(workspace, written(tmp_path / "set", files))
    assert (result["queries"], result["documents"]) == (1, 1)
    assert any("1 pictures were not read" in note for note in result["notes"])
    assert reader.documents()["picture"].to_pylist() == [None]


def test_a_preview_shows_what_would_be_read(workspace: Workspace, tmp_path: Path) -> None:
    files = {
        "images/a.png": noise(1),
        "images/b c.png": noise(2),
        "captions.jsonl": rows({"image": "a.png", "text": ["a bag", "red"]}),
    }
    recipe = ImportRecipe(paths=[str(written(tmp_path / "set", files))], name="-")
    found = preview(workspace, recipe)
    assert (found.format, found.known, found.problems) == ("pictures", True, [])
    assert [row.texts for row in found.rows] == [
        (("query", "a bag"), ("query", "red"), ("picture", "a.png"))
    ]
    recipe = ImportRecipe(paths=[str(tmp_path / "set/images")], name="-")
    shown = [dict(row.texts) for row in preview(workspace, recipe).rows]
    assert shown == [{"picture": "a.png", "query": "a"}, {"picture": "b c.png", "query": "b c"}]
    beside = {"rows.jsonl": rows({"query": "q", "pos": ["p"]}), "x y.png": noise(1)}
    recipe = ImportRecipe(paths=[str(written(tmp_path / "other", beside))], name="-")
    found = preview(workspace, recipe)
    assert found.format != "pictures" and any("not read" in note for note in found.notes)
    assert [row.kind for row in found.rows] == ["query"]


def test_strange_pictures_are_taken_and_bad_ones_listed(
    workspace: Workspace, tmp_path: Path
) -> None:
    files = {
        "good/turned one.jpg": turned(),
        "good/moving one.gif": animated(),
        "bad/a bomb.png": bomb(),
        "bad/cut off.jpg": noise(1, 300, "JPEG")[:4000],
        "bad/a text.png": b"not a picture at all",
        "bad/empty one.png": b"",
        "again.png": plain("red"),
        "once more.png": plain("red"),
    }
    result, reader = bring(workspace, written(tmp_path / "set", files))
    assert result["problem_counts"] == {
        "picture-unknown": 2,
        "picture-too-large": 1,
        "picture-broken": 1,
        "picture-repeated": 1,
    }
    assert {one["file"] for one in result["problems"] if one["severity"] == "error"} == {
        f"set/{name}" for name in files if name.startswith("bad")
    }
    found = linked(reader)
    assert found["again"] == found["once more"] == {"again.png"}
    assert set(found) == {"turned one", "moving one", "again", "once more"}
    # Nothing of what was refused was kept.
    assert len([path for path in (reader.folder / "pictures").rglob("*") if path.is_file()]) == 3


def test_strict_refuses_bad_pictures(workspace: Workspace, tmp_path: Path) -> None:
    folder = written(tmp_path / "set", {"a bag.png": noise(1), "bad one.png": b"none"})
    before = set((workspace.home / "datasets").iterdir())
    with pytest.raises(StrictRefused, match="picture"):
        bring(workspace, folder, strict=True)
    with pytest.raises(NoGoodRows, match="called a picture"):
        bring(workspace, written(tmp_path / "only", {"bad one.png": b"none"}))
    assert set((workspace.home / "datasets").iterdir()) == before


def test_a_stopped_import_leaves_nothing(workspace: Workspace, tmp_path: Path) -> None:
    folder = written(tmp_path / "set", {f"bag {at} x.png": noise(at) for at in range(20)})
    before = set((workspace.home / "datasets").iterdir())
    with pytest.raises(JobCancelled):
        recipe = ImportRecipe(paths=[str(folder)], name="stopped")
        run_import(recipe, context(workspace, cancel_after=30))
    assert set((workspace.home / "datasets").iterdir()) == before


def test_a_hostile_zip_gives_only_what_is_sound(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    outside = tmp_path / "outside.png"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a good one.png", noise(1))
        archive.writestr("../outside.png", noise(2))
        archive.writestr("/etc/outside.png", noise(3))
        link = zipfile.ZipInfo("a link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("inner.zip", b"PK\x03\x04")
        archive.writestr("a bomb.png", bomb())
        archive.writestr(
            "metadata.jsonl",
            rows(
                {"file_name": "a good one.png", "text": "fine"},
                {"file_name": "../../outside.png", "text": "escaping"},
                {"file_name": "/etc/passwd", "text": "absolute"},
            ),
        )
    result, reader = bring(workspace, path)
    assert linked(reader) == {"fine": {"a good one.png"}}
    assert result["problem_counts"] == {
        "unsafe-path": 3,
        "nested-archive": 1,
        "picture-missing": 2,
        "picture-too-large": 1,
    }
    assert not outside.exists()


def test_a_zip_bomb_is_not_unpacked(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("big.png", "w", force_zip64=True) as member,
    ):
        for _ in range(300):
            member.write(b"\0" * (1 << 20))
    with pytest.raises(NoGoodRows, match="would unpack to"):
        bring(workspace, path)


def test_a_member_that_breaks_costs_itself_only(workspace: Workspace, tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", {"good one.png": noise(1), "bad one.png": noise(2)})
    data = path.read_bytes()
    # The checksum of the second member's content does not hold any more.
    at = data.index(noise(2)) + 60
    path.write_bytes(data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :])
    result, reader = bring(workspace, path)
    assert set(linked(reader)) == {"good one"}
    assert result["problem_counts"] == {"unreadable": 1}


# Ten thousand pictures are written, zipped, checked and stored: half a minute on a busy machine.
@pytest.mark.slow
def test_ten_thousand_entries(workspace: Workspace, tmp_path: Path) -> None:
    count = 10_000
    captions = rows(*({"file_name": f"p/{at}.png", "text": f"thing {at}"} for at in range(count)))
    files = {f"p/{at}.png": noise(at, 8) for at in range(count)}
    path = zipped(tmp_path / "many.zip", {**files, "metadata.jsonl": captions})
    result, reader = bring(workspace, path)
    assert (result["documents"], result["queries"]) == (count, count)
    assert not result["problems"] and reader.counts["splits"]["test"] == 1000
