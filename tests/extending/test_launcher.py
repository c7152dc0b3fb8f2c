"""A launcher added from outside, in one file: jobs run there, are found alive, and are stopped."""

from pathlib import Path

import pytest

from storage.records import JobStatus
from tests.extending.outside import Run
from tests.storage import make
from tests.workbench.jobs import small_tasks
from tests.workbench.jobs.conftest import wait_until
from workbench.errors import BadInput
from workbench.jobs import files
from workbench.jobs.launchers import LAUNCHER_VARIABLE, open_handle
from workbench.jobs.supervisor import Supervisor
from workbench.tasks import EXTRA_TASKS_VARIABLE
from workbench.workspace import Workspace

START = """
import sys
from tests.workbench.jobs.conftest import wait_for_steps
from tests.workbench.jobs.small_tasks import CountRecipe
from workbench.jobs.supervisor import Supervisor
from workbench.workspace import Workspace

workspace = Workspace.open({home!r})
job = workspace.jobs.submit(CountRecipe(steps=20_000, delay=0.05, idle=True))
supervisor = Supervisor(workspace)
supervisor.start()
wait_for_steps(workspace, job, 1)
supervisor.stop()
print(job.id)
"""
#: Another process, which takes up what it finds alive.
STOP = """
from workbench.jobs.supervisor import Patience, Supervisor
from workbench.workspace import Workspace

workspace = Workspace.open({home!r})
print([job.id for job in workspace.jobs.recover()])
supervisor = Supervisor(workspace, patience=Patience(flag=0.2, terminate=600))
print(supervisor.run_until({id!r}).status.value)
"""


@pytest.fixture
def niced(extended: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv(LAUNCHER_VARIABLE, "niced")
    monkeypatch.setenv(EXTRA_TASKS_VARIABLE, small_tasks.WHERE)
    return extended


@pytest.mark.slow  # Real processes, started as a person's are.
def test_a_job_runs_there(niced: Run, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"query": "a word", "pos": ["a word is here"], "split": "test"}\n')
    niced("niced", "data", "add", str(file), "--name", "words")
    workspace = Workspace.open(niced.home)
    (job,) = workspace.jobs.list()
    assert job.status is JobStatus.SUCCEEDED
    assert job.handle is not None and job.handle.startswith("niced:shell-")
    assert workspace.datasets.get("words").summary["queries"] == 1
    workspace.close()


@pytest.mark.slow  # Real processes, started as a person's are.
def test_another_process_finds_the_job_alive_and_stops_it(niced: Run) -> None:
    home = str(niced.home)
    id = niced.python("niced", START.format(home=home)).strip()
    (listed,) = niced("niced", "jobs", "list", "--json").document
    assert (listed["job"], listed["status"]) == (id, "running")
    niced("niced", "jobs", "cancel", id)
    said = niced.python("niced", STOP.format(home=home, id=id)).splitlines()
    assert said == [str([id]), "cancelled"]
    workspace = Workspace.open(niced.home)
    sent = [event.detail for event in workspace.jobs.events(id) if event.kind == "signal"]
    assert sent == ["SIGTERM to the worker"]
    job = workspace.jobs.get(id)
    handle = open_handle(job.handle, workspace.jobs.folder(id), job.attempt)
    wait_until(lambda: not handle.alive(), "its processes are gone")
    workspace.close()


def test_a_job_of_a_launcher_that_is_not_known_is_left_alone(home: Path) -> None:
    workspace = Workspace.open(home)
    (home / "jobs" / "job").mkdir()
    workspace.store.jobs.insert(make.job())
    workspace.store.queue.claim(lambda _: ["heavy"], make.SUPERVISOR, handle="elsewhere:7")
    assert [job.id for job in workspace.jobs.recover()] == ["job"]
    files.write_json(home / "jobs" / "job" / files.EXIT, {"attempt": 1, "stopped": True})
    assert workspace.jobs.recover() == []
    assert workspace.jobs.get("job").status is JobStatus.INTERRUPTED
    workspace.close()


def test_a_name_that_is_not_known_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LAUNCHER_VARIABLE, "nicer")
    workspace = Workspace.open(home)
    with pytest.raises(BadInput, match="no launcher called 'nicer'"):
        Supervisor(workspace)
    workspace.close()
