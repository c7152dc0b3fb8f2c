"""Moves from one status to the next: each happens once, from where it may."""

import threading
from collections.abc import Sequence

from storage.records import Job, JobStatus
from storage.store import Store
from tests.storage import make


def one_slot(_job: Job) -> Sequence[str]:
    return ["slot"]


def claimed(store: Store, id: str = "job") -> Job:
    job = store.queue.claim(lambda job: [f"slot-{job.id}"], make.SUPERVISOR)
    assert job is not None
    assert job.id == id
    return job


def test_the_oldest_job_goes_first_and_a_slot_holds_one(store: Store) -> None:
    store.jobs.insert(make.job("second", created_at=2.0))
    store.jobs.insert(make.job("first", created_at=1.0))
    job = store.queue.claim(one_slot, make.SUPERVISOR)
    assert job is not None
    assert (job.id, job.status, job.slot) == ("first", JobStatus.RUNNING, "slot")
    assert (job.attempt, job.supervisor) == (1, make.SUPERVISOR)
    assert store.queue.claim(one_slot, make.SUPERVISOR) is None
    store.queue.finish(job, JobStatus.SUCCEEDED, result={})
    following = store.queue.claim(one_slot, make.SUPERVISOR)
    assert following is not None
    assert following.id == "second"


def test_a_job_without_a_slot_does_not_hold_up_others(store: Store) -> None:
    store.jobs.insert(make.job("big", created_at=1.0))
    store.jobs.insert(make.job("small", created_at=2.0))
    slots = {"big": [], "small": ["light"]}
    job = store.queue.claim(lambda job: slots[job.id], make.SUPERVISOR)
    assert job is not None
    assert job.id == "small"


def test_only_the_wanted_jobs_are_claimed(store: Store) -> None:
    store.jobs.insert(make.job("first", created_at=1.0))
    store.jobs.insert(make.job("mine", created_at=2.0))
    job = store.queue.claim(one_slot, make.SUPERVISOR, only={"mine"})
    assert job is not None
    assert job.id == "mine"


def test_many_claimers_get_each_job_once(store: Store) -> None:
    for number in range(12):
        store.jobs.insert(make.job(f"j{number:02}", created_at=float(number)))
    got: list[str] = []

    def work(pid: int) -> None:
        while job := store.queue.claim(lambda job: [job.id], f"{pid}@1.0"):
            got.append(job.id)

    threads = [threading.Thread(target=work, args=(pid,)) for pid in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [f"j{number:02}" for number in range(12)]
    assert {job.attempt for job in store.jobs.list()} == {1}


def test_a_job_waits_until_its_predecessor_has_succeeded(store: Store) -> None:
    store.jobs.insert(make.job("before"))
    store.jobs.insert(make.job("then", after="before", created_at=0.5))
    before = claimed(store, "before")
    assert store.queue.claim(lambda _: ["free"], make.SUPERVISOR) is None
    store.queue.finish(before, JobStatus.INTERRUPTED)
    assert store.queue.claim(lambda _: ["free"], make.SUPERVISOR) is None
    assert store.queue.cancel_orphans() == []
    store.queue.requeue("before")
    store.queue.finish(claimed(store, "before"), JobStatus.SUCCEEDED, result={})
    claimed(store, "then")


def test_followers_of_a_failure_are_cancelled_down_the_chain(store: Store) -> None:
    store.jobs.insert(make.job("a"))
    store.jobs.insert(make.job("b", after="a"))
    store.jobs.insert(make.job("c", after="b"))
    store.queue.finish(claimed(store, "a"), JobStatus.FAILED, error={"message": "No."})
    assert store.queue.cancel_orphans() == ["b", "c"]
    assert store.queue.cancel_orphans() == []
    assert "job a, which failed" in store.jobs.events("b")[-1].detail
    assert "job b, which was cancelled" in store.jobs.events("c")[-1].detail


def test_a_follower_of_a_removed_job_is_cancelled(store: Store) -> None:
    store.jobs.insert(make.job("b", after="a"))
    assert store.queue.cancel_orphans() == ["b"]
    assert "is gone" in store.jobs.events("b")[-1].detail


def test_a_job_ends_once(store: Store) -> None:
    store.jobs.insert(make.job())
    job = claimed(store)
    assert store.queue.finish(job, JobStatus.SUCCEEDED, result={"a": 1})
    assert not store.queue.finish(job, JobStatus.FAILED, error={"message": "No."})
    found = store.jobs.get("job")
    assert found is not None
    assert (found.status, found.result, found.error) == (JobStatus.SUCCEEDED, {"a": 1}, None)


def test_an_old_attempt_cannot_end_a_new_one(store: Store) -> None:
    store.jobs.insert(make.job())
    old = claimed(store)
    store.queue.finish(old, JobStatus.INTERRUPTED)
    store.queue.requeue("job")
    assert claimed(store).attempt == 2
    assert not store.queue.finish(old, JobStatus.FAILED)


def test_one_of_two_adopters_wins(store: Store) -> None:
    store.jobs.insert(make.job())
    job = claimed(store)
    assert store.queue.adopt(job, make.OTHER)
    assert not store.queue.adopt(job, "12@3.5")
    found = store.jobs.get("job")
    assert found is not None
    assert found.supervisor == make.OTHER


def test_only_the_own_attempt_is_let_go(store: Store) -> None:
    store.jobs.insert(make.job())
    claimed(store)
    store.queue.release("job", 1, make.OTHER)
    store.queue.release("job", 0, make.SUPERVISOR)
    found = store.jobs.get("job")
    assert found is not None
    assert found.supervisor == make.SUPERVISOR
    store.queue.release("job", 1, make.SUPERVISOR)
    found = store.jobs.get("job")
    assert found is not None
    assert found.supervisor is None
    assert store.queue.adopt(found, make.OTHER)


def test_cancel_depends_on_where_the_job_stands(store: Store) -> None:
    for id in ("waits", "runs", "done"):
        store.jobs.insert(make.job(id))
    slots = {"runs": ["a"], "done": ["b"], "waits": []}
    for _ in range(2):
        assert store.queue.claim(lambda job: slots[job.id], make.SUPERVISOR) is not None
    done = store.jobs.get("done")
    assert done is not None
    store.queue.finish(done, JobStatus.SUCCEEDED, result={})
    for id in slots:
        store.queue.request_cancel(id)
    found = {job.id: job for job in store.jobs.list()}
    assert found["waits"].status is JobStatus.CANCELLED
    assert found["runs"].status is JobStatus.RUNNING
    assert found["runs"].cancel_requested_at is not None
    assert found["done"].status is JobStatus.SUCCEEDED


def test_a_resumed_job_starts_with_a_clean_record(store: Store) -> None:
    store.jobs.insert(make.job())
    job = claimed(store)
    store.queue.request_cancel("job")
    store.queue.finish(job, JobStatus.FAILED, error={"message": "No."})
    assert store.queue.requeue("job")
    found = store.jobs.get("job")
    assert found is not None
    assert (found.status, found.error, found.cancel_requested_at) == (JobStatus.QUEUED, None, None)
    assert found.finished_at is None
    assert not store.queue.requeue("job")


def test_a_job_on_several_devices_takes_them_all(store: Store) -> None:
    store.jobs.insert(make.job("pair", created_at=1.0))
    store.jobs.insert(make.job("single", created_at=2.0))
    slots = {"pair": ["a,b"], "single": ["a", "b", "c"]}
    pair = store.queue.claim(lambda job: slots[job.id], make.SUPERVISOR)
    single = store.queue.claim(lambda job: slots[job.id], make.SUPERVISOR)
    assert pair is not None and single is not None
    assert (pair.slot, single.slot) == ("a,b", "c")


def test_what_a_job_on_several_devices_waits_for_is_kept_for_it(store: Store) -> None:
    store.jobs.insert(make.job("first", created_at=1.0))
    slots = {"first": ["a"], "pair": ["a,b"], "later": ["a", "b"]}
    assert store.queue.claim(lambda job: slots[job.id], make.SUPERVISOR) is not None
    store.jobs.insert(make.job("pair", created_at=2.0))
    store.jobs.insert(make.job("later", created_at=3.0))
    assert store.queue.claim(lambda job: slots[job.id], make.SUPERVISOR) is None
    store.queue.finish(store.jobs.list(JobStatus.RUNNING)[0], JobStatus.SUCCEEDED, result={})
    taken = store.queue.claim(lambda job: slots[job.id], make.SUPERVISOR)
    assert taken is not None
    assert taken.id == "pair"


def test_a_resumed_job_is_anybodys(store: Store) -> None:
    """Who supervised it before may live on without taking up jobs."""
    store.jobs.insert(make.job("job1"))
    job = store.queue.claim(one_slot, make.SUPERVISOR)
    assert job is not None and job.supervisor == make.SUPERVISOR
    store.queue.finish(job, JobStatus.FAILED)
    assert store.queue.requeue("job1")
    again = store.jobs.get("job1")
    assert again is not None and again.supervisor is None
