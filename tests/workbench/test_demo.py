"""The sample run's four jobs: chained, with free names, and its result put together."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from storage.records import JobStatus
from workbench import demo
from workbench.errors import WorkbenchError
from workbench.workspace import Workspace


@pytest.fixture
def workspace(home: Path) -> Workspace:
    return Workspace.open(home)


def test_each_job_waits_for_the_one_before(workspace: Workspace) -> None:
    started = demo.start(workspace)
    assert [job.task for job in started.jobs] == ["sample", "train-embedding", "evaluate", "index"]
    ids = [job.id for job in started.jobs]
    assert [job.after for job in started.jobs] == [None, *ids[:-1]]
    assert all(job.status is JobStatus.QUEUED for job in started.jobs)
    tuned = started.train.recipe["name"]
    assert started.evaluate.recipe["models"] == ["all-MiniLM-L6-v2", tuned, "bm25"]
    assert started.index.recipe["model"] == tuned
    assert workspace.models.exists("all-MiniLM-L6-v2")


def test_a_second_start_shares_the_sample_and_takes_other_names(workspace: Workspace) -> None:
    first, second = demo.start(workspace), demo.start(workspace)
    assert second.sample is not None and first.sample is not None
    assert second.sample.id == first.sample.id
    assert second.train.recipe["name"] != first.train.recipe["name"]
    assert second.index.recipe["name"] != first.index.recipe["name"]


def test_settings_can_be_changed(workspace: Workspace) -> None:
    assert demo.start(workspace, max_steps=4).train.recipe["max_steps"] == 4


def test_results_are_put_together(workspace: Workspace) -> None:
    started = demo.start(workspace)
    with pytest.raises(WorkbenchError, match="is queued"):
        demo.collect(workspace, started)
    results: dict[str, Any] = {
        "sample": {"name": "stdlib-code"},
        "train-embedding": {"model": "tuned", "steps": 38},
        "evaluate": {"rows": []},
        "index": {"name": "stdlib-code"},
    }
    done = {
        job.id: replace(
            job,
            status=JobStatus.SUCCEEDED,
            result=results[job.task],
            created_at=100.0,
            finished_at=100.0 + 10 * at,
        )
        for at, job in enumerate(started.jobs, start=1)
    }
    finished: Any = SimpleNamespace(jobs=SimpleNamespace(get=done.__getitem__))
    document = demo.collect(finished, started)
    assert document["dataset"] == "stdlib-code" and document["seconds"] == 40.0
    assert document["train"] == {
        "job": started.train.id,
        "status": "succeeded",
        "model": "tuned",
        "steps": 38,
    }
    assert document["evaluate"] == {"rows": []}
