"""A file format added from outside: one file holds all of it, and the rest follows."""

import zipfile
from pathlib import Path

import pytest

from tests.extending.outside import Run

TEXT = """query: how do I sort a list
positive: list.sort() sorts it in place

query: how long is it
a stray line
positive: len() tells

query: what has no answer
"""


@pytest.mark.parametrize("packed", ["file", "folder", "zip"])
def test_the_command_line_imports_it(packed: str, extended: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "train.cards").write_text(TEXT)
    path = {"file": folder / "train.cards", "folder": folder, "zip": tmp_path / "in.zip"}[packed]
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.write(folder / "train.cards", "train.cards")
    added = extended("cards", "data", "add", str(path), "--name", "cards", "--json").document
    assert (added["queries"], added["documents"]) == (2, 2)
    found = [(one["code"], one["line"], one["field"]) for one in added["problems"]]
    assert found == [("not-object", 5, None), ("no-positive", 8, "positive")] or found == [
        ("not-object", 5, None), ("missing-field", 8, "pos")
    ]  # fmt: skip
    rows = extended("cards", "data", "show", "cards", "--json").document["rows"]
    assert {row["query"] for row in rows} == {"how do I sort a list", "how long is it"}


def test_the_preview_shows_it(extended: Run, tmp_path: Path) -> None:
    (tmp_path / "a.cards").write_text(TEXT.replace("query", "frage").replace("positive", "antwort"))
    command = ["data", "add", str(tmp_path / "a.cards"), "--preview", "--json"]
    mapping = ["--map", "query=frage", "--map", "positive=antwort"]
    found = extended("cards", *command, *mapping).document
    assert found["columns"].keys() == {"frage", "antwort"}
    assert found["rows"][0]["texts"][0] == ["query", "how do I sort a list"]


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("from ui.kit.dropzone import readable; print(readable())", ".cards"),
        (
            "from workbench.reference import reference; print(reference())",
            "| index cards | `.cards` | rows |",
        ),
        (
            "from pathlib import Path; from workbench.data.problems import ProblemLog\n"
            "from workbench.data.sources import wanted\n"
            "log = ProblemLog(Path('problems.parquet')); wanted('a.docx', log)\n"
            "print(log.first[0].message)",
            "index cards",
        ),
    ],
    ids=["dropzone", "reference", "problem"],
)
def test_everything_that_lists_formats_lists_it(extended: Run, code: str, shown: str) -> None:
    assert shown in extended.python("cards", code)
