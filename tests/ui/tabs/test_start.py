"""The sample's steps, read from records."""

from dataclasses import replace
from typing import Any

import pytest

from storage.records import Job, JobStatus
from tests.storage import make
from tests.ui.tabs.conftest import BAD, EVALUATED, evaluated, put
from tests.ui.visitor import drawn
from ui.services import Services
from ui.tabs import start
from workbench import demo
from workbench.demo import DemoJobs

RESULT = {
    "metric": "map@100",
    "baseline": {"map@100": 0.589},
    "best": {"map@100": 0.683},
    "beats_base": True,
    "seconds": 65,
    "model": "tuned",
}


def run(**statuses: JobStatus) -> DemoJobs:
    tasks = {"sample": "sample", "train": "train-embedding", "evaluate": "evaluate"}
    tasks["index"] = "index"
    jobs = {
        name: make.job(name, task=task, name=name, status=statuses.get(name, JobStatus.QUEUED))
        for name, task in tasks.items()
    }
    return DemoJobs(**jobs)


def states(found: DemoJobs, baseline: float | None = None) -> list[str]:
    html = str(start.steps_html(found, baseline))
    return [part.split('"')[0] for part in html.split('<li class="')[1:]]


def test_before_anything_ran_it_says_what_to_do() -> None:
    assert "rw-empty" in start.steps_html(None)


def test_every_step_stands_where_its_job_stands() -> None:
    done, running = JobStatus.SUCCEEDED, JobStatus.RUNNING
    assert states(run()) == ["waiting"] * 5
    assert states(run(sample=running)) == ["running", *["waiting"] * 4]
    # The baseline is the first part of the training job.
    assert states(run(sample=done, train=running)) == ["done", "running", *["waiting"] * 3]
    halfway = states(run(sample=done, train=running), 0.589)
    assert halfway == ["done", "done", "running", "waiting", "waiting"]


def test_a_finished_run_shows_what_came_of_it() -> None:
    found = run(sample=JobStatus.SUCCEEDED, index=JobStatus.SUCCEEDED)
    train = replace(found.train, status=JobStatus.SUCCEEDED, result=RESULT)
    evaluate = replace(found.evaluate, status=JobStatus.SUCCEEDED, result=EVALUATED)
    found = replace(found, train=train, evaluate=evaluate)
    assert states(found, 0.589) == ["done"] * 5
    html = start.steps_html(found, 0.589)
    assert "went from 0.589 to 0.683" in html
    assert "the same 300 questions" in html
    assert "<strong>0.683</strong>" in start.comparison_html(found)


def test_a_failure_stands_at_its_step_as_text() -> None:
    found = run(sample=JobStatus.FAILED)
    assert found.sample is not None
    broken = replace(found.sample, error={"message": BAD, "hint": "Free some disk."})
    html = start.steps_html(replace(found, sample=broken))
    assert '<li class="failed">' in html
    assert "Free some disk." in html
    assert "<script" not in html


def test_data_that_is_there_already_is_a_done_step() -> None:
    assert states(replace(run(), sample=None))[0] == "done"


def chain(services: Services, prefix: str, created_at: float = 1.0) -> Job:
    """A sample run on record, from its last job back."""
    common: dict[str, Any] = {"created_at": created_at, "status": JobStatus.SUCCEEDED}
    data = {"dataset": demo.DATASET}
    put(services, f"{prefix}s", task="sample", **common)
    named = {**common, "task": "train-embedding", "recipe": data, "result": RESULT}
    put(services, f"{prefix}t", after=f"{prefix}s", **named)
    evaluated(services, f"{prefix}e", after=f"{prefix}t", created_at=created_at)
    recipe = {**data, "name": "i"}
    return put(services, f"{prefix}i", after=f"{prefix}e", task="index", recipe=recipe, **common)


def test_the_newest_run_is_found_again_in_the_records(services: Services) -> None:
    chain(services, "a", 1.0)
    chain(services, "b", 2.0)
    put(services, "x", task="index", recipe={"dataset": demo.DATASET}, created_at=3.0)
    found = demo.latest(services.workspace)
    assert found is not None
    assert [job.id for job in found.jobs] == ["bs", "bt", "be", "bi"]


def test_a_run_with_a_job_removed_is_passed_over(services: Services) -> None:
    chain(services, "a", 1.0)
    chain(services, "b", 2.0)
    services.workspace.store.jobs.delete("bt")
    found = demo.latest(services.workspace)
    assert found is not None
    assert found.index.id == "ai"


def test_the_view_is_skipped_when_nothing_changed(services: Services) -> None:
    chain(services, "a")
    tab = drawn(start.StartTab, services)
    first = tab.refresh(None)
    again = tab.refresh(first[tab.steps])
    assert again == {"__type__": "update"}


@pytest.mark.parametrize("running", [True, False])
def test_the_buttons_follow_the_run(services: Services, running: bool) -> None:
    job = chain(services, "a")
    if running:
        services.workspace.store.jobs.delete(job.id)
        put(services, "ai", task="index", after="ae", recipe={"dataset": demo.DATASET})
    tab = drawn(start.StartTab, services)
    shown = tab.refresh(None)
    assert shown[tab.run].interactive is not running
    assert shown[tab.cancel].visible is running
    assert shown[tab.links].visible is not running
