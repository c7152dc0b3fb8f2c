"""Stopping: a flag, then SIGTERM, then SIGKILL of the whole group."""

import pytest

from storage.records import JobStatus
from tests.workbench.jobs.conftest import kinds, runner, steps, wait_for_steps, wait_until, worker
from tests.workbench.jobs.small_tasks import CountRecipe
from workbench.jobs import files
from workbench.jobs.processes import alive, process_ref
from workbench.jobs.supervisor import Patience, Supervisor
from workbench.workspace import Workspace

# Real processes: each job starts two, which takes about a second.
pytestmark = pytest.mark.slow

SOON = {"flag": 0.2, "terminate": 0.2}


def test_a_job_that_looks_at_the_flag_stops_by_itself(workspace: Workspace) -> None:
    supervisor = Supervisor(workspace)
    supervisor.start()
    job = workspace.jobs.submit(CountRecipe(steps=2000, delay=0.05))
    wait_for_steps(workspace, job, 1)
    assert workspace.jobs.cancel(job.id).cancel_requested_at is not None
    job = supervisor.run_until(job.id)
    assert job.status is JobStatus.CANCELLED
    assert job.error is None
    assert 1 <= len(steps(workspace, job)) < 2000
    assert "signal" not in kinds(workspace, job)
    assert not alive(worker(workspace, job))
    supervisor.stop()


def test_one_that_ignores_flag_and_sigterm_is_killed_with_its_children(
    workspace: Workspace,
) -> None:
    job = workspace.jobs.submit(CountRecipe(steps=2000, delay=0.05, deaf=True, child=True))
    supervisor = Supervisor(workspace, patience=Patience(flag=0.3, terminate=0.5))
    supervisor.start()
    job = wait_for_steps(workspace, job, 1)
    workspace.jobs.cancel(job.id)
    job = supervisor.run_until(job.id)
    supervisor.stop()
    assert job.status is JobStatus.CANCELLED
    sent = [event.detail for event in workspace.jobs.events(job.id) if event.kind == "signal"]
    assert sent == ["SIGTERM to the worker", "SIGKILL to the worker"]
    assert not alive(worker(workspace, job))
    child = int((workspace.jobs.folder(job.id) / "child.pid").read_text())
    wait_until(lambda: process_ref(child) is None, "the worker's child is gone")
    wait_until(lambda: not alive(runner(workspace, job)), "the runner is gone")


def test_a_worker_stops_without_any_supervisor(workspace: Workspace) -> None:
    supervisor = Supervisor(workspace)
    supervisor.start()
    job = workspace.jobs.submit(CountRecipe(steps=2000, delay=0.05))
    job = wait_for_steps(workspace, job, 1)
    supervisor.stop()
    workspace.jobs.cancel(job.id)
    wait_until(lambda: not alive(runner(workspace, job)), "the runner is gone")
    assert workspace.jobs.recover() == []
    assert workspace.jobs.get(job.id).status is JobStatus.CANCELLED


def test_one_that_ignores_the_flag_is_ended_without_any_supervisor(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command line that ran it is gone, and no app is there: its runner does it."""
    monkeypatch.setattr("workbench.jobs.registry.RUNNERS_PATIENCE", SOON)
    supervisor = Supervisor(workspace)
    supervisor.start()
    job = workspace.jobs.submit(CountRecipe(steps=20_000, delay=0.05, idle=True, child=True))
    job = wait_for_steps(workspace, job, 1)
    supervisor.stop()
    child = int((workspace.jobs.folder(job.id) / "child.pid").read_text())
    workspace.jobs.cancel(job.id)
    wait_until(lambda: not alive(runner(workspace, job)), "the runner is gone")
    assert not alive(worker(workspace, job))
    wait_until(lambda: process_ref(child) is None, "the worker's child is gone")
    assert workspace.jobs.recover() == []
    assert workspace.jobs.get(job.id).status is JobStatus.CANCELLED


def test_one_that_ignores_sigterm_too_is_killed_by_its_runner(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.jobs.registry.RUNNERS_PATIENCE", SOON)
    supervisor = Supervisor(workspace)
    supervisor.start()
    job = workspace.jobs.submit(CountRecipe(steps=20_000, delay=0.05, deaf=True))
    job = wait_for_steps(workspace, job, 1)
    supervisor.stop()
    workspace.jobs.cancel(job.id)
    wait_until(lambda: not alive(runner(workspace, job)), "the runner is gone")
    assert not alive(worker(workspace, job))
    assert workspace.jobs.recover() == []
    assert workspace.jobs.get(job.id).status is JobStatus.CANCELLED


def test_a_cancel_of_an_earlier_attempt_does_not_end_the_next(workspace: Workspace) -> None:
    supervisor = Supervisor(workspace)
    job = workspace.jobs.submit(CountRecipe(steps=60, delay=0.05))
    folder = workspace.jobs.folder(job.id)
    files.write_json(folder / files.CANCEL, {"attempt": 0, **SOON})
    job = supervisor.run_until(job.id)
    assert job.status is JobStatus.SUCCEEDED


def test_a_job_that_waits_is_cancelled_at_once(workspace: Workspace) -> None:
    job = workspace.jobs.submit(CountRecipe())
    assert workspace.jobs.cancel(job.id).status is JobStatus.CANCELLED
    assert workspace.jobs.cancel(job.id).status is JobStatus.CANCELLED
    assert kinds(workspace, job) == ["submitted", "cancelled"]


def test_a_cancelled_job_can_go_on(workspace: Workspace) -> None:
    supervisor = Supervisor(workspace)
    supervisor.start()
    job = workspace.jobs.submit(CountRecipe(steps=30, delay=0.05))
    wait_for_steps(workspace, job, 6)
    workspace.jobs.cancel(job.id)
    assert supervisor.run_until(job.id).status is JobStatus.CANCELLED
    workspace.jobs.resume(job.id)
    job = supervisor.run_until(job.id)
    supervisor.stop()
    assert (job.status, job.attempt) == (JobStatus.SUCCEEDED, 2)
    assert job.result is not None
    assert job.result["from"] >= 5
    assert steps(workspace, job) == list(range(1, 31))
