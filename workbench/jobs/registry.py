"""The jobs of a workspace: submit, look at, cancel, resume, remove."""

import secrets
import shutil
import threading
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from storage.records import Job, JobEvent, JobStatus, MetricRow
from storage.store import Store
from workbench.errors import BadInput, InUse, JobNotFound
from workbench.jobs import files
from workbench.jobs.outcome import settle_if_dead
from workbench.jobs.processes import alive, this_process
from workbench.named_records import sweep
from workbench.recipes.base import Recipe
from workbench.references import ACTIVE, bound, in_words, is_about, jobs_using, removed
from workbench.tasks import Tasks, get_task, read_recipe

JobList = list[Job]
EventList = list[JobEvent]
MetricList = list[MetricRow]
#: A cancelled worker that no supervisor has ended is ended by its runner: only when the patience of
#: any supervisor (:class:`workbench.jobs.supervisor.Patience`) would be over.
RUNNERS_PATIENCE = {"flag": 90.0, "terminate": 20.0}


class Jobs:
    """Records only: what runs them is :class:`workbench.jobs.supervisor.Supervisor`."""

    def __init__(self, store: Store, home: Path, tasks: Tasks) -> None:
        self._store = store
        self._home = home
        #: What is to be done for each kind of job, with the workspace that it is done in.
        self.tasks = tasks
        self._rows = store.jobs
        self._queue = store.queue
        self._environments: dict[str, Mapping[str, str]] = {}
        #: Set when this process queued something; a supervisor in it need not wait for its poll.
        self.submitted = threading.Event()

    def submit(
        self,
        recipe: Recipe,
        *,
        name: str = "",
        after: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Job:
        """Check the recipe against the workspace and queue it, in milliseconds.

        ``after``: wait until that job has succeeded. Raises what the task's ``prepare`` raises for
        bad input; then nothing was written. ``environment``: variables for the job's process alone
        (a token), which are kept in this process's memory until it is started, and nowhere else.
        """
        before = self.get(after).id if after else None
        recipe = self.tasks.prepare(recipe, waits=before is not None)
        new = bound(_new_job(recipe, name, before), self._store)
        if environment:
            self._environments[new.id] = environment
            # Only this process can start it so: while it lives, no other one's supervisor does.
            new = replace(new, supervisor=this_process())
        job = self._rows.insert(new)
        files.write_recipe(self._home, job)
        self.submitted.set()
        return job

    def own_environment(self, id: str) -> Mapping[str, str]:
        """What :meth:`submit` was given for this job's process; only once."""
        return self._environments.pop(id, {})

    def get(self, id: str) -> Job:
        """The job with this id or unique beginning of one; raises :class:`JobNotFound`."""
        found = self._rows.get(id)
        if found is not None:
            return found
        starting = self._rows.by_prefix(id) if id else []
        if len(starting) > 1:
            raise JobNotFound(f"{len(starting)} jobs begin with '{id}'.", "Type more of the id.")
        if not starting:
            raise JobNotFound.among("job", id, [job.id for job in self.list()])
        return starting[0]

    def list(
        self,
        status: JobStatus | Collection[JobStatus] | None = None,
        task: str | None = None,
        limit: int | None = None,
    ) -> JobList:
        """Jobs, newest first."""
        return self._rows.list(status, task, limit)

    def about(self, dataset: str, task: str, status: JobStatus | None = None) -> JobList:
        """The task's jobs about the data set of that name, newest first."""
        found = self._store.datasets.by_name(dataset)
        rows = self._rows.list(status, task)
        return [job for job in rows if is_about(job, "dataset", dataset, found)]

    def active(self) -> JobList:
        """Jobs that run or wait, newest first."""
        return self._rows.list(ACTIVE)

    def changes(self, since: float) -> JobList:
        """Jobs whose status changed after that time (seconds since the epoch)."""
        return self._rows.changed_since(since)

    def events(self, id: str) -> EventList:
        """A job's history, oldest first."""
        return self._rows.events(self.get(id).id)

    def metrics(self, id: str, after: int = 0, limit: int | None = None) -> MetricList:
        """Rows whose id is greater than ``after``, in the order in which they came."""
        return self._store.metrics.after(id, after, limit)

    def metrics_of_kinds(self, kinds: Collection[str]) -> MetricList:
        """Rows of these kinds, of all jobs, in the order in which they came."""
        return self._store.metrics.of_kinds(kinds)

    def folder(self, id: str) -> Path:
        """jobs/<id>/ of a job's full id."""
        return files.folder_of(self._home, id)

    def log_tail(self, id: str, max_bytes: int = 20_000) -> str:
        """The end of what the job's worker printed."""
        return files.tail(self.folder(id) / files.LOG, max_bytes)

    def recipe(self, id: str, given: Collection[str] = ()) -> Recipe:
        """The recipe as it was submitted (names filled in), to be submitted again.

        Raises :class:`WasRemoved` where something that it names is gone, except in the fields
        ``given``, which are to have other values.
        """
        job = bound(self.get(id), self._store, given)
        return read_recipe(job.task, job.recipe)

    def removed(self, id: str) -> tuple[str, ...]:
        """The fields of the job's recipe that name what is gone."""
        return tuple(one.field for one in removed(self.get(id), self._store))

    def bound(self, job: Job) -> Job:
        """The job with its references as they are now, which are recorded; raises
        :class:`WasRemoved` where something that its recipe names is gone."""
        now = bound(job, self._store)
        if now == job:
            return now
        if not self._rows.rewrite(now, job):  # Something was renamed, or the job begun, just now.
            return self.bound(self.get(job.id))
        files.write_recipe(self._home, now)
        return now

    def cancel(self, id: str) -> Job:
        """Stop a job: at once if it waits, at its next step if it runs."""
        job = self.get(id)
        self._environments.pop(job.id, None)
        self._queue.request_cancel(job.id)
        self.submitted.set()
        job = self.get(job.id)
        if job.status is JobStatus.RUNNING:
            self._tell_runner(job)
        return job

    def _tell_runner(self, job: Job) -> None:
        """Whoever supervises may be gone, or go: the runner outlives them all."""
        # A folder that was removed from under a job has no runner that could read there.
        with suppress(OSError):
            content = {"attempt": job.attempt, **RUNNERS_PATIENCE}
            files.write_json(self.folder(job.id) / files.CANCEL, content)

    def resume(self, id: str) -> Job:
        """Queue a failed, cancelled or interrupted job again; it goes on from its files.

        Raises :class:`BadInput` for any other job, and where something that its recipe names is
        gone.
        """
        job = self.get(id)
        if job.status.resumable:
            self.bound(job)
        if not self._queue.requeue(job.id):
            raise BadInput(
                f"Job {job.id} is {job.status.value} and cannot be resumed.",
                "Only failed, cancelled and interrupted jobs can.",
            )
        job = self.get(job.id)
        files.write_recipe(self._home, job)  # in case its folder was lost
        self.submitted.set()
        return job

    def remove(self, id: str) -> None:
        """Delete a job's record, numbers, log and checkpoints. Models made by it stay.

        Raises :class:`InUse` while it runs, and while another job waits for it or reads its files.
        """
        job = self.get(id)
        waiting = self._rows.waiting_for(job.id)
        if waiting:
            raise InUse(f"Job {waiting[0].id} waits for this one.", "Cancel that one first.")
        if users := self.used_by(job.id):
            raise InUse(
                f"Job {job.id} is needed by {', '.join(users)}.",
                "Wait until the job is done, or cancel it.",
            )
        if not self._rows.delete(job.id):
            raise InUse(f"Job {job.id} is running.", "Cancel it first.")
        folder = self.folder(job.id)
        if folder.exists():
            shutil.rmtree(folder)

    def used_by(self, id: str) -> tuple[str, ...]:
        """The jobs that run or wait with what this one wrote, in words."""
        using = jobs_using(self._store, "job", (), {self.get(id).id})
        return tuple(map(in_words, using))

    def bytes(self, job: Job) -> int:
        """What the job's folder takes on disk: as recorded when it ended, else as it is now."""
        if job.bytes is not None:
            return job.bytes
        folder = self.folder(job.id)
        found = files.folder_bytes(folder)
        # Jobs of an earlier day, and those that were cancelled while they waited, have none on
        # record; a folder that is not there may be so because its disk is not.
        if job.status.finished and folder.is_dir():
            self._rows.set_bytes(job, found)
        return found

    def recover(self) -> JobList:
        """Settle running jobs that lost their supervisor and whose processes are gone.

        Jobs that waited for one that failed are cancelled. Returns the jobs that still run without
        a supervisor: the next one adopts them. What killed processes left half made or half removed
        goes.
        """
        self._queue.cancel_orphans()
        lost = [job for job in self.list(JobStatus.RUNNING) if not alive(job.supervisor)]
        running = [
            job
            for job in lost
            if not settle_if_dead(self._store, self.tasks, self.folder(job.id), job)
        ]
        sweep(self._store, self._home)
        return running


def _new_job(recipe: Recipe, name: str, after: str | None) -> Job:
    task = get_task(recipe.task)
    return Job(
        id=secrets.token_hex(5),
        task=recipe.task,
        name=name or str(getattr(recipe, "name", "")) or recipe.task,
        recipe=recipe.model_dump(mode="json"),
        status=JobStatus.QUEUED,
        slot_kind=task.slot_kind,
        slot=None,
        after=after,
        attempt=0,
        cancel_requested_at=None,
        supervisor=None,
        handle=None,
        heartbeat_at=None,
        progress={},
        result=None,
        error=None,
        created_at=time.time(),
        started_at=None,
        finished_at=None,
    )
