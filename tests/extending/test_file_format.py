"""A file format added from outside: this one file holds all of it, and the rest follows."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.workbench.data.fakes import context
from ui.kit.dropzone import readable
from workbench.cli import data
from workbench.cli.main import main
from workbench.data.formats import known
from workbench.data.formats.delimited import numbered
from workbench.data.formats.fileformat import FileFormat, OpenFile
from workbench.data.formats.jsonlines import Record
from workbench.data.problems import ProblemLog
from workbench.data.sources import wanted
from workbench.errors import BadInput
from workbench.recipes.base import Recipe
from workbench.reference import reference
from workbench.tasks import get_task
from workbench.workspace import Workspace


def read(file: OpenFile) -> Iterator[Record]:
    """A card: lines of ``name: text``, with an empty line after it."""
    card: dict[str, Any] = {}
    begun = 0
    for number, line in numbered(file.blocks(), file.report):
        name, colon, text = line.strip().partition(": ")
        if colon:
            begun = number if not card else begun
            card[name] = text
        elif line.strip():
            file.report.add("not-object", number, detail="a line without a name")
        elif card:
            yield begun, card
            card = {}
    if card:
        yield begun, card


CARDS = FileFormat("cards", "index cards", (".cards",), read)

TEXT = """query: how do I sort a list
positive: list.sort() sorts it in place

query: how long is it
a stray line
positive: len() tells

query: what has no answer
"""


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    known.register(CARDS)
    yield
    known.unregister(CARDS.name)


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line's jobs run here, where the format is registered."""

    def run(workspace: Workspace, recipe: Recipe) -> Any:
        task = get_task(recipe.task)
        ready = task.load_prepare()(recipe, workspace, False)
        return SimpleNamespace(result=task.load_run()(ready, context(workspace)))

    monkeypatch.setattr(data, "run_job", run)


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("packed", ["file", "folder", "zip"])
def test_the_command_line_imports_it(
    packed: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "train.cards").write_text(TEXT)
    path = {"file": folder / "train.cards", "folder": folder, "zip": tmp_path / "in.zip"}[packed]
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.write(folder / "train.cards", "train.cards")
    command = ["--home", str(home), "--json", "data"]
    assert main([*command, "add", str(path), "--name", "cards"]) == 0
    added = json.loads(capsys.readouterr().out)
    assert (added["queries"], added["documents"]) == (2, 2)
    found = [(one["code"], one["line"], one["field"]) for one in added["problems"]]
    assert found == [("not-object", 5, None), ("no-positive", 8, "positive")] or found == [
        ("not-object", 5, None), ("missing-field", 8, "pos")
    ]  # fmt: skip
    assert main([*command, "show", "cards"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {row["query"] for row in rows} == {"how do I sort a list", "how long is it"}


def test_the_preview_shows_it(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.cards").write_text(TEXT.replace("query", "frage").replace("positive", "antwort"))
    command = ["--home", str(home), "--json", "data", "add", str(tmp_path / "a.cards"), "--preview"]
    assert main([*command, "--map", "query=frage", "--map", "positive=antwort"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["columns"].keys() == {"frage", "antwort"}
    assert found["rows"][0]["texts"][0] == ["query", "how do I sort a list"]


def test_everything_that_lists_formats_lists_it(tmp_path: Path) -> None:
    assert ".cards" in readable()
    assert "| index cards | `.cards` | rows |" in reference()
    log = ProblemLog(tmp_path / "problems.parquet")
    assert not wanted("a.docx", log)
    assert "index cards" in log.first[0].message


def test_a_name_is_given_once() -> None:
    with pytest.raises(BadInput, match="already a format called 'cards'"):
        known.register(CARDS)
