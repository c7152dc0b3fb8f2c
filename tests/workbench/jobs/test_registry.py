"""Submitting, finding and removing jobs, without running any."""

import json
import re
from dataclasses import replace

import pytest

from storage.records import JobStatus
from tests.workbench.jobs.small_tasks import CountRecipe, LightRecipe
from workbench.errors import BadInput, InUse, JobNotFound
from workbench.jobs import files
from workbench.jobs.processes import process_ref, this_process
from workbench.jobs.supervisor import Supervisor
from workbench.workspace import Workspace


def test_a_submitted_job_is_a_row_and_its_copy(workspace: Workspace) -> None:
    job = workspace.jobs.submit(CountRecipe(steps=7))
    assert re.fullmatch(r"[0-9a-f]{10}", job.id)
    assert (job.status, job.attempt, job.name) == (JobStatus.QUEUED, 0, "counting")
    copy = json.loads((workspace.jobs.folder(job.id) / files.RECIPE).read_text())
    assert copy["task"] == "count"
    assert copy["recipe"] == job.recipe
    assert workspace.jobs.recipe(job.id) == CountRecipe(steps=7, name="counting")
    assert workspace.jobs.submitted.is_set()
    assert workspace.jobs.submit(CountRecipe(), name="mine").name == "mine"


def test_a_recipe_that_prepare_refuses_leaves_nothing(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise BadInput("No.")

    monkeypatch.setattr("tests.workbench.jobs.small_tasks.prepare", refuse)
    with pytest.raises(BadInput):
        workspace.jobs.submit(CountRecipe())
    with pytest.raises(JobNotFound):
        workspace.jobs.submit(CountRecipe(), after="nobody")
    assert workspace.jobs.list() == []
    assert list((workspace.home / "jobs").iterdir()) == []


def test_a_job_is_found_by_the_beginning_of_its_id(workspace: Workspace) -> None:
    job = workspace.jobs.submit(CountRecipe())
    assert workspace.jobs.get(job.id[:4]) == job
    others = [workspace.jobs.submit(CountRecipe()) for _ in range(16)]
    shared = next(
        one.id[0] for one in others if sum(o.id[0] == one.id[0] for o in [*others, job]) > 1
    )
    with pytest.raises(JobNotFound, match="Type more"):
        workspace.jobs.get(shared)
    with pytest.raises(JobNotFound):
        workspace.jobs.get("")
    with pytest.raises(JobNotFound, match=f"Did you mean '{job.id}'"):
        workspace.jobs.get("x" + job.id)


def test_lists(workspace: Workspace) -> None:
    first = workspace.jobs.submit(CountRecipe())
    second = workspace.jobs.submit(LightRecipe())
    workspace.jobs.cancel(first.id)
    assert [job.id for job in workspace.jobs.list()] == [second.id, first.id]
    assert [job.id for job in workspace.jobs.active()] == [second.id]
    assert [job.id for job in workspace.jobs.list(JobStatus.CANCELLED)] == [first.id]
    assert [job.id for job in workspace.jobs.list(task="count-light")] == [second.id]
    assert [job.id for job in workspace.jobs.changes(second.created_at)] == [first.id]


def test_only_jobs_that_stopped_can_be_resumed(workspace: Workspace) -> None:
    job = workspace.jobs.submit(CountRecipe())
    with pytest.raises(BadInput, match="is queued and cannot be resumed"):
        workspace.jobs.resume(job.id)
    workspace.jobs.cancel(job.id)
    assert workspace.jobs.resume(job.id).status is JobStatus.QUEUED


def test_a_removed_job_leaves_nothing(workspace: Workspace) -> None:
    job = workspace.jobs.submit(CountRecipe())
    (workspace.jobs.folder(job.id) / "checkpoint").write_bytes(b"x" * 1000)
    assert workspace.jobs.bytes(job) > 1000
    workspace.jobs.remove(job.id)
    assert not workspace.jobs.folder(job.id).exists()
    with pytest.raises(JobNotFound):
        workspace.jobs.get(job.id)


def test_a_job_in_use_is_not_removed(workspace: Workspace) -> None:
    first = workspace.jobs.submit(CountRecipe())
    workspace.jobs.submit(CountRecipe(), after=first.id)
    with pytest.raises(InUse, match="waits for this one"):
        workspace.jobs.remove(first.id)
    second = workspace.jobs.submit(LightRecipe())
    assert workspace.store.queue.claim(lambda _: ["s"], this_process(), only={second.id})
    with pytest.raises(InUse, match="is running"):
        workspace.jobs.remove(second.id)
    assert workspace.jobs.folder(second.id).exists()


def test_a_job_with_an_environment_of_its_own_is_started_where_that_is(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another living process cannot start it, as it does not have the variables."""
    job = workspace.jobs.submit(LightRecipe(), environment={"TOKEN": "secret"})
    other = Supervisor(workspace)
    other._me = process_ref(1) or ""
    assert not other._slots_for(job) and Supervisor(workspace)._slots_for(job)
    assert "secret" not in (workspace.jobs.folder(job.id) / "recipe.json").read_text()
    assert workspace.jobs.own_environment(job.id) == {"TOKEN": "secret"}
    assert workspace.jobs.own_environment(job.id) == {}
    # Where whoever submitted it is gone, any may start it: it says what it lacks.
    assert other._slots_for(replace(job, supervisor="1@0.5"))
