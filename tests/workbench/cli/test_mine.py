"""``mine`` from the command line: propose, show, accept."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.workbench.data.fakes import lines
from workbench.cli.main import main

# Starts jobs' processes.
pytestmark = pytest.mark.slow


def run(capsys: Any, home: Path, *argv: str, status: int = 0) -> Any:
    assert main(["--home", str(home), "--json", *argv]) == status
    return json.loads(capsys.readouterr().out)


def test_propose_show_accept(capsys: Any, home: Path, tmp_path: Path) -> None:
    rows = [{"query": f"tea question {n}", "pos": [f"tea answer {n}"]} for n in range(30)]
    file = lines(tmp_path / "rows.jsonl", rows)
    run(capsys, home, "data", "add", str(file), "--name", "tea")
    mined = run(capsys, home, "mine", "--dataset", "tea", "--model", "bm25", "--num-negatives", "2")
    assert mined["origin"] == "mined:bm25" and mined["negatives"] == 2 * mined["queries"]
    shown = run(capsys, home, "mine", "show", mined["job"], "--rows", "3")
    assert len(shown["rows"]) == 3 and shown["accepted_version"] is None
    assert all(len(row["negatives"]) == 2 for row in shown["rows"])
    query, other = shown["rows"][0], shown["rows"][1]
    pairs = [(query["id"], query["negatives"][0]["id"]), (other["id"], other["negatives"][1]["id"])]
    named = [word for pair in pairs for word in ("--pair", *pair)]
    left = run(capsys, home, "mine", "untick", mined["job"], *named)
    assert left == {"job": mined["job"], "changed": 2, "unticked": 2}
    assert run(capsys, home, "mine", "untick", mined["job"], *named)["changed"] == 0
    assert run(capsys, home, "mine", "tick", mined["job"], *named[3:])["unticked"] == 1
    shown = run(capsys, home, "mine", "show", mined["job"], "--rows", "2")
    ticked = [[one["accepted"] for one in row["negatives"]] for row in shown["rows"]]
    assert ticked == [[False, True], [True, True]]
    for wrong, said in {
        ("--pair", "nobody", pairs[0][1]): "no query named 'nobody'",
        ("--pair", *pairs[0][:1], query["positives"][0]["id"]): "not proposed",
        (): "Which negatives?",
        ("--above",): "Nothing in this proposal has a score",
    }.items():
        refused = run(capsys, home, "mine", "untick", mined["job"], *wrong, status=2)
        assert said in refused["error"]["message"]
    accepted = run(capsys, home, "mine", "accept", mined["job"])
    assert accepted == {"job": mined["job"], "dataset": "tea", "accepted_version": 2}
    refused = run(capsys, home, "mine", "accept", mined["job"], status=2)
    assert "accepted already" in refused["error"]["message"]
    more = ("--method", "random", "--num-negatives", "4", "--accept")
    again = run(capsys, home, "mine", "--dataset", "tea", *more)
    assert again["accepted_version"] == 3 and again["queries_by_negatives"] == {
        "4": again["queries"]
    }
    about = run(capsys, home, "data", "show", "tea")
    assert about["version"] == 3 and about["candidates"] == 4 * again["queries"]
    assert main(["--home", str(home), "mine", "show"]) == 2
    assert main(["--home", str(home), "mine", "--dataset", "nothing"]) == 2
