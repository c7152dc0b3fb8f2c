"""Indexes of pictures: built, measured, asked in words and by a picture, and kept up to date."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

from tests.workbench.models import tiny
from tests.workbench.models.fakes import FakeContext
from tests.workbench.pictures.fakes import animated, bomb, encoded, noise, plain, turned
from workbench.data.edit import Changes
from workbench.data.job import run_import
from workbench.data.versions import new_version
from workbench.errors import BadInput, ModelUnusable, PictureUnusable
from workbench.models.jobs import run_add
from workbench.prepare import prepare
from workbench.recipes.data import AddModelRecipe, ImportRecipe
from workbench.recipes.evaluate import IndexRecipe, IndexUpdateRecipe
from workbench.search.pictures import of_pictures, picture_request
from workbench.search.staleness import stale
from workbench.workspace import Workspace

# Importing sentence-transformers takes 6 to 11 seconds.
pytestmark = pytest.mark.slow

WORDS = ("red", "blue", "green", "star", "ring", "square", "picture", "of", "a")
PICTURES = 40
HOW = {"what": "changed", "by": "a test"}


def picture(number: int) -> bytes:
    return noise(number, 24)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Workspace]:
    """A data set of pictures and two notes without one, and a CLIP of random weights."""
    from workbench.models.small_clip import make_small_clip

    folder = tmp_path / "pictures"
    folder.mkdir()
    lines = []
    for number in range(PICTURES):
        (folder / f"p{number}.png").write_bytes(picture(number))
        caption = f"a picture of a {WORDS[number % 3]} {WORDS[3 + number % 3]}"
        lines.append({"file_name": f"p{number}.png", "text": caption, "number": number})
    (folder / "metadata.jsonl").write_bytes(b"\n".join(orjson.dumps(line) for line in lines))
    workspace = Workspace.open(tmp_path / "home")
    context = FakeContext(workspace)
    recipe = ImportRecipe(paths=[str(folder)], name="seen")
    run_import(prepare(recipe, workspace, False), context)
    make_small_clip(tmp_path / "clip", WORDS, 24, 3)
    run_add(AddModelRecipe(source=str(tmp_path / "clip"), name="clip"), context)
    yield workspace
    workspace.close()


def index(workspace: Workspace, name: str, **values: Any) -> dict[str, Any]:
    from workbench.search.making import run_build

    asked: dict[str, Any] = {"dataset": "seen", "model": "clip", "precision": "fp32", **values}
    recipe = IndexRecipe(name=name, **asked)
    return run_build(prepare(recipe, workspace, False), FakeContext(workspace))


def update(workspace: Workspace, name: str, **values: Any) -> dict[str, Any]:
    from workbench.search.update import run

    recipe = IndexUpdateRecipe(index=name, **values)
    return run(prepare(recipe, workspace, False), FakeContext(workspace))


def row_of(workspace: Workspace, id: str) -> int:
    found: int = workspace.datasets.read("seen").documents()["id"].to_pylist().index(id)
    return found


def test_built_measured_and_asked_in_words_and_by_a_picture(opened: Workspace) -> None:
    from workbench.search.engine import Engine

    made = index(opened, "all")
    assert made["documents"] == PICTURES and made["recall@10"] == 1.0
    assert made["skipped"] == 0 and made["queries_from"] != "documents"
    assert of_pictures(opened.indexes.get("all"))
    engine = Engine(opened)
    said = engine.search(["all"], "a picture of a red star", 5)[0]
    assert len(said.hits) == 5 and all(hit.picture.startswith("pictures/") for hit in said.hits)
    assert said.hits[0].text.startswith("a picture of a")
    reader = opened.datasets.read("seen")
    asked = reader.folder / said.hits[0].picture
    found = engine.search_picture(["all"], str(asked), 3)[0]
    assert found.hits[0].picture == said.hits[0].picture
    assert found.hits[0].score == pytest.approx(1, abs=1e-5)
    assert found.image == asked.name and found.query == ""
    took = found.milliseconds
    assert took["total"] == pytest.approx(took["open"] + took["encode"] + took["search"], abs=1e-6)
    others = engine.search_picture(["all"], str(asked), 3, without=said.hits[0].picture)[0]
    assert len(others.hits) == 3
    assert [hit.id for hit in others.hits[:2]] == [hit.id for hit in found.hits[1:]]


def test_hits_are_the_nearest_by_the_models_own_vectors(opened: Workspace) -> None:
    from workbench.models.load import load_model
    from workbench.models.locate import locate
    from workbench.search.engine import Engine

    index(opened, "all")
    loaded: Any = load_model(locate(opened, "clip"), device="cpu", precision="fp32")
    reader = opened.datasets.read("seen")
    table = reader.documents()
    paths = [reader.folder / place for place in table["picture"].to_pylist()]
    vectors = loaded.encode_pictures(paths)
    query = loaded.encode(["a blue ring"], "query")[0]
    exact = vectors @ query
    found = Engine(opened).search(["all"], "a blue ring", 5)[0]
    # A search may compute in another number format.
    assert [hit.score for hit in found.hits] == pytest.approx(
        [float(exact[hit.row]) for hit in found.hits], abs=5e-3
    )
    assert min(exact[hit.row] for hit in found.hits) > sorted(exact)[-5] - 5e-3


@pytest.mark.parametrize(
    "values",
    [
        {"structure": "hnsw"},
        {"type": "small"},
        {"structure": "binary", "rescore": 4},
        {"truncate_dim": 32},
    ],
)
def test_every_structure_holds_pictures(opened: Workspace, values: dict[str, Any]) -> None:
    from workbench.search.engine import Engine

    made = index(opened, "one", **values)
    assert made["documents"] == PICTURES and made["bytes"] > 0 and made["recall@10"] > 0.5
    asked = opened.datasets.read("seen")
    place = asked.documents(7, 8)["picture"][0].as_py()
    found = Engine(opened).search_picture(["one"], str(asked.folder / place), 1)[0]
    assert found.hits[0].row == 7


def test_broken_pictures_are_skipped_and_named(opened: Workspace) -> None:
    reader = opened.datasets.read("seen")
    rows = [row_of(opened, f"p{number}.png") for number in (3, 4, 5)]
    places = reader.documents_at(rows)["picture"].to_pylist()
    (reader.folder / places[0]).write_bytes(picture(3)[:60])
    (reader.folder / places[1]).unlink()
    (reader.folder / places[2]).write_bytes(bomb())
    made = index(opened, "sound")
    assert made["documents"] == PICTURES - 3 and made["skipped"] == 3
    assert {one["id"]: one["problem"] for one in made["skipped_pictures"]} == {
        "p3.png": "picture-broken",
        "p4.png": "picture-missing",
        "p5.png": "picture-too-large",
    }
    assert made["notes"] == opened.indexes.get("sound").summary["notes"]
    assert f"3 of {PICTURES} pictures cannot be opened" in made["notes"][0]
    # What cannot be opened is not kept as if it had been encoded: mended, it comes.
    (reader.folder / places[0]).write_bytes(picture(3))
    again = update(opened, "sound")
    assert (again["added"], again["removed"], again["documents"]) == (1, 0, PICTURES - 2)


def test_a_picture_that_breaks_later_is_taken_out(opened: Workspace) -> None:
    index(opened, "one", use_cache=False)
    reader = opened.datasets.read("seen")
    place = reader.documents(9, 10)["picture"][0].as_py()
    (reader.folder / place).write_bytes(b"nothing")
    again = update(opened, "one")
    assert (again["added"], again["removed"], again["documents"]) == (0, 1, PICTURES - 1)
    assert again["recall@10"] == 1.0


def test_nothing_but_broken_pictures_is_said(opened: Workspace) -> None:
    reader = opened.datasets.read("seen")
    for place in reader.documents()["picture"].to_pylist():
        (reader.folder / place).write_bytes(b"nothing")
    with pytest.raises(BadInput, match="None of the pictures of 'seen' can be opened"):
        index(opened, "none")
    assert not opened.indexes.list()


def test_encoded_before_is_read_from_disk(opened: Workspace, monkeypatch: Any) -> None:
    from workbench.models.image_text import LoadedImageText

    index(opened, "one")

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("encoded again")

    monkeypatch.setattr(LoadedImageText, "encode_pictures", never)
    assert index(opened, "two", structure="hnsw")["documents"] == PICTURES


def test_documents_without_a_picture_are_left_out_and_counted(opened: Workspace) -> None:
    from workbench.search.engine import Engine

    notes = pa.table({"text": ["only words", "words only"]})
    new_version(opened, "seen", Changes(new_documents=notes), HOW)
    made = index(opened, "mixed")
    assert made["documents"] == PICTURES and made["without_picture"] == 2
    assert "2 documents have no picture" in made["notes"][0]
    hits = Engine(opened).search(["mixed"], "only words", PICTURES + 2)[0].hits
    assert len(hits) == PICTURES and all(hit.picture for hit in hits)


def test_brought_up_to_date_and_filtered(opened: Workspace) -> None:
    from workbench.search.engine import Engine

    index(opened, "one")
    rows = [row_of(opened, "p0.png"), row_of(opened, "p1.png")]
    new_version(opened, "seen", Changes(drop_documents=rows), HOW)
    assert [one.code for one in stale(opened, opened.indexes.get("one"))] == ["data"]
    again = update(opened, "one", leave_out=["p2.png"])
    assert (again["added"], again["removed"], again["rebuilt"]) == (0, 3, "")
    assert not stale(opened, opened.indexes.get("one"))
    found = Engine(opened).search(["one"], "a star", 50, where="number < 6")[0]
    assert {hit.id for hit in found.hits} == {"p3.png", "p4.png", "p5.png"}
    assert found.matching == 3


def test_a_model_that_sees_needs_pictures(opened: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    path.write_bytes(b'{"id": "a", "text": "a fox"}\n{"id": "b", "text": "a dog"}\n')
    recipe = ImportRecipe(paths=[str(path)], name="notes")
    run_import(prepare(recipe, opened, False), FakeContext(opened))
    with pytest.raises(BadInput, match="'notes' has no pictures"):
        index(opened, "none", dataset="notes")


def test_an_index_of_captions_is_not_asked_by_a_picture(opened: Workspace, tmp_path: Path) -> None:
    from workbench.search.engine import Engine

    source = str(tiny.bert(tmp_path / "m", seed=0))
    run_add(AddModelRecipe(source=source, name="words"), FakeContext(opened))
    index(opened, "captions", model="words")
    record = opened.indexes.get("captions")
    (tmp_path / "q.png").write_bytes(plain())
    with pytest.raises(ModelUnusable, match="'captions' is of texts: 'words' reads no pictures"):
        picture_request([record], tmp_path / "q.png", 5)
    engine = Engine(opened)
    with pytest.raises(ModelUnusable, match="is of texts"):
        engine.search_picture(["captions"], str(tmp_path / "q.png"), 5)
    # Its hits have pictures all the same.
    assert all(hit.picture for hit in engine.search(["captions"], "a star", 3)[0].hits)


def test_pictures_to_search_with_as_people_have_them(opened: Workspace, tmp_path: Path) -> None:
    from PIL import Image

    from workbench.search.engine import Engine

    index(opened, "one")
    engine = Engine(opened)
    deep = Image.fromarray((np.arange(64 * 64) * 16).reshape(64, 64).astype(np.uint16))
    good = {
        "turned.jpg": turned(),
        "animated.gif": animated(),
        "cmyk.jpg": encoded(Image.new("CMYK", (30, 20), (10, 200, 0, 0)), "JPEG"),
        "deep.png": encoded(deep),
        "thin.png": plain(size=(1, 4000)),
    }
    for name, data in good.items():
        (tmp_path / name).write_bytes(data)
        found = engine.search_picture(["one"], str(tmp_path / name), 4)[0]
        assert len(found.hits) == 4 and found.image == name
    bad = {"bomb.png": bomb(), "cut.png": picture(1)[:70], "page.png": b"<svg onload=alert(1)>"}
    for name, data in bad.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(PictureUnusable, match="The picture cannot be used"):
            engine.search_picture(["one"], str(tmp_path / name), 4)
    record = opened.indexes.get("one")
    for wrong in (tmp_path / "none.png", tmp_path, Path("/dev/null"), Path("a\0b")):
        with pytest.raises(BadInput, match="There is no picture"):
            picture_request([record], wrong, 4)
