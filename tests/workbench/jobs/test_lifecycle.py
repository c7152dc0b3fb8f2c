"""Jobs with real processes: how they end, what they leave, in which order they run.

Each job takes about a second, most of it starting two Python processes.
"""

import itertools
from pathlib import Path

import pytest
from sqlalchemy import update

from storage.records import Job, JobStatus
from storage.tables import jobs
from tests.workbench.jobs.conftest import (
    StartApp,
    follow,
    kinds,
    steps,
    wait_for_steps,
    wait_until,
    worker,
)
from tests.workbench.jobs.small_tasks import CountRecipe, LightRecipe, MakeRecipe
from workbench.jobs.launchers import Command, LocalHandle, LocalLauncher
from workbench.jobs.processes import process_ref, this_process
from workbench.jobs.supervisor import Supervisor
from workbench.workspace import Workspace

# Real processes: each job starts two, which takes about a second.
pytestmark = pytest.mark.slow


def run(workspace: Workspace, recipe: CountRecipe) -> Job:
    job = workspace.jobs.submit(recipe)
    return Supervisor(workspace).run_until(job.id)


def test_success_leaves_result_numbers_and_log(workspace: Workspace) -> None:
    seen: list[Job] = []
    job = workspace.jobs.submit(CountRecipe(steps=40, delay=0.1))
    job = Supervisor(workspace).run_until(job.id, seen.append)
    assert job.status is JobStatus.SUCCEEDED, job.error
    assert job.result is not None
    assert job.result["counted"] == 40
    assert steps(workspace, job) == list(range(1, 41))
    assert job.progress["done"] == 40
    assert job.progress["rate"] is not None
    assert "counting from 0" in workspace.jobs.log_tail(job.id)
    assert kinds(workspace, job) == ["submitted", "started", "succeeded"]
    assert {one.status for one in seen} >= {JobStatus.RUNNING, JobStatus.SUCCEEDED}
    assert any(0 < one.progress.get("done", 0) < 40 for one in seen)
    assert job.started_at is not None and job.finished_at is not None
    assert job.heartbeat_at is not None and job.slot == "heavy"


def test_the_workers_environment(home: Path, workspace: Workspace) -> None:
    trusting = Workspace.open(home, trust_remote_code=True)
    for opened, trusted in ((workspace, None), (trusting, "1")):
        job = run(opened, CountRecipe())
        assert job.result is not None
        assert job.result["environment"] == {
            "TOKENIZERS_PARALLELISM": "false",
            "CUDA_VISIBLE_DEVICES": "",
            "WORKBENCH_TRUST_REMOTE_CODE": trusted,
        }
    trusting.close()


@pytest.mark.parametrize(
    ("how", "code", "message", "hint"),
    [
        ("sentence", "training-diverged", "The loss was not a number.", "Lower the learning"),
        ("exception", "worker-crashed", "ValueError: what nobody thought of", "log"),
        ("memory", "worker-crashed", "not enough memory on this machine", "smaller batch"),
        ("exit", "worker-crashed", "exit code 7", "last lines"),
        ("SIGKILL", "worker-crashed", "SIGKILL", "resume"),
        ("SIGSEGV", "worker-crashed", "SIGSEGV", "library crashed"),
        ("not-json", "worker-crashed", "TypeError", "log"),
    ],
)
def test_failures_say_what_happened(
    workspace: Workspace, how: str, code: str, message: str, hint: str
) -> None:
    job = run(workspace, CountRecipe(fail_at=2, how=how))
    assert job.status is JobStatus.FAILED
    assert job.result is None
    assert job.error is not None
    assert job.error["code"] == code
    assert message in job.error["message"]
    assert hint in job.error["hint"]
    assert "about to stumble" in job.error["log_tail"]
    assert kinds(workspace, job)[-1] == "failed"


@pytest.mark.parametrize("how", ["SIGKILL", "exception"])
def test_what_is_on_record_makes_the_job_a_success_however_its_process_ended(
    how: str, workspace: Workspace
) -> None:
    job = run(workspace, MakeRecipe(fail_at=1, how=how))
    assert (job.status, job.result) == (JobStatus.SUCCEEDED, {"model": "made", "attempt": 1})
    assert [one.name for one in workspace.models.list()] == ["made"]


def test_what_a_killed_job_left_half_made_goes_with_it(workspace: Workspace) -> None:
    job = run(workspace, MakeRecipe(fail_at=0, how="SIGKILL"))
    assert job.status is JobStatus.FAILED
    assert not list((workspace.home / "models").iterdir())
    workspace.jobs.resume(job.id)
    assert Supervisor(workspace).run_until(job.id).result == {"model": "made", "attempt": 2}
    assert not list((workspace.home / "unfinished").iterdir())


def test_a_resumed_attempt_makes_no_second_one_of_what_is_on_record(workspace: Workspace) -> None:
    """As where the first attempt was settled when the database could not be read."""
    job = run(workspace, MakeRecipe(fail_at=1, how="SIGKILL"))
    with workspace.store.database.write() as connection:
        connection.execute(update(jobs).values(status="failed"))
    workspace.jobs.resume(job.id)
    job = Supervisor(workspace).run_until(job.id)
    assert (job.status, job.attempt) == (JobStatus.SUCCEEDED, 2)
    assert job.result == {"model": "made", "attempt": 1}
    assert [one.name for one in workspace.models.list()] == ["made"]


def test_a_task_that_cannot_be_loaded_fails_with_its_reason(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = workspace.jobs.submit(CountRecipe())
    monkeypatch.delenv("WORKBENCH_EXTRA_TASKS")
    job = Supervisor(workspace).run_until(job.id)
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert job.error["message"] == "There is no task named 'count'."


def test_a_process_that_cannot_be_started_fails_the_job(workspace: Workspace) -> None:
    class Broken(LocalLauncher):
        def start(self, command: Command) -> LocalHandle:
            raise OSError(12, "Cannot allocate memory")

    job = workspace.jobs.submit(CountRecipe())
    job = Supervisor(workspace, launcher=Broken()).run_until(job.id)
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert "Cannot allocate memory" in job.error["message"]


def test_a_watch_that_fails_leaves_the_job_to_be_taken_up_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Faulty(LocalLauncher):
        def start(self, command: Command) -> LocalHandle:
            raise RuntimeError("a mistake of ours")

    monkeypatch.setattr("workbench.jobs.supervisor.RETRY_SECONDS", 0.1)
    monkeypatch.setattr("workbench.jobs.launchers.STARTING_SECONDS", 0.1)
    job = workspace.jobs.submit(CountRecipe())
    job = Supervisor(workspace, launcher=Faulty()).run_until(job.id)
    assert job.status is JobStatus.INTERRUPTED
    assert "adopted" in kinds(workspace, job)
    workspace.jobs.resume(job.id)
    assert Supervisor(workspace).run_until(job.id).status is JobStatus.SUCCEEDED


def test_what_the_worker_started_ends_with_it(workspace: Workspace) -> None:
    job = run(workspace, CountRecipe(child=True))
    assert job.status is JobStatus.SUCCEEDED
    child = int((workspace.jobs.folder(job.id) / "child.pid").read_text())
    wait_until(lambda: process_ref(child) is None, "the worker's child is gone")


def test_three_jobs_share_one_slot_in_order_and_light_work_passes(
    workspace: Workspace, start_app: StartApp
) -> None:
    heavy = [workspace.jobs.submit(CountRecipe(steps=4, delay=0.2)) for _ in range(3)]
    light = workspace.jobs.submit(LightRecipe())
    start_app()
    ended = [follow(workspace, job) for job in heavy]
    assert {job.status for job in ended} == {JobStatus.SUCCEEDED}
    for before, after in itertools.pairwise(ended):
        assert before.finished_at is not None and after.started_at is not None
        assert before.finished_at <= after.started_at
    light = follow(workspace, light)
    assert light.finished_at is not None and ended[-1].started_at is not None
    assert light.finished_at < ended[-1].started_at
    assert (light.slot, ended[0].slot) == ("light", "heavy")


def test_two_supervisors_on_one_home_run_each_job_once(
    workspace: Workspace, start_app: StartApp
) -> None:
    start_app()
    start_app()
    submitted = [workspace.jobs.submit(CountRecipe()) for _ in range(3)]
    submitted += [workspace.jobs.submit(LightRecipe()) for _ in range(3)]
    for job in [follow(workspace, job) for job in submitted]:
        assert (job.status, job.attempt) == (JobStatus.SUCCEEDED, 1)
        assert kinds(workspace, job) == ["submitted", "started", "succeeded"]
        assert steps(workspace, job) == [1, 2, 3]
        assert workspace.jobs.log_tail(job.id).count("counting from") == 1


def test_the_command_line_follows_a_job_that_an_app_runs(
    workspace: Workspace, start_app: StartApp
) -> None:
    start_app()
    job = workspace.jobs.submit(CountRecipe(steps=20, delay=0.05))
    wait_for_steps(workspace, job, 1)
    job = Supervisor(workspace).run_until(job.id)
    assert job.status is JobStatus.SUCCEEDED
    assert "adopted" not in kinds(workspace, job)


def test_a_chain_runs_in_order(workspace: Workspace) -> None:
    first = workspace.jobs.submit(CountRecipe())
    second = workspace.jobs.submit(LightRecipe(), after=first.id)
    third = workspace.jobs.submit(CountRecipe(), after=second.id)
    assert (first.name, second.name) == ("counting", "waiting")
    third = Supervisor(workspace).run_until(third.id)
    assert third.status is JobStatus.SUCCEEDED
    chain = [workspace.jobs.get(job.id) for job in (first, second, third)]
    for before, after in itertools.pairwise(chain):
        assert before.finished_at is not None and after.started_at is not None
        assert before.finished_at <= after.started_at


def test_what_waits_for_a_failure_is_cancelled(workspace: Workspace) -> None:
    first = workspace.jobs.submit(CountRecipe(fail_at=1, how="sentence"))
    second = workspace.jobs.submit(CountRecipe(), after=first.id)
    second = Supervisor(workspace).run_until(second.id)
    assert second.status is JobStatus.CANCELLED
    assert second.attempt == 0
    assert workspace.jobs.get(first.id).status is JobStatus.FAILED


def test_a_started_supervisor_takes_jobs_submitted_later(workspace: Workspace) -> None:
    supervisor = Supervisor(workspace)
    supervisor.start()
    # Longer than a busy machine takes to look at it and to let go.
    job = workspace.jobs.submit(CountRecipe(steps=120, delay=0.05))
    wait_for_steps(workspace, job, 1)
    assert [one.id for one in supervisor.running()] == [job.id]
    supervisor.stop()
    assert supervisor.running() == []
    assert workspace.jobs.get(job.id).status is JobStatus.RUNNING
    assert workspace.jobs.get(job.id).supervisor is None
    assert workspace.jobs.recover() == [workspace.jobs.get(job.id)]
    job = Supervisor(workspace).run_until(job.id)
    assert job.status is JobStatus.SUCCEEDED
    assert steps(workspace, job) == list(range(1, 121))
    assert worker(workspace, job) != this_process()
