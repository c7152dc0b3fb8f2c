"""Pictures in the rows of Parquet files, as hubs keep them, and as attackers would."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.workbench.data.fakes import bring, codes
from tests.workbench.pictures.fakes import bomb, noise, plain
from tests.workbench.pictures.test_importing import linked, written, zipped
from workbench.data.preview import preview
from workbench.errors import NoGoodRows
from workbench.recipes.data import ImportRecipe
from workbench.workspace import Workspace

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def image(data: bytes | None, path: str | None = None) -> dict[str, Any]:
    return {"bytes": data, "path": path}


def table(path: Path, columns: dict[str, Any], notes: dict[str, Any] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = pa.table(columns)
    if notes:
        made = made.replace_schema_metadata({"huggingface": json.dumps(notes)})
    pq.write_table(made, path)
    return path


def test_a_hub_s_picture_columns(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    table(
        folder / "data/train-00000-of-00001.parquet",
        {
            "image": pa.array([image(noise(1), "a.png"), image(noise(2, form="JPEG"))], IMAGE),
            "caption": [["a red bag", "something red"], ["a blue cup"]],
            "source": ["shop", "kitchen"],
        },
    )
    table(
        folder / "data/test-00000-of-00001.parquet",
        {
            "image": pa.array([image(noise(3), "a.png")], IMAGE),
            "caption": [["a green hat"]],
            "source": [None],
        },
    )
    for path in (
        folder,
        zipped(
            tmp_path / "hub.zip",
            {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*.parquet")},
        ),
    ):
        result, reader = bring(workspace, path)
        assert result["format"] == "pictures" and not result["problems"]
        assert result["documents"] == 3 and result["splits"]["test"] == 1
        assert linked(reader) == {
            "a red bag": {"a.png-1"},
            "something red": {"a.png-1"},
            "a blue cup": {"train-00000-of-00001-2"},
            "a green hat": {"a.png"},
        }
        kept = {one["id"]: one for one in reader.documents().to_pylist()}
        jpeg = kept["train-00000-of-00001-2"]
        # The bytes as they came, called by what they are.
        assert (reader.folder / jpeg["picture"]).read_bytes() == noise(2, form="JPEG")
        assert jpeg["picture"].endswith(".jpg") and json.loads(jpeg["fields"]) == {
            "source": "kitchen"
        }


def test_classes_are_said_by_their_names(workspace: Workspace, tmp_path: Path) -> None:
    names = {"_type": "ClassLabel", "names": ["fire_truck", "cat"]}
    path = table(
        tmp_path / "animals.parquet",
        {
            "img": pa.array([image(noise(1)), image(noise(2)), image(noise(3))], IMAGE),
            "label": [1, 0, 7],
        },
        {"info": {"features": {"img": {"_type": "Image"}, "label": names}}},
    )
    result, reader = bring(workspace, path)
    assert set(linked(reader)) == {"cat", "fire truck"}
    assert codes(result) == [("no-caption", 3, "warning")]


def test_columns_of_other_names_are_named_by_hand(workspace: Workspace, tmp_path: Path) -> None:
    columns = {
        "foto": [noise(1), noise(2)],
        "vorschau": [noise(8), noise(9)],
        "legende": ["eine rote Tasche", "ein blauer Becher"],
        "nummer": [17, 18],
    }
    path = table(tmp_path / "bilder.parquet", columns)
    with pytest.raises(NoGoodRows):
        bring(workspace, path)
    for caption in ("text", "query"):
        mapping = ["picture=foto", f"{caption}=legende", "id=nummer"]
        result, reader = bring(workspace, path, mapping=mapping)
        assert linked(reader) == {"eine rote Tasche": {"17"}, "ein blauer Becher": {"18"}}
        assert not result["problems"] and reader.documents()["fields"].to_pylist() in (
            [None, None],
            ["", ""],
        )


def test_hostile_rows_are_listed_and_the_others_kept(workspace: Workspace, tmp_path: Path) -> None:
    rows = [
        image(noise(1), "../../etc/passwd.png"),
        image(bomb(), "bomb.png"),
        image(b"<svg onload='alert(1)'/>", "a.png"),
        image(noise(2)[:-40], "cut.png"),
        image(None, None),
        image(None, "gone.png"),
        image(None, "beside.png"),
        image(b"", "none.png"),
        None,
        image(noise(1), "again.png"),
        image(plain("red"), "/abs/red.png"),
    ]
    captions = [f"thing {at}" for at in range(len(rows))]
    folder = tmp_path / "set"
    table(folder / "t.parquet", {"image": pa.array(rows, IMAGE), "text": captions})
    written(folder, {"pictures/beside.png": noise(7)})
    result, reader = bring(workspace, folder)
    found = [(code, line) for code, line, _ in codes(result) if line]
    assert found == [
        ("picture-too-large", 2),
        ("picture-unknown", 3),
        ("picture-broken", 4),
        ("missing-field", 5),
        ("picture-missing", 6),
        ("picture-unknown", 8),
        ("missing-field", 9),
        ("picture-repeated", 10),
    ]
    said = linked(reader)
    assert {"thing 0", "thing 6", "thing 9", "thing 10"} == set(said)
    assert all(one["picture"].startswith("pictures/") for one in reader.documents().to_pylist())
    inside = {path for path in (reader.folder / "pictures").rglob("*") if path.is_file()}
    assert len(inside) == 3


def test_a_table_that_unpacks_to_far_too_much_is_refused(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.pictures import importing

    monkeypatch.setattr(importing, "_ALWAYS_FINE", 1 << 20)
    path = tmp_path / "bomb.parquet"
    rows = pa.array([image(bytes(8 << 20))], IMAGE)
    pq.write_table(pa.table({"image": rows, "text": ["zeros"]}), path, compression="zstd")
    assert path.stat().st_size < 20_000
    with pytest.raises(NoGoodRows, match="would unpack to"):
        bring(workspace, path)


def test_several_pictures_of_a_row_and_none_named(workspace: Workspace, tmp_path: Path) -> None:
    several = pa.array([[image(noise(1)), image(noise(2))], [image(noise(3))]], pa.list_(IMAGE))
    path = table(tmp_path / "many.parquet", {"image": several, "text": ["a pair", "one"]})
    _, reader = bring(workspace, path)
    assert linked(reader) == {"a pair": {"many-1", "many-1.2"}, "one": {"many-2"}}
    # Without captions their names say what is on them, where they say anything.
    named = pa.array([image(noise(4), "red-bag.png"), image(noise(5), "IMG_1.png")], IMAGE)
    _, reader = bring(workspace, table(tmp_path / "named.parquet", {"image": named}))
    assert linked(reader) == {"red bag": {"red-bag.png"}} and reader.counts["documents"] == 2


def test_texts_stay_texts(workspace: Workspace, tmp_path: Path) -> None:
    """A table that names no pictures is read as it was, and one that only names them too."""
    path = table(
        tmp_path / "texts.parquet",
        {"query": ["what is red"], "positive": ["a bag"], "hash": [b"\x00\x01"]},
    )
    result, _ = bring(workspace, path)
    assert result["format"] != "pictures" and result["queries"] == 1
    files = {"a.png": noise(1)}
    folder = written(tmp_path / "named", files)
    table(folder / "metadata.parquet", {"file_name": ["a.png"], "text": ["a bag"]})
    _, reader = bring(workspace, folder)
    assert linked(reader) == {"a bag": {"a.png"}}


def test_a_preview_reads_no_more_than_it_shows(workspace: Workspace, tmp_path: Path) -> None:
    rows = pa.array([image(noise(at), f"{at}.png") for at in range(40)], IMAGE)
    path = table(tmp_path / "p.parquet", {"image": rows, "caption": [f"t {n}" for n in range(40)]})
    found = preview(workspace, ImportRecipe(paths=[str(path)], name="x"))
    assert (
        found.format == "pictures" and found.known and list(found.columns) == ["image", "caption"]
    )
    assert [row.texts for row in found.rows[:2]] == [
        (("query", "t 0"), ("picture", "0.png")),
        (("query", "t 1"), ("picture", "1.png")),
    ]


def test_an_archive_of_the_webdataset_kind_is_named(workspace: Workspace, tmp_path: Path) -> None:
    import tarfile

    written(tmp_path / "in", {"0.png": noise(1), "0.txt": b"a bag"})
    with tarfile.open(tmp_path / "shard-000.tar", "w") as archive:
        for name in ("0.png", "0.txt"):
            archive.add(tmp_path / "in" / name, name)
    with pytest.raises(NoGoodRows, match=r"'\.tar' are not supported yet") as found:
        bring(workspace, tmp_path / "shard-000.tar")
    assert "Unpack it first" in str(found.value)
    _, reader = bring(workspace, tmp_path / "in")
    assert linked(reader) == {"a bag": {"0.png"}}
