"""The command line as people and scripts use it: a process, its stdout, its exit status."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import warm

ROOT = Path(__file__).resolve().parents[3]

# The example of two rows with which EmbedRAG's users begin has this shape.
TWO_ROWS = [
    {"query": "how tall is Mount Fuji", "pos": ["Mount Fuji is 3,776 m high"], "neg": ["Kyoto"]},
    {"query": "capital of Norway", "pos": ["Oslo is Norway's capital"], "neg": ["Bergen is wet"]},
]


def workbench(home: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "workbench", "--home", str(home), *argv]
    return warm.run(command, cwd=ROOT, env={**os.environ, "HF_HUB_OFFLINE": "1"})


def document(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_data_comes_in_is_listed_shown_and_removed(home: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "two.jsonl", TWO_ROWS)
    added = document(workbench(home, "data", "add", str(file), "--name", "two", "--json"))
    assert added["name"] == "two"
    assert added["queries"] == 2
    assert added["documents"] == 4
    assert set(added["splits"]) == {"train", "dev", "test"}
    assert added["problem_counts"] == {}

    listed = document(workbench(home, "data", "list", "--json"))
    assert [entry["name"] for entry in listed] == ["two"]
    shown = document(workbench(home, "data", "show", "two", "--json"))
    assert {row["query"] for row in shown["rows"]} == {row["query"] for row in TWO_ROWS}

    jobs = document(workbench(home, "jobs", "list", "--json"))
    assert [(job["task"], job["status"]) for job in jobs] == [("import", "succeeded")]

    document(workbench(home, "data", "remove", "two", "--json"))
    assert document(workbench(home, "data", "list", "--json")) == []


def test_bad_rows_are_reported_and_good_ones_kept(home: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "mixed.jsonl", TWO_ROWS)
    with file.open("a", encoding="utf-8") as more:
        more.write("{broken\n")
    added = document(workbench(home, "data", "add", str(file), "--name", "mixed", "--json"))
    assert added["queries"] == 2
    assert added["problem_counts"] == {"not-json": 1}
    assert added["problems"][0]["line"] == 3
    assert added["problems"][0]["file"].endswith("mixed.jsonl")


def test_strict_refuses_and_writes_nothing(home: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "mixed.jsonl", TWO_ROWS)
    with file.open("a", encoding="utf-8") as more:
        more.write("{broken\n")
    done = workbench(home, "data", "add", str(file), "--name", "mixed", "--strict", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "strict-refused"
    assert document(workbench(home, "data", "list", "--json")) == []
    assert list((home / "datasets").glob("*")) == []


@pytest.mark.parametrize(
    "argv",
    [
        ("train", "--dataset", "none-such"),
        ("train", "--dataset", "none-such", "--set", "epochs=-1"),
        ("evaluate", "--dataset", "none-such", "--model", "all-MiniLM-L6-v2"),
        ("data", "show", "none-such"),
        ("jobs", "show", "none-such"),
        ("models", "show", "none-such"),
        ("search", "--index", "none-such", "a question"),
        ("data", "add", "none-such.jsonl", "--name", "x"),
    ],
)
def test_bad_input_ends_with_two_and_a_sentence(home: Path, argv: tuple[str, ...]) -> None:
    done = workbench(home, *argv, "--json")
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout)["error"]["message"]


def test_bad_usage_ends_with_two(home: Path) -> None:
    done = workbench(home, "train", "--no-such-option")
    assert done.returncode == 2
    assert "usage:" in done.stderr
    assert not home.exists()


# Trains MiniLM's real weights in a worker, then loads them twice more. The command, the worker and
# the search process import what they need by themselves; what is between is forked.
@pytest.mark.slow
def test_two_rows_train_compare_and_search(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "two.jsonl", TWO_ROWS)
    document(workbench(home, "data", "add", str(file), "--name", "two", "--json"))
    with monkeypatch.context() as cold:
        cold.delenv(warm.VARIABLE)
        trained = document(
            workbench(
                home, "train", "--dataset", "two", "--name", "tuned", "--max-steps", "2", "--json"
            )
        )
    assert trained["status"] == "succeeded"
    assert trained["model"] == "tuned"
    assert trained["steps"] == 2

    done = workbench(
        home, "evaluate", "--dataset", "two", "--model", "all-MiniLM-L6-v2", "--model", "tuned"
    )
    assert done.returncode == 0, done.stderr
    assert "too few queries to judge" in done.stdout

    document(
        workbench(
            home, "index", "build", "--dataset", "two", "--model", "tuned", "--name", "i", "--json"
        )
    )
    with monkeypatch.context() as cold:
        cold.delenv(warm.VARIABLE)
        found = document(workbench(home, "search", "--index", "i", "--json", "capital of Norway"))
    assert found["query"] == "capital of Norway"
    assert len(found["hits"]) == 4
    assert {"id", "score", "text"} <= set(found["hits"][0])
    assert found["milliseconds"] > 0
