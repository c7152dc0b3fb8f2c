"""A shape of rows added from outside, in one file: recognised, read, told of, documented."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.workbench.data.fakes import context, lines
from workbench.cli.main import main
from workbench.data.job import run_import
from workbench.data.problems import MENDS, Mend
from workbench.data.report import Report
from workbench.data.shapes.columns import Columns
from workbench.data.shapes.plans import plan_for
from workbench.data.shapes.row import Plan, Row
from workbench.data.shapes.shape import ROW_SHAPES, Shape, shapes
from workbench.errors import BadInput
from workbench.recipes.data import ImportRecipe
from workbench.reference import reference
from workbench.workspace import Workspace

# -- the shape: a line of dialogue, and what was and was not a fitting reply ------------------


def read(row: dict[str, Any], report: Report) -> Row | None:
    """``line``, and ``replies`` of which each begins with '+' or '-'."""
    replies = row["replies"] if isinstance(row["replies"], list) else []
    marked = [one for one in replies if isinstance(one, str) and one[:1] in ("+", "-")]
    if len(marked) < len(replies) or not marked:
        report.add("unmarked-reply", None, "replies")
        return None
    return Row(row["line"], [one[1:] for one in marked], [int(one[0] == "+") for one in marked])


def plan(columns: Columns) -> Plan | None:
    if not {"line", "replies"} <= columns.names.keys():
        return None
    return plan_for("dialogue", read, columns, {"line", "replies"})


DIALOGUE = Shape(
    "dialogue",
    "line, replies[] of which each begins with + or -",
    "a test",
    plan=plan,
    problems={
        "unmarked-reply": Mend("error", "A reply has no mark.", "Begin it with + or -."),
    },
)
ROWS = [
    {"line": "hello", "replies": ["+good day", "-goodbye"], "scene": 1},
    {"line": "and you?", "replies": ["fine"]},
    {"line": "who is there", "replies": ["+it is I"]},
]

# -- it is used as any other ------------------------------------------------------------------


@pytest.fixture(autouse=True)
def dialogue() -> Iterator[None]:
    ROW_SHAPES.register(DIALOGUE)
    yield
    ROW_SHAPES.unregister(DIALOGUE.name)


def in_this_process(workspace: Workspace, recipe: ImportRecipe) -> SimpleNamespace:
    """The import as a worker runs it."""
    return SimpleNamespace(result=run_import(recipe, context(workspace)))


@pytest.fixture
def add(monkeypatch: pytest.MonkeyPatch, home: Path, tmp_path: Path) -> tuple[str, ...]:
    """The command line's own words; what it starts runs in this process."""
    monkeypatch.setattr("workbench.cli.data.run_job", in_this_process)
    file = lines(tmp_path / "play.jsonl", ROWS)
    return ("--home", str(home), "data", "add", str(file), "--name", "play")


def test_a_file_of_it_is_imported(add: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*add, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["format"], found["queries"], found["judgments"]) == ("dialogue", 2, 2)
    assert found["candidates"] == 1
    assert [(one["code"], one["line"], one["field"]) for one in found["problems"]] == [
        ("unmarked-reply", 2, "replies")
    ]
    assert found["set_aside"]["own_columns"] == ["scene"]


def test_the_report_counts_in_its_first_line(
    add: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(add) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("play (dialogue): 2 queries")
    assert first.endswith("; 1 row refused, 1 column kept aside (scene)")


def test_the_preview_shows_it(add: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*add, "--preview"]) == 0
    said = capsys.readouterr().out
    assert "Read as: dialogue" in said and "positive: good day" in said


def test_it_is_documented() -> None:
    page = reference()
    assert "line, replies[] of which each begins with + or -" in page
    assert "`unmarked-reply`" in page


def test_a_name_or_a_code_is_taken_once() -> None:
    for shape in (DIALOGUE, Shape("other", "", "", problems={"not-json": MENDS["not-json"]})):
        with pytest.raises(BadInput, match="already a"):
            ROW_SHAPES.register(shape)
    assert "other" not in [one.name for one in shapes()]
