"""Versions, names, samples, merges, splits and exports from the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.workbench.data.fakes import bring, lines
from tests.workbench.models.fakes import queued_job
from workbench.cli.data import dependents_words, warn
from workbench.cli.main import main
from workbench.data.registry import Dependents
from workbench.data.versions import Changes, new_version
from workbench.workspace import Workspace


@pytest.fixture
def tea(home: Path, tmp_path: Path) -> Path:
    """A home with the data set 'tea' at its second version."""
    rows = [{"query": f"q{n}", "pos": [f"p{n}"], "neg": ["n"]} for n in range(20)]
    workspace = Workspace.open(home)
    bring(workspace, lines(tmp_path / "tea.jsonl", rows), name="tea")
    new_version(
        workspace, "tea", Changes(drop_queries=[0]), {"what": "less", "counts": {"gone": 1}}
    )
    workspace.close()
    return home


def said(capsys: pytest.CaptureFixture[str], home: Path, *argv: str) -> Any:
    capsys.readouterr()
    assert main(["--home", str(home), *argv, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_versions_are_listed_and_chosen(tea: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = said(capsys, tea, "data", "versions", "tea")["versions"]
    assert [(one["version"], one["parent"], one["current"]) for one in found] == [
        (1, None, False),
        (2, 1, True),
    ]
    assert (found[1]["what"], found[1]["counts"], found[1]["queries"]) == ("less", {"gone": 1}, 19)
    said(capsys, tea, "data", "versions", "tea", "--use", "1")
    assert said(capsys, tea, "data", "show", "tea")["queries"] == 20
    assert main(["--home", str(tea), "data", "versions", "tea", "--use", "9"]) == 2
    assert main(["--home", str(tea), "data", "versions", "tea"]) == 0
    assert "1 *" in capsys.readouterr().out


def test_a_data_set_gets_another_name(tea: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, tea, "data", "rename", "tea", "chai") == {"renamed": "tea", "name": "chai"}
    assert [one["name"] for one in said(capsys, tea, "data", "list")] == ["chai"]
    assert main(["--home", str(tea), "data", "rename", "chai", " "]) == 2
    assert main(["--home", str(tea), "data", "rename", "tea", "x"]) == 2


def test_the_job_that_needs_a_data_set_is_shown(
    tea: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, tea, "data", "show", "tea")["used_by"] == []
    workspace = Workspace.open(tea)
    workspace.store.jobs.insert(queued_job("evaluate", "waits", {"second_dataset": "tea"}))
    workspace.close()
    job = "the job 'waits' (job00001, queued)"
    assert said(capsys, tea, "data", "show", "tea")["used_by"] == [job]
    assert main(["--home", str(tea), "data", "show", "tea"]) == 0
    assert f"used by {job}" in capsys.readouterr().out
    assert main(["--home", str(tea), "data", "remove", "tea", "--yes"]) == 2
    assert job in capsys.readouterr().err
    # A name is for people: the job goes on with the same data set.
    assert main(["--home", str(tea), "data", "rename", "tea", "chai"]) == 0
    assert said(capsys, tea, "data", "show", "chai")["used_by"] == [job]


def test_what_depends_on_a_data_set_is_said_before_it_goes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Dependents(["m"], ["i"], 2)
    assert [line.split(":")[0] for line in dependents_words(found)] == [
        "Trained on it",
        "Indexes of it",
        "Measured on it",
    ]
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    warn("tea", found, yes=False)
    assert "'m'" in capsys.readouterr().err
    warn("tea", Dependents([], [], 0), yes=False)
    assert capsys.readouterr().err == ""


@pytest.mark.slow  # Runs four jobs in worker processes.
def test_what_a_click_can_do_the_command_line_can(
    tea: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = said(capsys, tea, "data", "sample", "tea", "--size", "5", "--name", "few")
    assert (few["queries"], few["documents"]) == (5, 6)
    both = said(capsys, tea, "data", "merge", "tea", "few", "--name", "both")
    assert both["queries"] == 19
    again = said(capsys, tea, "data", "split", "both", "--test-share", "0.5")
    assert (again["version"], again["splits"]["test"]) == (2, 10)
    out = tmp_path / "out.zip"
    done = said(capsys, tea, "data", "export", "both", "--format", "beir", "--output", str(out))
    assert out.is_file() and done["version"] == 2
    assert done["left_out"] == ["candidates (negatives) (19)"]
    assert main(["--home", str(tea), "data", "export", "both", "--output", str(out)]) == 2
