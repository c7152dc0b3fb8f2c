"""The jobs: what they return, and what they leave behind when they do not end well."""

import json
import shutil
from pathlib import Path

import pytest

from tests.workbench.data.fakes import bring, context, lines
from workbench.data import job
from workbench.data.job import run_import, run_sample
from workbench.errors import (
    BadInput,
    DatasetNotFound,
    JobCancelled,
    NameTaken,
    NoGoodRows,
    StrictRefused,
)
from workbench.jobs.outcome import made
from workbench.prepare import prepare
from workbench.recipes.data import ImportRecipe, SampleRecipe
from workbench.workspace import Workspace

GOOD = [{"query": f"q{i}", "pos": [f"p{i}"]} for i in range(60)]


def folders(workspace: Workspace) -> set[str]:
    return {path.name for path in (workspace.home / "datasets").iterdir()}


def test_result_and_record(workspace: Workspace, tmp_path: Path) -> None:
    file = lines(tmp_path / "rows.jsonl", [*GOOD, ["bad"]])
    recipe = ImportRecipe(paths=[str(file)], name="whole result")
    said = context(workspace)
    result = run_import(recipe, said)
    assert made(workspace.store, said.folder) == result
    keys = {
        "name",
        "format",
        "queries",
        "documents",
        "judgments",
        "splits",
        "problems",
        "problem_counts",
    }
    assert keys <= result.keys()
    json.dumps(result)
    assert set(result["problems"][0]) == {"file", "line", "field", "code", "severity", "message"}
    dataset = workspace.datasets.get("whole result")
    assert dataset.summary["problems_total"] == 1
    assert dataset.summary["splits"] == result["splits"]
    assert dataset.summary["too_few"]
    done, total, unit, message = said.seen[-1]
    assert (done, total, unit) == (file.stat().st_size, file.stat().st_size, "bytes")
    assert "rows.jsonl" in message
    assert workspace.datasets.bytes("whole result") == result["bytes"]
    folder = workspace.home / "datasets" / dataset.id
    assert {path.name for path in folder.iterdir()} == {"files", "v1"}


def test_strict_refuses_and_leaves_nothing(workspace: Workspace, tmp_path: Path) -> None:
    before = folders(workspace)
    file = lines(tmp_path / "rows.jsonl", [*GOOD, {"query": "", "pos": ["p"]}])
    with pytest.raises(StrictRefused) as refused:
        bring(workspace, file, name="strict", strict=True)
    assert refused.value.details["problems"][0]["line"] == 61
    assert folders(workspace) == before
    assert not workspace.datasets.exists("strict")


def test_strict_minds_what_is_changed_and_not_what_is_only_said(
    workspace: Workspace, tmp_path: Path
) -> None:
    said = [*GOOD, {"query": "q0", "pos": ["more"], "negatve": "unknown column"}]
    result, _ = bring(workspace, lines(tmp_path / "a.jsonl", said), strict=True)
    assert set(result["problem_counts"]) == {"duplicate-query", "unknown-columns"}
    changed = [*GOOD, {"query": "q", "pos": ["p"], "neg": ["p", "n"]}]
    with pytest.raises(StrictRefused):
        bring(workspace, lines(tmp_path / "b.jsonl", changed), strict=True)


def test_no_good_row(workspace: Workspace, tmp_path: Path) -> None:
    before = folders(workspace)
    with pytest.raises(NoGoodRows) as refused:
        bring(workspace, lines(tmp_path / "rows.jsonl", ["a", 1]))
    assert len(refused.value.details["problems"]) == 2
    assert "line 1" in refused.value.message
    assert folders(workspace) == before


@pytest.mark.parametrize("checks", [0, 1, 2, 3])
def test_cancelled_leaves_nothing(checks: int, workspace: Workspace, tmp_path: Path) -> None:
    before = folders(workspace)
    file = lines(tmp_path / "rows.jsonl", GOOD)
    with pytest.raises(JobCancelled):
        run_import(
            ImportRecipe(paths=[str(file)], name="never"), context(workspace, cancel_after=checks)
        )
    assert folders(workspace) == before


def test_a_name_taken_meanwhile_leaves_nothing(workspace: Workspace, tmp_path: Path) -> None:
    file = lines(tmp_path / "rows.jsonl", GOOD)
    bring(workspace, file, name="taken")
    before = folders(workspace)
    with pytest.raises(NameTaken):
        bring(workspace, file, name="taken")
    assert folders(workspace) == before


def test_uploads_are_removed_and_nothing_else(workspace: Workspace, tmp_path: Path) -> None:
    staged = lines(workspace.home / "uploads" / "abc" / "rows.jsonl", GOOD)
    (staged.parent / "upload.json").write_text("{}")
    folder = lines(workspace.home / "uploads" / "def" / "set" / "rows.jsonl", GOOD).parent
    other = lines(workspace.home / "uploads" / "ghi" / "rows.jsonl", GOOD)
    own = lines(tmp_path / "own.jsonl", GOOD)
    bring(workspace, staged, folder, own, remove_after=True)
    assert own.exists()
    assert other.exists()
    assert not staged.parent.exists()
    assert not folder.parent.exists()
    assert (workspace.home / "uploads").is_dir()


def test_uploads_stay_when_the_import_fails(workspace: Workspace) -> None:
    staged = lines(workspace.home / "uploads" / "def" / "rows.jsonl", ["bad"])
    with pytest.raises(NoGoodRows):
        bring(workspace, staged, remove_after=True)
    assert staged.exists()


def test_prepare(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines(tmp_path / "rows.jsonl", GOOD)
    monkeypatch.chdir(tmp_path)
    ready = prepare(ImportRecipe(paths=["rows.jsonl"], name="  a   name "), workspace, False)
    assert ready.paths == [str(tmp_path / "rows.jsonl")]
    assert ready.name == "a name"
    with pytest.raises(BadInput, match="no file"):
        prepare(ImportRecipe(paths=["gone.jsonl"], name="x"), workspace, False)
    with pytest.raises(BadInput, match="encoding"):
        prepare(ImportRecipe(paths=["rows.jsonl"], name="x", encoding="klingon"), workspace, False)
    with pytest.raises(BadInput, match="name"):
        prepare(ImportRecipe(paths=["rows.jsonl"], name=" \n "), workspace, False)
    bring(workspace, tmp_path / "rows.jsonl", name="prepared")
    with pytest.raises(NameTaken) as taken:
        prepare(ImportRecipe(paths=["rows.jsonl"], name="prepared"), workspace, False)
    assert "prepared-2" in str(taken.value)
    with pytest.raises(NameTaken):
        prepare(SampleRecipe(name="prepared"), workspace, False)


def test_registry(workspace: Workspace, tmp_path: Path) -> None:
    bring(workspace, lines(tmp_path / "rows.jsonl", GOOD), name="wanted")
    datasets = workspace.datasets
    assert datasets.free_name("wanted") == "wanted-2"
    assert datasets.get(datasets.get("wanted").id).name == "wanted"
    with pytest.raises(DatasetNotFound, match="Did you mean 'wanted'"):
        datasets.get("wantd")
    with pytest.raises(DatasetNotFound, match="no version 7"):
        datasets.read("wanted", 7)
    folder = workspace.home / "datasets" / datasets.get("wanted").id
    datasets.remove("wanted")
    assert not folder.exists()
    assert not datasets.exists("wanted")


@pytest.fixture
def small_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Some modules of the standard library: all of it takes seconds."""
    library = job._library()
    for name in (
        "argparse",
        "ast",
        "inspect",
        "pathlib",
        "random",
        "shutil",
        "statistics",
        "turtle",
    ):
        shutil.copy(library / f"{name}.py", tmp_path)
    monkeypatch.setattr(job, "_library", lambda: tmp_path)
    return tmp_path


@pytest.mark.usefixtures("small_library")
def test_sample(workspace: Workspace) -> None:
    recipe = SampleRecipe(name="stdlib-code", train_pairs=100, dev_pairs=10, test_pairs=60)
    result = run_sample(recipe, context(workspace))
    assert result["splits"] == {"train": 100, "dev": 10, "test": 60}
    assert result["documents"] == result["queries"] == result["judgments"] == 170
    assert result["problems"] == []
    reader = workspace.datasets.read("stdlib-code")
    for row in reader.page(0, 170):
        assert "def " in row.positives[0]
        assert row.query not in row.positives[0]
        assert len(row.query) >= 20
    run_sample(recipe.model_copy(update={"name": "sample-again"}), context(workspace))
    assert workspace.datasets.read("sample-again").page(0, 170) == reader.page(0, 170)
    run_sample(recipe.model_copy(update={"name": "other", "seed": 2}), context(workspace))
    assert workspace.datasets.read("other").page(0, 170) != reader.page(0, 170)


@pytest.mark.usefixtures("small_library")
def test_too_large_a_sample(workspace: Workspace) -> None:
    with pytest.raises(BadInput, match="asked for"):
        run_sample(SampleRecipe(name="huge", train_pairs=10_000), context(workspace))


@pytest.mark.slow  # Parses the whole standard library.
def test_the_whole_library_has_enough_for_the_sample() -> None:
    pairs = list(job.collect(lambda *_: None, lambda: None))
    assert len(pairs) > 3_000
    assert len({pair.query.lower() for pair in pairs}) == len({pair.code for pair in pairs})
    assert not any("test" in Path(pair.where).parts for pair in pairs)
    default = SampleRecipe()
    assert default.train_pairs + default.dev_pairs + default.test_pairs < len(pairs)
