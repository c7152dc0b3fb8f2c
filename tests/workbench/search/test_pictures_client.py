"""Pictures through the search process itself, as the page and the command line ask: good ones, and
files that would harm whoever opens them carelessly."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.workbench.models.fakes import FakeContext
from tests.workbench.pictures.fakes import animated, bomb, noise, turned
from workbench.cli.main import main
from workbench.data.job import run_import
from workbench.errors import BadInput, IndexNotFound, PictureUnusable
from workbench.models.jobs import run_add
from workbench.prepare import prepare
from workbench.recipes.data import AddModelRecipe, ImportRecipe
from workbench.recipes.evaluate import IndexRecipe
from workbench.search.client import SearchClient
from workbench.workspace import Workspace

# A search process imports sentence-transformers, here twice: 6 to 11 seconds each.
pytestmark = pytest.mark.slow

NAMES = ("red fox", "blue car", "old tree", "green door", "tall ship", "round table")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    from workbench.models.small_clip import make_small_clip
    from workbench.search.making import run_build

    folder = tmp_path_factory.mktemp("asked")
    (folder / "seen").mkdir()
    for number, name in enumerate(NAMES):
        (folder / "seen" / f"{name}.png").write_bytes(noise(number, 24))
    workspace = Workspace.open(folder / "home")
    context = FakeContext(workspace)
    recipe = ImportRecipe(paths=[str(folder / "seen")], name="seen")
    run_import(prepare(recipe, workspace, False), context)
    words = sorted({word for name in NAMES for word in name.split()})
    make_small_clip(folder / "clip", words, 24, 3)
    run_add(AddModelRecipe(source=str(folder / "clip"), name="clip"), context)
    run_build(
        prepare(IndexRecipe(dataset="seen", model="clip", name="all"), workspace, False),
        context,
    )
    yield workspace
    workspace.close()


def test_the_process_opens_what_it_can_and_outlives_what_it_cannot(
    opened: Workspace, tmp_path: Path
) -> None:
    client = SearchClient(opened)
    try:
        for name, data in (
            ("a.png", noise(2, 24)),
            ("b.jpg", turned()),
            ("c.webp", animated("WEBP")),
        ):
            (tmp_path / name).write_bytes(data)
            result = client.search_picture(["all", "all"], tmp_path / name, 3)
            assert [len(one.hits) for one in result] == [3, 3] and result[0].image == name
        assert client.search_picture(["all"], tmp_path / "a.png", 1)[0].hits[0].text == "old tree"
        pid = client.status()["pid"]
        for name, data in (
            ("bomb.png", bomb()),
            ("cut.jpg", turned()[:200]),
            ("text.png", b"hello"),
        ):
            (tmp_path / name).write_bytes(data)
            with pytest.raises(PictureUnusable, match="cannot be used"):
                client.search_picture(["all"], tmp_path / name, 3)
        for wrong in (tmp_path / "none.png", tmp_path):
            with pytest.raises(BadInput, match="There is no picture"):
                client.search_picture(["all"], wrong, 3)
        with pytest.raises(BadInput, match="top_k"):
            client.search_picture(["all"], tmp_path / "a.png", 0)
        with pytest.raises(BadInput, match="filter"):
            client.search_picture(["all"], tmp_path / "a.png", 3, where="= 3")
        with pytest.raises(IndexNotFound):
            client.search_picture(["gone"], tmp_path / "a.png", 3)
        assert client.search("all", "red fox", 2).hits[0].picture.startswith("pictures/")
        assert client.status()["pid"] == pid
    finally:
        client.close()


def test_the_command_line_asks_by_a_picture(
    opened: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = tmp_path / "asked.png"
    asked.write_bytes(noise(1, 24))

    def search(*more: str) -> int:
        return main(["--home", str(opened.home), "search", "--index", "all", *more])

    assert search("--image", str(asked), "--top-k", "2", "--json") == 0
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert said["query"] == said["image"] == str(asked) and said["milliseconds"] > 0
    assert [set(hit) >= {"id", "score", "image", "text"} for hit in said["hits"]] == [True, True]
    assert said["hits"][0]["text"] == "blue car"
    assert Path(said["hits"][0]["image"]).read_bytes() == asked.read_bytes()
    assert search("--image", str(asked), "--reranker", "any") == 2
    assert "A second stage reads words" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        search()
    with pytest.raises(SystemExit):
        search("words", "--image", str(asked))
