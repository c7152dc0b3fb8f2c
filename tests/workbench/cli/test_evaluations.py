"""Evaluations and kept encodings from the command line."""

import json
from pathlib import Path
from typing import Any

import ir_measures
import numpy as np
import pytest

from workbench.cli.main import main
from workbench.evaluation.encoding_cache import EncodingCache
from workbench.evaluation.metrics import measures


def run(capsys: Any, home: Path, *argv: str) -> Any:
    assert main(["--home", str(home), "--json", *argv]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow  # Starts two jobs' processes.
def test_a_ranking_is_written_for_other_tools(capsys: Any, home: Path, tmp_path: Path) -> None:
    rows = [
        {"query": f"question about {n} and {n % 7}", "pos": [f"answer {n}"], "neg": [f"{n % 7}"]}
        for n in range(40)
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    run(capsys, home, "data", "add", str(file), "--name", "numbers")
    out = tmp_path / "out"
    measured = run(
        capsys,
        home,
        "evaluate",
        "--dataset",
        "numbers",
        "--model",
        "bm25",
        "--export-trec",
        str(out),
    )
    assert sorted(path.name for path in out.iterdir()) == ["bm25.qrels", "bm25.run"]
    found = ir_measures.calc_aggregate(
        list(measures().values()),
        list(ir_measures.read_trec_qrels(str(out / "bm25.qrels"))),
        list(ir_measures.read_trec_run(str(out / "bm25.run"))),
    )
    for metric, measure in measures().items():
        assert measured["rows"][0][metric] == pytest.approx(found[measure], abs=1e-9)

    (listed,) = run(capsys, home, "evaluations", "list", "--dataset", "numbers")
    assert listed["model"] == "bm25" and listed["dataset"] == "numbers"
    for at, id in enumerate((listed["id"], listed["job"])):
        again = tmp_path / f"again{at}"
        written = run(capsys, home, "evaluations", "export", id, str(again))
        assert written["files"] == [str(again / "bm25.run"), str(again / "bm25.qrels")]
        assert (again / "bm25.run").read_text() == (out / "bm25.run").read_text()


@pytest.mark.slow  # Starts four jobs' processes.
def test_a_second_data_set_and_a_matrix_are_written_too(
    capsys: Any, home: Path, tmp_path: Path
) -> None:
    for name, end in (("numbers", ""), ("others", " or so")):
        rows = [
            {"query": f"question about {n}{end}", "pos": [f"answer {n}"], "neg": [f"{n + 1}"]}
            for n in range(40)
        ]
        file = tmp_path / f"{name}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        run(capsys, home, "data", "add", str(file), "--name", name)
    out = tmp_path / "out"
    asked = ("--dataset", "numbers", "--model", "bm25", "--second-dataset", "others")
    result = run(capsys, home, "evaluate", *asked, "--export-trec", str(out))
    expected = ["bm25-others.qrels", "bm25-others.run", "bm25.qrels", "bm25.run"]
    assert sorted(path.name for path in out.iterdir()) == expected
    job = run(capsys, home, "jobs", "list")[0]["job"]
    again = run(capsys, home, "evaluations", "export", job, str(tmp_path / "again"))
    second = result["second_dataset"]["evaluations"]
    assert again["evaluations"] == [*result["evaluations"], *second]
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == expected

    pipes = tmp_path / "pipes"
    asked = ("--dataset", "numbers", "--retriever", "bm25", "--top-k", "2")
    measured = run(capsys, home, "matrix", *asked, "--export-trec", str(pipes))
    assert sorted(path.name for path in pipes.iterdir()) == ["bm25.qrels", "bm25.run"]
    for form, start in (("md", "# Pipelines on numbers"), ("html", "<!doctype html>")):
        options = (measured["job"], "--format", form)
        assert run(capsys, home, "evaluations", "report", *options)["text"].startswith(start)


def test_an_evaluation_that_is_not_there(capsys: Any, home: Path, tmp_path: Path) -> None:
    argv = ["--home", str(home), "evaluations", "export", "none", str(tmp_path / "out")]
    assert main(argv) == 2
    assert "no evaluation" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_kept_encodings_are_shown_and_cleared(capsys: Any, home: Path) -> None:
    assert run(capsys, home, "cache", "show")["encodings"] == []
    for model, count in (("one", 3), ("two", 2)):
        shelf = EncodingCache(home).shelf(f"key-{model}", {"model": model, "role": "document"})
        texts = np.arange(2 * count, dtype=np.uint64).reshape(count, 2)
        shelf.write(texts, np.ones((count, 8), np.float32))
    shown = run(capsys, home, "cache", "show")
    assert {one["about"]["model"]: one["texts"] for one in shown["encodings"]} == {
        "one": 3,
        "two": 2,
    }
    assert main(["--home", str(home), "cache", "show"]) == 0
    assert "document" in capsys.readouterr().out
    assert run(capsys, home, "cache", "clear", "--model", "one")["freed"] > 0
    (left,) = run(capsys, home, "cache", "show")["encodings"]
    assert left["about"]["model"] == "two"
    run(capsys, home, "cache", "clear")
    assert run(capsys, home, "cache", "show")["bytes"] == 0
