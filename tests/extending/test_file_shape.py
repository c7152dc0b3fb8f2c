"""A shape of rows added from outside, in one file: recognised, read, told of, documented."""

from pathlib import Path
from typing import Any

import pytest

from tests.extending.outside import Run
from tests.workbench.data.fakes import lines

ROWS = [
    {"line": "hello", "replies": ["+good day", "-goodbye"], "scene": 1},
    {"line": "and you?", "replies": ["fine"]},
    {"line": "who is there", "replies": ["+it is I"]},
]


@pytest.fixture
def add(extended: Run, home: Path, tmp_path: Path) -> Any:
    """``data add`` of a file of dialogue, by the command line, with more words."""
    file = lines(tmp_path / "play.jsonl", ROWS)
    return lambda *more: extended("dialogue", "data", "add", str(file), "--name", "play", *more)


def test_a_file_of_it_is_imported(add: Any) -> None:
    found = add("--json").document
    assert (found["format"], found["queries"], found["judgments"]) == ("dialogue", 2, 2)
    assert found["candidates"] == 1
    assert [(one["code"], one["line"], one["field"]) for one in found["problems"]] == [
        ("unmarked-reply", 2, "replies")
    ]
    assert found["set_aside"]["own_columns"] == ["scene"]


def test_the_report_counts_in_its_first_line(add: Any) -> None:
    first = add().text.splitlines()[0]
    assert first.startswith("play (dialogue): 2 queries")
    assert first.endswith("; 1 row refused, 1 additional column kept (scene)")


def test_the_preview_shows_it(add: Any) -> None:
    said = add("--preview").text
    assert "Read as: dialogue" in said and "positive: good day" in said


def test_it_is_documented(extended: Run, tmp_path: Path) -> None:
    page = extended.python("dialogue", "from workbench.reference import reference as r; print(r())")
    assert "line, replies[] of which each begins with + or -" in page
    assert "`unmarked-reply`" in page
