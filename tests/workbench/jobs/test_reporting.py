"""A worker's line to the record."""

import math
import time

import pytest
from sqlalchemy.exc import OperationalError

from storage.errors import StaleAttempt
from storage.records import JobStatus
from tests.workbench.jobs.conftest import wait_until
from tests.workbench.jobs.small_tasks import CountRecipe
from workbench.errors import JobCancelled
from workbench.jobs.processes import this_process
from workbench.jobs.reporting import Reporter
from workbench.workspace import Workspace


class Left(Exception):
    pass


def leave(error: StaleAttempt) -> None:
    raise Left(str(error))


@pytest.fixture
def reporter(workspace: Workspace) -> Reporter:
    workspace.jobs.submit(CountRecipe())
    job = workspace.store.queue.claim(lambda _: ["slot"], this_process())
    assert job is not None
    return Reporter(workspace, job, on_stale=leave)


def test_rows_are_written_in_batches_and_all_of_them(reporter: Reporter) -> None:
    jobs, id = reporter.workspace.jobs, reporter.job.id
    reporter.start()
    for step in range(500):
        reporter.metrics(step, "train", {"loss": 1.0})
    wait_until(lambda: len(jobs.metrics(id)) > 0, "a batch is written")
    reporter.metrics(500, "dev", {"map@100": 0.5})
    reporter.close()
    rows = jobs.metrics(id)
    assert [row.step for row in rows] == list(range(501))
    assert (rows[-1].kind, rows[-1].values) == ("dev", {"map@100": 0.5})


def test_the_worker_reports_that_it_lives_and_progress(reporter: Reporter) -> None:
    reporter.start()
    reporter.progress(3, 10, "steps", "Working")
    reporter.close()
    job = reporter.workspace.jobs.get(reporter.job.id)
    assert job.heartbeat_at is not None and job.heartbeat_at <= time.time()
    assert (job.progress["done"], job.progress["total"]) == (3, 10)


def test_numbers_that_are_not_finite_are_left_out_and_noted_once(reporter: Reporter) -> None:
    for step in (1, 2):
        reporter.metrics(step, "train", {"loss": math.nan, "learning_rate": 0.1})
    reporter.metrics(3, "train", {"loss": math.inf})
    reporter.flush()
    rows = reporter.workspace.jobs.metrics(reporter.job.id)
    assert [row.values for row in rows] == [{"learning_rate": 0.1}] * 2
    notes = [e for e in reporter.workspace.jobs.events(reporter.job.id) if e.kind == "note"]
    assert len(notes) == 1
    assert "step 1 'loss'" in notes[0].detail


def test_the_flag_is_seen(reporter: Reporter) -> None:
    reporter.start()
    reporter.check_cancelled()
    reporter.workspace.jobs.cancel(reporter.job.id)
    wait_until(lambda: reporter.cancelled, "the flag is seen")
    with pytest.raises(JobCancelled):
        reporter.check_cancelled()
    reporter.close()


def test_steps_beyond_a_checkpoint_are_taken_back(reporter: Reporter) -> None:
    for step in range(1, 8):
        reporter.metrics(step, "train", {"loss": 1.0})
    reporter.forget_metrics_after(5)
    reporter.metrics(6, "train", {"loss": 0.5})
    reporter.flush()
    rows = reporter.workspace.jobs.metrics(reporter.job.id)
    assert [(row.step, row.values["loss"]) for row in rows][-2:] == [(5, 1.0), (6, 0.5)]
    assert "beyond step 5" in reporter.workspace.jobs.events(reporter.job.id)[-1].detail


def test_a_later_attempt_ends_this_one(reporter: Reporter) -> None:
    queue = reporter.workspace.store.queue
    queue.finish(reporter.job, JobStatus.INTERRUPTED)
    reporter.metrics(1, "train", {"loss": 1.0})
    with pytest.raises(Left):
        reporter.flush()
    with pytest.raises(Left):
        reporter.forget_metrics_after(0)
    assert reporter.workspace.jobs.metrics(reporter.job.id) == []


def test_rows_that_could_not_be_written_are_kept_in_order(
    reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = type(reporter.workspace.store.metrics)

    def locked(*_: object) -> None:
        raise OperationalError("INSERT", {}, Exception("disk is full"))

    reporter.metrics(1, "train", {"loss": 1.0})
    with monkeypatch.context() as patch:
        patch.setattr(store, "append", locked)
        with pytest.raises(OperationalError):
            reporter.flush()
    reporter.metrics(2, "train", {"loss": 0.5})
    reporter.flush()
    rows = reporter.workspace.jobs.metrics(reporter.job.id)
    assert [row.step for row in rows] == [1, 2]


def test_the_first_attempt_resumes_nothing(reporter: Reporter) -> None:
    assert not reporter.resuming
    queue = reporter.workspace.store.queue
    queue.finish(reporter.job, JobStatus.FAILED)
    queue.requeue(reporter.job.id)
    again = queue.claim(lambda _: ["slot"], this_process())
    assert again is not None
    assert Reporter(reporter.workspace, again).resuming
