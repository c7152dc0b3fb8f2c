"""What goes on when processes die: the app, the runner, the worker, or all of them."""

import os
import signal

import pytest

from storage.records import Job, JobStatus
from tests.workbench.jobs.conftest import (
    StartApp,
    follow,
    kinds,
    runner,
    steps,
    wait_for_steps,
    wait_until,
    worker,
)
from tests.workbench.jobs.small_tasks import CountRecipe
from workbench.jobs import files
from workbench.jobs.processes import alive, pid_of, this_process
from workbench.jobs.runner import main as runner_main
from workbench.jobs.supervisor import Supervisor
from workbench.workspace import Workspace

# Real processes: each job starts two, which takes about a second.
pytestmark = pytest.mark.slow


def running(workspace: Workspace, start_app: StartApp, number: int) -> Job:
    """A job that an app runs and whose app was then killed."""
    app = start_app()
    job = workspace.jobs.submit(CountRecipe(steps=number, delay=0.05))
    job = wait_for_steps(workspace, job, 6)
    app.kill()
    app.wait()
    return workspace.jobs.get(job.id)


def end(ref: str | None) -> None:
    assert ref is not None
    os.kill(pid_of(ref), signal.SIGKILL)
    wait_until(lambda: not alive(ref), "the process is gone")


def test_a_killed_app_does_not_end_its_job_and_the_next_adopts_it(
    workspace: Workspace, start_app: StartApp
) -> None:
    job = running(workspace, start_app, 120)
    assert (
        alive(worker(workspace, job))
        and alive(runner(workspace, job))
        and not alive(job.supervisor)
    )
    start_app()
    job = follow(workspace, job)
    assert (job.status, job.attempt) == (JobStatus.SUCCEEDED, 1)
    assert steps(workspace, job) == list(range(1, 121))
    assert kinds(workspace, job) == ["submitted", "started", "adopted", "succeeded"]


def test_a_job_that_ends_while_no_app_runs_is_settled_by_the_next(
    workspace: Workspace, start_app: StartApp
) -> None:
    job = running(workspace, start_app, 60)
    wait_until(lambda: not alive(runner(workspace, job)), "the job's processes are gone")
    assert workspace.jobs.get(job.id).status is JobStatus.RUNNING
    assert workspace.jobs.recover() == []
    job = workspace.jobs.get(job.id)
    assert job.status is JobStatus.SUCCEEDED
    assert steps(workspace, job) == list(range(1, 61))


def test_ctrl_c_in_the_apps_terminal_does_not_reach_the_job(
    workspace: Workspace, start_app: StartApp
) -> None:
    app = start_app()
    # Longer than an app takes to stop on a busy machine.
    job = workspace.jobs.submit(CountRecipe(steps=200, delay=0.05))
    job = wait_for_steps(workspace, job, 1)
    assert os.getsid(pid_of(runner(workspace, job) or "")) != os.getsid(0)
    os.killpg(app.pid, signal.SIGINT)
    app.wait()
    job = Supervisor(workspace).run_until(job.id)
    assert job.status is JobStatus.SUCCEEDED
    assert "adopted" in kinds(workspace, job)


def test_a_worker_killed_from_outside_fails_with_the_signal(
    workspace: Workspace, start_app: StartApp
) -> None:
    start_app()
    job = workspace.jobs.submit(CountRecipe(steps=2000, delay=0.05))
    job = wait_for_steps(workspace, job, 1)
    end(worker(workspace, job))
    job = follow(workspace, job)
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert "SIGKILL" in job.error["message"]


def test_without_its_runner_a_job_still_ends_well(
    workspace: Workspace, start_app: StartApp
) -> None:
    start_app()
    job = workspace.jobs.submit(CountRecipe(steps=120, delay=0.05))
    job = wait_for_steps(workspace, job, 1)
    end(runner(workspace, job))
    job = follow(workspace, job)
    assert job.status is JobStatus.SUCCEEDED
    assert steps(workspace, job) == list(range(1, 121))


def test_dead_without_exit_json_is_interrupted_and_resumes_to_the_same_steps(
    workspace: Workspace, start_app: StartApp
) -> None:
    """As after a power cut: app, runner and worker are gone and nobody wrote down why."""
    job = running(workspace, start_app, 120)
    end(runner(workspace, job))
    end(worker(workspace, job))
    workspace.jobs.recover()
    job = workspace.jobs.get(job.id)
    assert job.status is JobStatus.INTERRUPTED
    assert job.error is not None
    assert "Resume" in job.error["hint"]
    workspace.jobs.resume(job.id)
    start_app()
    job = follow(workspace, job)
    assert (job.status, job.attempt) == (JobStatus.SUCCEEDED, 2)
    assert job.result is not None
    assert job.result["from"] >= 5
    assert steps(workspace, job) == list(range(1, 121))


def test_a_machine_that_shuts_down_interrupts(workspace: Workspace, start_app: StartApp) -> None:
    """It sends SIGTERM to everybody; the runner has time to say that it was asked to stop."""
    start_app()
    job = workspace.jobs.submit(CountRecipe(steps=2000, delay=0.05))
    job = wait_for_steps(workspace, job, 1)
    os.kill(pid_of(runner(workspace, job) or ""), signal.SIGTERM)
    job = follow(workspace, job)
    assert job.status is JobStatus.INTERRUPTED
    assert job.error is not None
    assert "stopped from outside" in job.error["message"]


def test_an_app_that_died_before_it_noted_the_runner_is_no_loss(
    workspace: Workspace, start_app: StartApp
) -> None:
    """The runner's own note in the job's folder says who it is."""
    job = running(workspace, start_app, 120)
    with workspace.store.database.write() as connection:
        connection.exec_driver_sql("UPDATE jobs SET handle='local:'")
    assert [one.id for one in workspace.jobs.recover()] == [job.id]
    job = Supervisor(workspace).run_until(job.id)
    assert job.status is JobStatus.SUCCEEDED


def test_no_second_worker_enters_a_folder_that_is_in_use(
    workspace: Workspace, start_app: StartApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = running(workspace, start_app, 2000)
    folder = workspace.jobs.folder(job.id)
    monkeypatch.chdir(folder)
    assert runner_main([job.id, "2"]) != 0
    error = files.read_json(folder / files.ERROR, 2)
    assert error is not None
    assert "still works in this job's folder" in error["error"]["message"]
    end(runner(workspace, job))
    assert alive(worker(workspace, job))
    assert runner_main([job.id, "2"]) != 0  # the worker alone holds it too
    end(worker(workspace, job))


def test_a_worker_whose_job_has_moved_on_leaves(workspace: Workspace, start_app: StartApp) -> None:
    job = running(workspace, start_app, 2000)
    workspace.store.queue.finish(job, JobStatus.INTERRUPTED)
    workspace.jobs.resume(job.id)
    claimed = workspace.store.queue.claim(lambda _: ["elsewhere"], this_process())
    assert claimed is not None
    assert claimed.attempt == 2
    wait_until(lambda: not alive(worker(workspace, job)), "the old worker has left")
    assert {row.attempt for row in workspace.jobs.metrics(job.id)} == {1}
    assert "This worker stops" in workspace.jobs.log_tail(job.id)
    wait_until(lambda: not alive(runner(workspace, job)), "its runner has left too")
    workspace.store.queue.finish(claimed, JobStatus.FAILED)
