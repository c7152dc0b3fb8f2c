"""What is half made or half removed when a process is killed, and who sweeps it."""

from pathlib import Path

import pytest

from storage.records import JobStatus
from tests.storage import make
from workbench import named_records
from workbench.jobs.files import JOB_VARIABLE
from workbench.models.registry import new_model
from workbench.workspace import Workspace

#: A process that is no more.
GONE = "999999999@1.0"


@pytest.fixture
def workspace(home: Path) -> Workspace:
    return Workspace.open(home)


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who notes something now is dead at once."""
    monkeypatch.setattr(named_records, "this_process", lambda: GONE)


def notes(workspace: Workspace) -> list[str]:
    return [path.name for path in (workspace.home / named_records.UNFINISHED).iterdir()]


@pytest.mark.parametrize("kind", ["models", "datasets", "indexes", "evaluations"])
def test_a_folder_without_a_record_goes_when_its_maker_is_gone(
    kind: str, workspace: Workspace, killed: None
) -> None:
    _, folder = getattr(workspace, kind).new_folder()
    (folder / "half").write_text("written")
    workspace.jobs.recover()
    assert not folder.exists()
    assert not notes(workspace)


def test_what_somebody_is_at_and_what_nobody_noted_stays(workspace: Workspace) -> None:
    _, mine = workspace.models.new_folder()
    other = workspace.home / "models" / "put here by a person"
    other.mkdir()
    workspace.jobs.recover()
    assert mine.is_dir() and other.is_dir()


def test_what_is_on_record_stays_and_only_its_note_goes(
    workspace: Workspace, killed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    id, folder = workspace.models.new_folder()
    # Killed between the record and the end of the note.
    workspace.store.models.insert(new_model(id, "whole", contract={}, summary={}))
    assert notes(workspace)
    workspace.jobs.recover()
    assert folder.is_dir() and not notes(workspace)


def test_a_job_that_runs_keeps_what_it_makes_wherever_its_process_is(
    workspace: Workspace, killed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make.job("0123456789", status=JobStatus.RUNNING)
    workspace.store.jobs.insert(job)
    monkeypatch.setenv(JOB_VARIABLE, job.id)
    _, folder = workspace.models.new_folder()
    named_records.sweep(workspace.store, workspace.home)
    assert folder.is_dir()
    workspace.store.queue.finish(job, JobStatus.FAILED)
    named_records.sweep(workspace.store, workspace.home)
    assert not folder.exists()


def test_a_removal_that_was_killed_is_brought_to_its_end(
    workspace: Workspace, killed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    id, folder = workspace.models.new_folder()
    workspace.models.add(new_model(id, "going", contract={}, summary={}))
    with monkeypatch.context() as patch:
        patch.setattr(named_records, "discard", lambda *_: None)
        workspace.models.remove("going")
    assert folder.is_dir()
    workspace.jobs.recover()
    assert not folder.exists()


@pytest.mark.parametrize(
    "note",
    [
        '{"path": "", "job": null, "process": "9999999@1.0"}',
        '{"path": "models", "job": null, "process": "9999999@1.0"}',
        '{"path": "models/../models", "job": null, "process": "9999999@1.0"}',
        '{"path": "/tmp/x", "job": null, "process": "9999999@1.0"}',
        '{"path": "models/mine"}',
        '{"path": "models/mine", "job": null, "process": "1234"}',
        '{"path": "models/mine", "job": null, "process": "a@b"}',
        '{"path": "models/mi',
        "[]",
    ],
)
def test_a_note_that_was_damaged_makes_nothing_go(note: str, workspace: Workspace) -> None:
    _, folder = workspace.models.new_folder()
    mine = folder.with_name("mine")
    mine.mkdir()
    (workspace.home / named_records.UNFINISHED / "odd.json").write_text(note)
    workspace.jobs.recover()
    assert mine.is_dir() and folder.is_dir() and workspace.home.is_dir()
