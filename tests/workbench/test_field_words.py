"""A home whose records have the old names of tasks and fields is read by the new ones."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from workbench.comparison.table import build_table
from workbench.data.versions import versions
from workbench.data_check import fix
from workbench.jobs.files import read_json
from workbench.recipes.data import DataCheckRecipe
from workbench.tasks import read_recipe
from workbench.workspace import Workspace

OLD = Path(__file__).parents[1] / "storage" / "home_0003"
CHECK, FIX, EVALUATE, BLEND = "86af079078", "73ce7b80fe", "0566ffce85", "66d2d3b9ef"


@pytest.fixture
def old(home: Path) -> Path:
    """A home as version 0003 left it: a data set was examined and mended, models were measured on
    two data sets and in a matrix, a blend was measured."""
    shutil.copytree(OLD, home)
    with closing(sqlite3.connect(home / "workbench.db")) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript((home / "workbench.sql").read_text(encoding="utf-8"))
        connection.execute(
            "UPDATE jobs SET task = 'matrix', result = ? WHERE id = ?",
            ('{"rows": [{"retriever": "bm25", "reranker": "", "way": "retrieval"}]}', "eeb114c8b7"),
        )
        connection.commit()
    return home


@pytest.fixture
def workspace(old: Path) -> Iterator[Workspace]:
    opened = Workspace.open(old)
    yield opened
    opened.close()


def test_jobs_have_their_new_tasks_and_their_recipes_are_read(workspace: Workspace) -> None:
    jobs = {id: workspace.jobs.get(id) for id in (CHECK, FIX, EVALUATE, BLEND)}
    tasks = ["data-check", "data-fix", "evaluate", "blend"]
    assert [job.task for job in jobs.values()] == [job.name for job in jobs.values()] == tasks
    recipes: dict[str, Any] = {id: read_recipe(job.task, job.recipe) for id, job in jobs.items()}
    assert recipes[FIX].fixes == ["drop-empty-queries"]
    assert (recipes[EVALUATE].second_dataset, recipes[EVALUATE].evaluation_mode) == ("two", "auto")
    assert recipes[BLEND].second_dataset == "two"
    for id, job in jobs.items():
        content = read_json(workspace.jobs.folder(id) / "recipe.json", 1)
        assert content is None or content["recipe"] == job.recipe
        result = read_json(workspace.jobs.folder(id) / "result.json", 1)
        assert result is not None and result["result"] == job.result


def test_a_report_is_found_and_read(workspace: Workspace) -> None:
    last = fix.last_check(workspace, "one")
    assert last is not None and last.task == DataCheckRecipe.task
    report = fix.read_report(workspace, CHECK)
    assert fix.codes_of(report, ["empty-query"]) == ["drop-empty-queries"]
    rows = fix._rows(workspace, CHECK, ["drop-empty-queries"])
    assert len(rows["drop_queries"]) == 1
    result = workspace.jobs.get(FIX).result or {}
    assert result["fixes"] == ["drop-empty-queries"]


def test_a_version_says_that_it_was_fixed(workspace: Workspace) -> None:
    (version,) = [one for one in versions(workspace, "one") if one.version == 2]
    assert (version.by, version.what) == ("data-fix", "fixed: drop-empty-queries")
    assert version.lineage[-1]["recipe"]["fixes"] == ["drop-empty-queries"]


def test_results_and_settings_have_the_new_keys(workspace: Workspace) -> None:
    result = workspace.jobs.get(EVALUATE).result or {}
    second = result["second_dataset"]
    assert second["dataset"] == "two" and "also" not in result
    for row in [*result["rows"], *second["rows"]]:
        assert row["evaluation_mode"] == "retrieval" and "way" not in row
    assert build_table(result).evaluation_modes == ("retrieval",)
    matrix = workspace.jobs.get("eeb114c8b7").result or {}
    assert matrix["rows"][0]["evaluation_mode"] == "retrieval"
    for one in workspace.store.evaluations.list():
        assert {"second_dataset", "evaluation_mode"} <= one.settings.keys()
        assert not {"also", "way"} & one.settings.keys()


def test_what_was_undone_can_follow(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database's changes can be undone, those of files cannot."""
    from storage import migrate

    run = migrate._upgrade

    def fails(*given: Any) -> None:
        run(*given)
        raise RuntimeError("no room")

    monkeypatch.setattr(migrate, "_upgrade", fails)
    with pytest.raises(RuntimeError):
        Workspace.open(old)
    monkeypatch.setattr(migrate, "_upgrade", run)
    opened = Workspace.open(old)
    assert opened.jobs.get(FIX).task == "data-fix"
    assert fix.codes_of(fix.read_report(opened, CHECK), ["empty-query"]) == ["drop-empty-queries"]
    assert (opened.jobs.folder(CHECK) / "fixes.npz").is_file()
    opened.close()
