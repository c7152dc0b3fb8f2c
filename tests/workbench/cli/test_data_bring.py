"""``data add`` with columns mapped by hand and a preview; ``data push`` without a network."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.workbench.data.fakes import context, lines
from workbench.cli.main import main
from workbench.data.job import run_import
from workbench.recipes.data import ImportRecipe
from workbench.workspace import Workspace


@pytest.fixture
def fragen(tmp_path: Path) -> Path:
    (tmp_path / "fragen.csv").write_text("frage,antwort,quelle\nWo liegt Bonn?,Am Rhein.,x\n")
    return tmp_path / "fragen.csv"


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main(arguments) == 0
    return json.loads(capsys.readouterr().out)


def test_the_preview_guesses_and_obeys(
    capsys: pytest.CaptureFixture[str], home: Path, fragen: Path
) -> None:
    common = ("--home", str(home), "--json", "data", "add", str(fragen), "--preview")
    found = said(capsys, *common)
    assert found["known"] is False
    assert found["guess"] == {"frage": "query", "antwort": "positive"}
    found = said(capsys, *common, "--map", "query=frage", "--map", "positive=antwort")
    assert found["rows"][0]["texts"] == [["query", "Wo liegt Bonn?"], ["positive", "Am Rhein."]]
    assert said(capsys, "--home", str(home), "--json", "data", "list") == []


def test_the_preview_in_words(capsys: pytest.CaptureFixture[str], home: Path, fragen: Path) -> None:
    assert main(["--home", str(home), "data", "add", str(fragen), "--preview"]) == 0
    assert "perhaps --map query=frage" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ((), "--name"),
        (("--name", "x", "--map", "query"), "names no column"),
        (("--name", "x", "--piece-size", "16", "--piece-overlap", "16"), "overlap"),
    ],
)
def test_bad_usage_ends_with_2(
    more: tuple[str, ...],
    words: str,
    capsys: pytest.CaptureFixture[str],
    home: Path,
    fragen: Path,
) -> None:
    try:
        status: Any = main(["--home", str(home), "data", "add", str(fragen), *more])
    except SystemExit as stopped:
        status = stopped.code
    assert status == 2
    assert words in capsys.readouterr().err


def test_a_hub_is_not_asked_offline(
    capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path
) -> None:
    common = ["--home", str(home), "data"]
    assert main([*common, "add", "hf:owner/name", "--split", "train", "--name", "x"]) == 2
    assert "HF_HUB_OFFLINE" in capsys.readouterr().err
    workspace = Workspace.open(home)
    path = lines(tmp_path / "a.jsonl", [{"text1": "a", "text2": "b", "score": 0.5}])
    run_import(ImportRecipe(paths=[str(path)], name="sts"), context(workspace))
    workspace.close()
    assert main([*common, "push", "sts", "me/sts"]) == 2
    assert "HF_HUB_OFFLINE" in capsys.readouterr().err
    assert main([*common, "show", "sts"]) == 0
    assert "1 scored pairs" in capsys.readouterr().out
