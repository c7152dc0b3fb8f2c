"""A workspace with small tasks, and stand-ins for the app that tests may kill."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.records import Job, JobStatus
from tests.workbench.jobs import small_tasks
from workbench.jobs import files, slots
from workbench.jobs.processes import alive, kill_group, pid_of
from workbench.jobs.slots import ROOT
from workbench.tasks import EXTRA_TASKS_VARIABLE
from workbench.workspace import Workspace

#: Generous: only a test that fails waits so long.
LIMIT = 300.0

StartApp = Callable[[], "subprocess.Popen[str]"]


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.03)


@pytest.fixture
def workspace(
    home: Path, monkeypatch: pytest.MonkeyPatch, cold_processes: None
) -> Iterator[Workspace]:
    monkeypatch.setenv(EXTRA_TASKS_VARIABLE, small_tasks.WHERE)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    slots.gpus.cache_clear()
    opened = Workspace.open(home)
    yield opened
    _end_processes(opened)
    opened.close()
    slots.gpus.cache_clear()


@pytest.fixture
def start_app(workspace: Workspace) -> Iterator[StartApp]:
    """Starts stand-ins for the app, each in a process group of its own; ends them afterwards."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        app = subprocess.Popen(
            [sys.executable, "-m", "tests.workbench.jobs.small_app", str(workspace.home)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        started.append(app)
        assert app.stdout is not None
        assert app.stdout.readline() == "ready\n"
        return app

    yield start
    for app in started:
        app.kill()
        app.communicate()


def follow(workspace: Workspace, job: Job) -> Job:
    """Wait until somebody else has brought the job to its end."""
    wait_until(lambda: workspace.jobs.get(job.id).status.finished, f"job {job.id} is finished")
    return workspace.jobs.get(job.id)


def steps(workspace: Workspace, job: Job) -> list[int]:
    return [row.step for row in workspace.jobs.metrics(job.id)]


def wait_for_steps(workspace: Workspace, job: Job, number: int) -> Job:
    """Wait until the job has reported so many steps, and its processes are on record."""
    wait_until(lambda: len(steps(workspace, job)) >= number, f"{number} steps are reported")
    wait_until(lambda: workspace.jobs.get(job.id).handle != "local:", "the handle is on record")
    return workspace.jobs.get(job.id)


def kinds(workspace: Workspace, job: Job) -> list[str]:
    return [event.kind for event in workspace.jobs.events(job.id)]


def runner(workspace: Workspace, job: Job) -> str | None:
    """The process of the job's runner, as it has noted itself."""
    return _noted(workspace, job, "runner")


def worker(workspace: Workspace, job: Job) -> str | None:
    """The process of the job's worker, as its runner has noted it."""
    return _noted(workspace, job, "worker")


def _noted(workspace: Workspace, job: Job, name: str) -> str | None:
    found = files.read_json(workspace.jobs.folder(job.id) / files.PROCESSES, job.attempt)
    return None if found is None else found[name]


def _end_processes(workspace: Workspace) -> None:
    """Whatever a failed test left running, by the processes' own records."""
    for job in workspace.jobs.list(JobStatus.RUNNING):
        for ref in (worker(workspace, job), runner(workspace, job)):
            if ref is not None and alive(ref):
                kill_group(pid_of(ref), signal.SIGKILL)
