"""What models and jobs take on disk: measured once, kept on record, not measured at each look."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from storage.records import JobStatus
from tests.storage import make
from tests.storage.test_migrate import OLDEST
from ui.services import Services
from ui.tabs import jobs as jobs_tab
from ui.tabs.models import details
from workbench.jobs.outcome import settle_if_dead
from workbench.models.registry import new_model
from workbench.workspace import Workspace


@pytest.fixture
def workspace(home: Path) -> Iterator[Workspace]:
    opened = Workspace.open(home)
    yield opened
    opened.close()


def grow(folder: Path, size: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights.bin").write_bytes(b"0" * size)


def ended(workspace: Workspace, id: str, size: int) -> None:
    """A job whose processes are gone is settled, with that much in its folder."""
    workspace.store.jobs.insert(make.job(id))
    started = workspace.store.queue.claim(lambda job: [job.id], make.SUPERVISOR, [id])
    assert started is not None
    grow(workspace.jobs.folder(id), size)
    jobs = workspace.jobs
    gone = replace(started, started_at=0.0)
    assert settle_if_dead(workspace.store, jobs.tasks, jobs.folder(id), gone)


def test_a_job_that_ends_has_its_size_on_record(workspace: Workspace) -> None:
    ended(workspace, "j1", 5_000)
    grow(workspace.jobs.folder("j1"), 7_000_000)
    assert workspace.jobs.get("j1").bytes == 5_000
    assert workspace.jobs.bytes(workspace.jobs.get("j1")) == 5_000
    html = jobs_tab.list_html(Services(workspace), "", "")
    assert "5.0 kB" in html and "7.0 MB" not in html


def test_a_resumed_job_is_measured_when_it_ends_again(workspace: Workspace) -> None:
    ended(workspace, "j1", 5_000)
    workspace.store.queue.requeue("j1")
    assert workspace.jobs.get("j1").bytes is None
    grow(workspace.jobs.folder("j1"), 6_000)
    waiting = workspace.jobs.get("j1")
    assert workspace.jobs.bytes(waiting) == 6_000
    assert workspace.jobs.get("j1").bytes is None  # It may still grow.
    # One that was cancelled while it waited is measured at the first look.
    workspace.store.queue.request_cancel("j1")
    stopped = workspace.jobs.get("j1")
    assert (stopped.status, stopped.bytes) == (JobStatus.CANCELLED, None)
    assert workspace.jobs.bytes(stopped) == workspace.jobs.get("j1").bytes == 6_000


def test_a_look_that_is_late_says_nothing_of_the_next_attempt(workspace: Workspace) -> None:
    ended(workspace, "j1", 5_000)
    before = replace(workspace.jobs.get("j1"), bytes=None)
    workspace.store.queue.requeue("j1")
    workspace.jobs.bytes(before)
    assert workspace.jobs.get("j1").bytes is None


def test_a_model_has_its_size_on_record_and_a_changed_one_its_new_size(
    workspace: Workspace,
) -> None:
    id, folder = workspace.models.new_folder()
    grow(folder, 5_000)
    model = workspace.models.add(new_model(id, "one", contract={}, summary={}))
    grow(folder, 7_000_000)
    assert "5.0 kB" in details.list_html(Services(workspace), "")
    changed = workspace.models.update(replace(model, summary={"a": 1}))
    assert changed.bytes == 7_000_000 and workspace.models.get("one") == changed
    assert "7.0 MB" in details.list_html(Services(workspace), "")


def test_a_home_of_before_is_measured_once(home: Path) -> None:
    home.mkdir()
    with closing(sqlite3.connect(home / "workbench.db")) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(OLDEST.read_text(encoding="utf-8"))
    workspace = Workspace.open(home)
    services = Services(workspace)
    model = workspace.models.get("first model")
    job = workspace.jobs.get("j1")
    workspace.store.queue.finish(job, JobStatus.FAILED)  # As the program of that day did.
    assert model.bytes is None and workspace.jobs.get("j1").bytes is None
    # Where the folders are not to be seen, nothing is known of them, and nothing kept.
    assert "0 bytes" in details.list_html(services, "")
    assert "0 bytes" in jobs_tab.list_html(services, "", "")
    for folder in (workspace.models.folder("first model"), workspace.jobs.folder("j1")):
        grow(folder, 5_000)
    before = workspace.store.state()
    assert "5.0 kB" in details.list_html(services, "")
    assert "5.0 kB" in jobs_tab.list_html(services, "", "")
    assert workspace.models.get("first model").bytes == workspace.jobs.get("j1").bytes == 5_000
    assert workspace.store.state() == before  # No page has to look because of it.
    for folder in (workspace.models.folder("first model"), workspace.jobs.folder("j1")):
        grow(folder, 7_000_000)
    assert "5.0 kB" in details.list_html(services, "")
    assert "5.0 kB" in jobs_tab.list_html(services, "", "")
    workspace.close()
