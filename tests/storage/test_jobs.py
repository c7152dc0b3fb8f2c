"""Job records: prefixes, lists, reports, events, metric rows and their attempts."""

from dataclasses import replace

import pytest

from storage.errors import StaleAttempt
from storage.records import JobStatus
from storage.store import Store
from tests.storage import make

ROW = {"step": 1, "kind": "train", "at": 1.0, "numbers": {"loss": 0.5}}


def start(store: Store, id: str = "job") -> None:
    store.jobs.insert(make.job(id))
    assert store.queue.claim(lambda job: [f"slot-{job.id}"], make.SUPERVISOR) is not None


def test_a_job_comes_back_as_it_was_written(store: Store) -> None:
    written = make.job(supervisor=make.SUPERVISOR, handle="local:3@4.25", progress={"done": 1})
    store.jobs.insert(written)
    assert store.jobs.get("job") == written
    assert store.jobs.get("no") is None


def test_prefixes_are_taken_literally(store: Store) -> None:
    for id in ("abc1", "abc2", "abd"):
        store.jobs.insert(make.job(id))
    assert {job.id for job in store.jobs.by_prefix("abc")} == {"abc1", "abc2"}
    assert store.jobs.by_prefix("a%") == []


def test_lists_by_status_task_and_number(store: Store) -> None:
    for number, task in enumerate(["count", "other", "count"]):
        store.jobs.insert(make.job(f"j{number}", task=task, created_at=float(number)))
    store.queue.request_cancel("j2")
    assert [job.id for job in store.jobs.list()] == ["j2", "j1", "j0"]
    assert [job.id for job in store.jobs.list(task="count")] == ["j2", "j0"]
    assert [job.id for job in store.jobs.list(JobStatus.QUEUED, limit=1)] == ["j1"]
    both = store.jobs.list([JobStatus.QUEUED, JobStatus.CANCELLED])
    assert len(both) == 3


def test_changes_are_changes_of_status(store: Store) -> None:
    store.jobs.insert(make.job("a"))
    store.jobs.insert(make.job("b"))
    assert store.jobs.changed_since(2.0) == []
    store.queue.request_cancel("b")
    assert [job.id for job in store.jobs.changed_since(2.0)] == ["b"]


def test_a_worker_reports_and_an_older_one_is_refused(store: Store) -> None:
    start(store)
    store.jobs.report("job", 1, progress={"done": 2})
    job = store.jobs.get("job")
    assert job is not None
    assert job.progress == {"done": 2}
    assert job.heartbeat_at is not None
    with pytest.raises(StaleAttempt):
        store.jobs.report("job", 0)
    with pytest.raises(StaleAttempt):
        store.jobs.report("gone", 1)


def test_a_job_is_rewritten_only_as_it_was_read(store: Store) -> None:
    written = store.jobs.insert(make.job(result={"loss": float("nan")}))
    first, second = (replace(written, recipe={"steps": steps}) for steps in (4, 5))
    assert store.jobs.rewrite(first, written)
    assert not store.jobs.rewrite(second, written), "another had rewritten it"
    read = store.jobs.get("job")
    assert read is not None and read.recipe == {"steps": 4}
    assert store.jobs.rewrite(second, read)
    read = store.jobs.get("job")
    assert read is not None and read.recipe == {"steps": 5}
    assert store.queue.claim(lambda job: ["slot"], make.SUPERVISOR) is not None
    assert not store.jobs.rewrite(first, read), "it had begun"
    assert not store.jobs.rewrite(make.job("gone"), make.job("gone"))


def test_rows_of_an_older_attempt_are_refused(store: Store) -> None:
    start(store)
    store.metrics.append("job", 1, [ROW])
    job = store.jobs.get("job")
    assert job is not None
    store.queue.finish(job, JobStatus.INTERRUPTED)
    store.queue.requeue("job")
    assert store.queue.claim(lambda _: ["slot"], make.OTHER) is not None
    with pytest.raises(StaleAttempt):
        store.metrics.append("job", 1, [ROW])
    with pytest.raises(StaleAttempt):
        store.metrics.delete_after("job", 1, 0)
    store.metrics.append("job", 2, [ROW])
    assert [row.attempt for row in store.metrics.after("job")] == [1, 2]


def test_rows_of_a_finished_job_are_refused(store: Store) -> None:
    start(store)
    job = store.jobs.get("job")
    assert job is not None
    store.queue.finish(job, JobStatus.FAILED)
    with pytest.raises(StaleAttempt):
        store.metrics.append("job", 1, [ROW])


def test_ids_of_rows_only_grow_even_after_some_are_taken_back(store: Store) -> None:
    start(store)
    store.metrics.append("job", 1, [{**ROW, "step": step} for step in range(1, 6)])
    last = store.metrics.after("job")[-1].id
    assert store.metrics.delete_after("job", 1, 3) == 2
    store.metrics.append("job", 1, [{**ROW, "step": 4}])
    assert [row.step for row in store.metrics.after("job", last)] == [4]
    assert [row.step for row in store.metrics.after("job", limit=2)] == [1, 2]
    assert store.metrics.count("job") == 4


def test_a_job_goes_with_its_rows_unless_it_runs(store: Store) -> None:
    start(store)
    store.metrics.append("job", 1, [ROW])
    assert not store.jobs.delete("job")
    job = store.jobs.get("job")
    assert job is not None
    store.queue.finish(job, JobStatus.SUCCEEDED, result={})
    assert store.jobs.delete("job")
    assert store.metrics.count("job") == 0
    assert store.jobs.events("job") == []


def test_events_tell_the_story(store: Store) -> None:
    start(store)
    store.queue.request_cancel("job")
    job = store.jobs.get("job")
    assert job is not None
    store.queue.finish(job, JobStatus.CANCELLED)
    kinds = [event.kind for event in store.jobs.events("job")]
    assert kinds == ["submitted", "started", "cancel-requested", "cancelled"]
