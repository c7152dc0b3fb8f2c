"""The supervisor: takes jobs from the queue as slots come free, and watches over them.

App and command line may each have one on the same home. Whoever claims a job, or adopts it from a
supervisor that is gone, watches it; the store sees to it that this is only ever one of them.
"""

import logging
import threading
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from storage.records import Job, JobStatus
from workbench.errors import WorkerCrashed
from workbench.jobs.launchers import Launcher, LocalLauncher
from workbench.jobs.processes import alive, this_process
from workbench.jobs.slots import gpus, slots_for
from workbench.jobs.watch import Patience, Watch

if TYPE_CHECKING:
    from workbench.workspace import Workspace

POLL_SECONDS = 0.3
RETRY_SECONDS = 2.0

logger = logging.getLogger(__name__)


class Supervisor:
    """``start`` and ``stop`` for the app, ``run_until`` for the command line."""

    def __init__(
        self,
        workspace: "Workspace",
        *,
        launcher: Launcher | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._workspace = workspace
        self._launcher = launcher or LocalLauncher()
        self._patience = patience or Patience()
        self._me = this_process()
        self._stopping = threading.Event()
        self._watches: dict[str, threading.Thread] = {}
        self._lock = threading.Lock()
        self._dispatcher: threading.Thread | None = None

    def start(self) -> None:
        """Claim and watch jobs in background threads until ``stop``."""
        self._stopping.clear()
        self._dispatcher = threading.Thread(target=self._dispatch, daemon=True, name="supervisor")
        self._dispatcher.start()

    def stop(self) -> None:
        """Let go of all jobs. Those that run go on running; the next supervisor adopts them."""
        self._stopping.set()
        self._workspace.jobs.submitted.set()
        if self._dispatcher is not None:
            self._dispatcher.join()
            self._dispatcher = None
        for thread in self._threads():
            thread.join()

    def running(self) -> list[Job]:
        """The jobs this supervisor watches now."""
        found = [self._workspace.store.jobs.get(id) for id in self._watched()]
        return [job for job in found if job is not None and job.status is JobStatus.RUNNING]

    def run_until(self, job_id: str, on_progress: Callable[[Job], None] = lambda _: None) -> Job:
        """Run this job and those it waits for, unless others do; return it when it is finished.

        Also returns when it can never start: a job that it waits for was interrupted, and nobody
        has resumed that yet. ``on_progress`` is called whenever the job's record has changed.
        """
        job = self._workspace.jobs.get(job_id)
        self._stopping.clear()
        try:
            return self._follow(job, self._chain(job), on_progress)
        finally:
            if self._dispatcher is None:
                self.stop()

    def _follow(self, job: Job, chain: list[str], on_progress: Callable[[Job], None]) -> Job:
        shown: Job | None = None
        while True:
            self._step(chain)
            job = self._workspace.jobs.get(job.id)
            if job != shown:
                on_progress(job)
                shown = job
            if job.status.finished or self._stuck(job, chain):
                return job
            self._pause()

    def _chain(self, job: Job) -> list[str]:
        """The job and those before it."""
        ids = [job.id]
        while job.after is not None and job.after not in ids:
            ids.append(job.after)
            before = self._workspace.store.jobs.get(job.after)
            if before is None:
                break
            job = before
        return ids

    def _stuck(self, job: Job, chain: list[str]) -> bool:
        if job.status is not JobStatus.QUEUED:
            return False
        before = [self._workspace.store.jobs.get(id) for id in chain[1:]]
        return any(one is not None and one.status is JobStatus.INTERRUPTED for one in before)

    def _dispatch(self) -> None:
        while not self._stopping.is_set():
            try:
                self._step()
                self._pause()
            except SQLAlchemyError as error:
                logger.warning("The job records cannot be reached: %s", error)
                self._stopping.wait(RETRY_SECONDS)

    def _pause(self) -> None:
        submitted = self._workspace.jobs.submitted
        submitted.wait(POLL_SECONDS)
        submitted.clear()

    def _step(self, only: Collection[str] | None = None) -> None:
        """Adopt what lost its supervisor, then start what has a free slot."""
        self._adopt_lost(only)
        self._workspace.store.queue.cancel_orphans()
        gpus()  # the first look takes a moment: not inside the claiming transaction
        while not self._stopping.is_set():
            job = self._workspace.store.queue.claim(slots_for, self._me, only)
            if job is None:
                return
            self._watch(job, launch=True)

    def _adopt_lost(self, only: Collection[str] | None) -> None:
        watched = self._watched()
        for job in self._workspace.store.jobs.list(JobStatus.RUNNING):
            if job.id in watched or (only is not None and job.id not in only):
                continue
            if not alive(job.supervisor) and self._workspace.store.queue.adopt(job, self._me):
                self._watch(job, launch=False)

    def _watch(self, job: Job, *, launch: bool) -> None:
        thread = threading.Thread(
            target=self._supervise, args=(job, launch), daemon=True, name=f"job-{job.id}"
        )
        with self._lock:
            self._watches[job.id] = thread
        thread.start()

    def _supervise(self, job: Job, launch: bool) -> None:
        try:
            if not launch or self._launch(job):
                Watch(self._workspace, job, self._stopping, self._patience).run()
        except Exception:
            logger.exception("Watching over job %s failed; it is taken up again.", job.id)
            self._stopping.wait(RETRY_SECONDS)
        finally:
            # Nothing happens here for a job that is finished. One that still runs may now be
            # adopted: by another supervisor, or by us again if this thread failed.
            self._workspace.store.queue.release(job.id, job.attempt, self._me)
            with self._lock:
                # A later attempt may have got its own thread meanwhile.
                if self._watches.get(job.id) is threading.current_thread():
                    del self._watches[job.id]

    def _launch(self, job: Job) -> bool:
        try:
            runner = self._launcher.launch(self._workspace, job)
        except OSError as error:
            failure = WorkerCrashed(
                f"The job's process could not be started: {error.strerror or error}.",
                "Close other programs or free some disk space, then resume the job.",
            )
            queue = self._workspace.store.queue
            queue.finish(job, JobStatus.FAILED, error=failure.to_dict())
            return False
        if runner is not None:
            self._workspace.store.queue.set_runner(job.id, job.attempt, runner)
        return True

    def _watched(self) -> set[str]:
        with self._lock:
            return set(self._watches)

    def _threads(self) -> list[threading.Thread]:
        with self._lock:
            return list(self._watches.values())
