"""What a fix refuses, and the two tasks from the command line."""

import functools
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.workbench.data.fakes import lines
from tests.workbench.data_check.conftest import Checker, healthy
from ui.tabs.data.check import TITLES
from workbench.cli.main import main
from workbench.data.reader import DatasetReader
from workbench.data.text_counts import ODD_KINDS
from workbench.data.versions import Changes, new_version
from workbench.data_check.fix import fresh_report
from workbench.errors import BadInput, BadRecipe, JobCancelled, NotFound
from workbench.recipes.data import DataCheckRecipe, DataFixRecipe
from workbench.records import JobStatus

Make = Callable[..., DatasetReader]


@pytest.fixture
def reader(data: Make) -> DatasetReader:
    rows = healthy()
    rows[3]["query"] = "?!"
    return data(train=rows[:30], test=rows[30:])


def test_only_the_checked_version_is_fixed(reader: DatasetReader, checker: Checker) -> None:
    checker.check(reader.name, "queries")
    jobs = checker.workspace.jobs
    waiting = DataFixRecipe(dataset=reader.name, report=checker.job, fixes=["empty-query"])
    new_version(checker.workspace, reader.name, Changes(drop_queries=[1]), {"what": "meanwhile"})
    with pytest.raises(BadInput, match="checked as version 1, but is now at version 2"):
        jobs.submit(waiting)
    old = DataFixRecipe(dataset=reader.name, dataset_version=2, report=checker.job, fixes=["x"])
    with pytest.raises(BadInput, match="about version 1, not 2"):
        jobs.submit(old)


def test_a_version_that_came_after_the_click_is_not_fixed(
    reader: DatasetReader, checker: Checker
) -> None:
    checker.check(reader.name, "queries")
    new_version(checker.workspace, reader.name, Changes(drop_queries=[1]), {"what": "meanwhile"})
    from workbench.data_check import fix

    recipe = DataFixRecipe(dataset=reader.name, report=checker.job, fixes=["drop-empty-queries"])
    assert checker.context is not None
    with pytest.raises(BadInput, match="Run the data check again"):
        fix.run(recipe, checker.context)  # type: ignore[arg-type]
    assert checker.workspace.datasets.get(reader.name).version == 2


def test_unknown_fixes_and_checks_are_told(reader: DatasetReader, checker: Checker) -> None:
    checker.check(reader.name, "queries")
    jobs = checker.workspace.jobs
    with pytest.raises(NotFound, match="Did you mean 'empty-query'"):
        jobs.submit(DataFixRecipe(dataset=reader.name, report=checker.job, fixes=["empty-qeury"]))
    with pytest.raises(NotFound, match="Did you mean 'splits'"):
        jobs.submit(DataCheckRecipe(dataset=reader.name, checks=["split"], tokenizer=""))
    with pytest.raises(BadRecipe):
        DataCheckRecipe.read({"dataset": reader.name, "similarity": 0.1})


def test_a_data_check_can_be_stopped(reader: DatasetReader, checker: Checker) -> None:
    from workbench.data_check import check

    checker.check(reader.name, "queries")
    assert checker.context is not None
    context = checker.context
    context.cancel_after, context.checks = 3, 0
    with pytest.raises(JobCancelled):
        check.run(DataCheckRecipe(dataset=reader.name, tokenizer=""), context)  # type: ignore[arg-type]


def test_progress_never_goes_back(reader: DatasetReader, checker: Checker) -> None:
    checker.check(reader.name)
    assert checker.context is not None
    done = [seen[0] for seen in checker.context.seen]
    assert done == sorted(done)
    assert done[-1] == checker.context.seen[-1][1]


def test_every_finding_has_a_title() -> None:
    folder = Path(__file__).parents[3] / "workbench/data_check"
    source = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    odd = source.count('f"{kind}-')  # One of each kind of odd text.
    single = [code for code in TITLES if code.split("-")[0] not in ODD_KINDS]
    assert all(f'"{code}"' in source for code in single)
    found = source.count("yield Finding(") + source.count("_documents_finding(") - 1
    assert found - odd == len(single)
    assert odd * len(ODD_KINDS) == len(TITLES) - len(single)


def test_a_report_is_about_one_data_set_and_not_about_a_name(
    reader: DatasetReader, checker: Checker
) -> None:
    checker.check(reader.name, "queries")
    path = checker.workspace.jobs.folder(checker.job) / "report.json"
    report = json.loads(path.read_text(encoding="utf-8"))
    assert report["dataset_id"] == checker.workspace.datasets.get(reader.name).id
    path.write_text(json.dumps({**report, "dataset_id": "another"}), encoding="utf-8")
    with pytest.raises(BadInput, match="another data set of the name"):
        checker.fix(reader.name, "empty-query")


def test_a_data_check_is_reused_only_where_it_would_say_the_same(
    reader: DatasetReader, checker: Checker
) -> None:
    checker.check(reader.name, "queries")
    records = checker.workspace.store.jobs
    fresh = functools.partial(fresh_report, checker.workspace, reader.name)
    assert fresh({}, ["empty-query"]) is None  # It is not on record as done.
    asked = checker.workspace.jobs.get(checker.job)
    records.insert(replace(asked, id="done", status=JobStatus.SUCCEEDED))
    jobs = checker.workspace.jobs
    shutil.copytree(jobs.folder(checker.job), jobs.folder("done"))
    assert fresh({}, ["empty-query"]) == "done"
    assert fresh({"checks": ["queries"]}, ["drop-empty-queries"]) == "done"
    assert fresh({"judge": "other"}, ["empty-query"]) is None
    assert fresh({}, ["empty-query", "duplicate-query"]) is None
    new_version(checker.workspace, reader.name, Changes(drop_queries=[1]), {"what": "meanwhile"})
    assert fresh({}, ["empty-query"]) is None


@pytest.mark.slow  # starts a worker process for each job
def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = healthy()
    rows[3]["query"] = "?!"
    path = lines(tmp_path / "train.jsonl", rows)
    home = ["--home", str(tmp_path / "home"), "--json"]
    assert main([*home, "data", "add", str(path), "--name", "tea"]) == 0
    capsys.readouterr()
    asked = ["data", "check", "tea", "--set", "checks=queries,splits", "--set", "tokenizer="]
    assert main([*home, *asked]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [one["code"] for one in report["findings"]] == ["empty-query"]
    assert report["findings"][0]["examples"][0]["texts"][0]["text"] == "?!"
    assert main([*home, *asked, "--fix", "empty-query"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["job"], said["checked_again"]) == (report["job"], False)
    assert (said["fixed"]["from_version"], said["fixed"]["version"]) == (1, 2)
    by = ["data", "check", "tea", "--report", report["job"]]
    assert main([*home, *by]) == 2
    assert "Add --fix" in capsys.readouterr().err
    assert main([*home, *by, "--fix", "empty-query"]) == 2
    assert "was checked as version 1" in capsys.readouterr().err
    assert main([*home, *asked, "--fix", "empty-query"]) == 2
