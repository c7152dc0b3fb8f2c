"""``train --check`` on real data sets and models: no torch, no job."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.storage import make
from tests.workbench.cli.test_main import ROOT, document, workbench, write
from tests.workbench.models import tiny
from workbench.auto import decisions
from workbench.checks import CheckReport, check
from workbench.checks.memory_suggestions import advice
from workbench.cli.running import run_job
from workbench.errors import BadInput, DatasetNotFound, ModelNotFound
from workbench.recipes.data import ImportRecipe
from workbench.recipes.train import KINDS
from workbench.workspace import Workspace

#: 60 rows, every other with a negative; longer than 8 words.
ROWS = [
    {"query": f"the quick fox {n}", "pos": [f"a lazy dog sat on the mat by it {n} " * 3]}
    | ({"neg": [f"the cat is for on {n}"]} if n % 2 else {})
    for n in range(60)
]


PAIRS = [
    {"sentence1": f"the quick fox {n}", "sentence2": "a lazy dog " * 9, "score": n % 5}
    for n in range(60)
]


#: One query with sixty texts among ten others.
MANY = [
    {"query": "the fox", "pos": [f"a dog {n}" for n in range(60)]},
    *({"query": f"the cat {n}", "pos": [f"on the mat {n}"]} for n in range(10)),
]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    folder = tmp_path_factory.mktemp("check")
    opened = Workspace.open(folder / "home")
    write(folder / "rows.jsonl", ROWS)
    write(folder / "scored.jsonl", PAIRS)
    write(folder / "many.jsonl", MANY)
    write(folder / "bare.jsonl", [one | {"neg": []} for one in ROWS])
    write(folder / "same.jsonl", [{"query": "the cat", "pos": [f"a dog {n}" for n in range(9)]}])
    for name in ("rows", "scored", "many", "same", "bare"):
        paths = [str(folder / f"{name}.jsonl")]
        shares = {"dev_share": 0.0, "test_share": 0.0} if name in ("many", "same") else {}
        run_job(opened, ImportRecipe.read({"paths": paths, "name": name, **shares}))
    yield opened
    opened.close()


def checked(workspace: Workspace, kind: str = "embedding", **values: Any) -> CheckReport:
    return check(workspace, KINDS[kind].read({"dataset": "rows", **values}), gpu=False)


def codes(report: CheckReport) -> set[str]:
    return {one.code for one in report.warnings}


def test_rows_steps_and_tokens_of_the_packaged_model(workspace: Workspace) -> None:
    report = checked(workspace, epochs=2, batch_size=10, gradient_accumulation=2)
    assert report.rows == 48
    assert (report.batches, report.steps) == (5, 6)
    assert report.texts_per_batch == 30
    assert report.parameters == report.trainable == 22_713_216
    query, text = report.lengths
    # [CLS] the quick fox 7 [SEP]; numbers from 10 on are still one token.
    assert (query.longest, query.cut) == (6, 0.0)
    assert report.tokens_per_batch == round(10 * query.mean + 20 * text.mean)
    assert report.memory is not None
    assert report.memory.total > 16 * report.parameters
    assert checked(workspace, max_steps=3).steps == 3


def test_rows_that_no_batch_has_room_for_are_counted_as_the_run_counts(
    workspace: Workspace,
) -> None:
    report = checked(workspace, dataset="many", batch_size=32)
    assert (report.rows, report.left_out, report.batches, report.steps) == (70, 50, 10, 10)
    assert report.texts_per_batch == 4
    assert any("50 of 70 training rows are left out" in note for note in report.notes)
    assert report.to_dict()["left_out"] == 50
    with pytest.raises(BadInput, match="All 9 training rows have the same query"):
        checked(workspace, dataset="same")


def test_every_warning_names_its_mend(workspace: Workspace) -> None:
    report = checked(
        workspace, negatives=5, symmetric=True, precision="fp16", batch_size=64, passage_max_len=8,
        query_max_len=600, objective="distill-kl",
    )  # fmt: skip
    assert codes(report) == {
        "few-negatives", "fp16-without-gpu", "batch-too-large", "texts-cut", "beyond-the-model",
        "few-dev-queries", "no-scores", "no-effect", "longer-than-used",
    }  # fmt: skip
    assert all(one.mend for one in report.warnings)
    mends = {one.code: one.mend for one in report.warnings}
    assert mends["few-negatives"].startswith("Set negatives to 1")
    assert mends["batch-too-large"] == "Set batch_size to 48 or less."
    assert mends["texts-cut"].startswith("Set passage_max_len to ")
    # The model reads 512 tokens, and is used at 256 of them.
    assert mends["longer-than-used"].startswith("After training, set query_max_len=512")


def test_scored_pairs_are_rows_too(workspace: Workspace) -> None:
    values = {"dataset": "scored", "objective": "cosent", "batch_size": 10}
    report = checked(workspace, **values)
    assert 40 <= report.rows < 60
    left, right = report.lengths
    assert left.longest < right.longest
    assert report.texts_per_batch == 20
    assert report.memory is not None
    assert checked(workspace, max_rows=12, **values).rows == 12
    assert "few-negatives" not in codes(report)


def test_without_any_negatives_there_is_nothing_to_learn(workspace: Workspace) -> None:
    report = checked(workspace, negatives=0, in_batch_negatives=False)
    assert "nothing-to-tell-from" in codes(report)


def test_too_little_memory(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.checks.free_memory", lambda gpu: 1_000_000)
    report = checked(workspace)
    assert "memory" in codes(report)
    assert "method lora" in next(one.mend for one in report.warnings if one.code == "memory")


@pytest.mark.parametrize("kind", ["reranker", "late-interaction"])
def test_a_reranker_finds_its_negatives(workspace: Workspace, kind: str) -> None:
    report = checked(workspace, kind, method="lora", negatives=3)
    # Late interaction takes what the data brings, at most 1 here, and the batch's.
    assert ("few-negatives" in codes(report)) == (kind == "late-interaction")
    assert report.texts_per_batch == {"reranker": 8 * 4, "late-interaction": 16 * 3}[kind]
    assert report.trainable is not None
    assert report.trainable < (report.parameters or 0) / 10


def test_a_model_that_needs_a_prompt(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "multilingual-e5-small"
    tiny.bert(folder)
    report = checked(workspace, model=str(folder))
    wanted = [one.mend for one in report.warnings if one.code == "prompt-missing"]
    assert wanted == ["Set query_prompt to 'query: '.", "Set document_prompt to 'passage: '."]
    told = checked(workspace, model=str(folder), query_prompt="query: ", document_prompt="p: ")
    assert "prompt-missing" not in codes(told)
    # The word-level tokenizer knows no numbers; the model reads 64 tokens.
    assert report.lengths[0].longest == 6
    assert report.memory is not None


def test_pickled_weights_are_a_note(workspace: Workspace, tmp_path: Path) -> None:
    folder = tiny.pickled(tiny.bert(tmp_path / "pickled"))
    report = checked(workspace, model=str(folder))
    assert report.parameters is None
    assert "safetensors" in report.notes[0]


def test_what_is_not_there_is_told(workspace: Workspace) -> None:
    with pytest.raises(DatasetNotFound):
        check(workspace, KINDS["embedding"].read({"dataset": "none"}), gpu=False)
    with pytest.raises(ModelNotFound):
        checked(workspace, model="none-such")


def test_the_command_prints_and_submits_nothing(workspace: Workspace) -> None:
    before = len(workspace.jobs.list())
    found = document(workbench(workspace.home, "train", "--dataset", "rows", "--check", "--json"))
    assert found["rows"] == 48
    assert found["memory"]["estimate"] is True
    words = workbench(workspace.home, "train", "--dataset", "rows", "--check")
    assert words.returncode == 0
    assert "an estimate" in words.stdout
    assert len(workspace.jobs.list()) == before


@pytest.mark.slow  # Trains MiniLM for two steps in a worker.
def test_the_command_measures_a_few_steps(workspace: Workspace) -> None:
    asked = ["train", "--dataset", "rows", "--batch-size", "4", "--check", "--measure", "2"]
    found = document(workbench(workspace.home, *asked, "--json"))
    assert found["rows"] == 48
    measured = found["measured"]
    assert (measured["steps"], measured["total_steps"]) == (2, 12)
    # MiniLM with gradients and moments alone takes 16 bytes a parameter.
    assert measured["peak_memory"] - measured["memory_before"] > 16 * 22_713_216
    assert measured["estimated_memory"] == found["memory"]["total"]
    assert [model.name for model in workspace.models.list()] == ["all-MiniLM-L6-v2"]
    assert workspace.jobs.get(measured["job"]).task == "measure"


def test_a_check_imports_no_torch() -> None:
    code = (
        "import sys, json, workbench.cli.main, workbench.checks, workbench.commands\n"
        "import tokenizers\n"
        "print(json.dumps(sorted({'torch', 'transformers'} & set(sys.modules))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == []


def test_a_run_that_decides_is_checked_by_its_rules(workspace: Workspace) -> None:
    """And is told from the trainings by which it decides; dev while it trains is none of it."""
    report = checked(workspace, auto="all")
    written = checked(workspace)
    assert report.steps != written.steps and report.texts_per_batch < written.texts_per_batch
    assert report.notes[0].startswith("This is the training that is kept.")
    assert "trains 3 models without a part of the queries each" in report.notes[0]
    assert not [note for note in report.notes if note.startswith("Dev is measured")]
    assert not codes(report) & {"no-dev-queries", "beyond-the-model"}
    # It takes as many negatives as there are; who asks for more is told.
    for dataset in ("rows", "many"):
        found = codes(checked(workspace, dataset=dataset, auto="all"))
        assert "few-negatives" not in found
    assert "few-negatives" in codes(checked(workspace, auto="all", negatives=3))
    given = checked(workspace, auto="all", learning_rate=1e-3)
    assert given.steps == report.steps


def test_negatives_that_a_run_mines_by_itself_are_counted(workspace: Workspace) -> None:
    """Nobody is asked to bring what the look finds, and its texts take memory; several seeds and a
    run that is as written take no look."""
    plain = checked(workspace, dataset="bare", auto="all", negatives=0)
    mined = checked(workspace, dataset="bare", auto="all", negatives=2)
    assert mined.texts_per_batch == 2 * plain.texts_per_batch
    assert "few-negatives" not in codes(mined)
    for values in ({"auto": "all", "seeds": 3}, {"epochs": 1}):
        assert "few-negatives" in codes(checked(workspace, dataset="bare", negatives=2, **values))


def test_what_is_suggested_is_held_against_what_the_rules_decide(workspace: Workspace) -> None:
    """A run that decides took batches of 16 here, and not the 32 that its recipe holds."""
    recipe = KINDS["embedding"].read({"dataset": "rows", "auto": "all"})
    values = recipe.model_dump(mode="json")
    job = make.job("oom", task="train-embedding", recipe=values)
    sizes = [
        one["changes"]["batch_size"] * one["changes"].get("gradient_accumulation", 1)
        for one in advice(job, workspace)
        if "batch_size" in one["changes"]
    ]
    assert sizes and set(sizes) == {16}


def test_a_run_that_decides_is_checked_by_the_rows_that_it_takes(workspace: Workspace) -> None:
    limited = checked(workspace, auto="max_steps", batch_size=2, max_rows=20)
    assert limited.steps == decisions.USUAL.passes * 10
    assert limited.notes[0].endswith("(steps: 30, 30, 30).")


def test_a_reranker_that_decides_is_checked_with_negatives_that_are_found(
    workspace: Workspace,
) -> None:
    report = checked(workspace, "reranker", auto="all")
    assert (report.steps, report.texts_per_batch) == (120, 8 * (1 + 4))
    assert report.notes[0].startswith("This is the training that is kept. Before it")
    late = checked(workspace, "late-interaction", auto="all", negatives=0)
    assert (late.steps, late.texts_per_batch) == (24, 16 * 2)


def test_seeds_and_minutes_are_told_apart_from_folds(workspace: Workspace) -> None:
    seeds = checked(workspace, auto="all", seeds=3).notes[0]
    assert seeds.startswith("This is the training of one seed.") and "3 models" in seeds
    assert "without a part" not in seeds
    limited = checked(workspace, auto="all", minutes=5).notes
    assert any("5 minutes" in note for note in limited)
