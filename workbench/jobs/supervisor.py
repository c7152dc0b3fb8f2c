"""The supervisor: takes jobs from the queue as slots come free, and watches over them.

App and command line may each have one on the same home. Whoever claims a job, or adopts it from a
supervisor that is gone, watches it; the store sees to it that this is only ever one of them.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from storage.records import Job, JobStatus
from workbench.errors import WorkerCrashed
from workbench.jobs.launchers import JobHandle, Launcher, chosen_launcher, is_alive, open_handle
from workbench.jobs.outcome import settle
from workbench.jobs.processes import alive, this_process
from workbench.jobs.slots import gpus, runner_command, slots_for

if TYPE_CHECKING:
    from workbench.workspace import Workspace


# Watching over one running job: from its processes' start, or their adoption, to its outcome.

WATCH_SECONDS = 0.2
RETRY_SECONDS = 2.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a cancelled job may take, in seconds: to stop by itself, then after SIGTERM.

    One step of a large model on a CPU, and writing its checkpoint, takes the better part of a
    minute.
    """

    flag: float = 60.0
    terminate: float = 10.0


class Watch:
    """The thread of one job. It ends with the job, or when ``stop`` is set; then it lets go."""

    def __init__(
        self,
        workspace: "Workspace",
        job: Job,
        stop: threading.Event,
        patience: Patience,
    ) -> None:
        self.job = job
        self._workspace = workspace
        self._stop = stop
        self._patience = patience
        self._folder = workspace.jobs.folder(job.id)
        self._cancel_seen: float | None = None
        self._sent: set[signal.Signals] = set()

    def run(self) -> None:
        """Until the outcome is written; an unreachable database is waited for."""
        while not self._stop.is_set():
            try:
                if self._step():
                    return
                pause = WATCH_SECONDS
            except SQLAlchemyError as error:
                logger.warning("Job %s: the record cannot be reached: %s", self.job.id, error)
                pause = RETRY_SECONDS
            self._stop.wait(pause)

    def _step(self) -> bool:
        job = self._workspace.store.jobs.get(self.job.id)
        if job is None or job.attempt != self.job.attempt or job.status.finished:
            return True  # somebody else settled it
        handle = open_handle(job.handle, self._folder, job.attempt)
        if handle.exit() is not None or not is_alive(job, self._folder):
            jobs = self._workspace.jobs
            settle(self._workspace.store, jobs.tasks, self._folder, job)
            return True
        if job.cancel_requested_at is not None:
            self._press(handle)
        return False

    def _press(self, handle: JobHandle) -> None:
        """The flag came first; now terminate, then kill, as patience ends."""
        self._cancel_seen = self._cancel_seen or time.monotonic()
        waited = time.monotonic() - self._cancel_seen
        if waited > self._patience.flag:
            self._send(signal.SIGTERM, handle)
        if waited > self._patience.flag + self._patience.terminate:
            self._send(signal.SIGKILL, handle)

    def _send(self, number: signal.Signals, handle: JobHandle) -> None:
        """To the worker with all that it started, once. The runner stays, to say how it ended."""
        if number not in self._sent and handle.signal(number):
            self._sent.add(number)
            detail = f"{number.name} to the worker"
            self._workspace.store.jobs.note(self.job.id, self.job.attempt, "signal", detail)


POLL_SECONDS = 0.3


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
        self._launcher = launcher or chosen_launcher()
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
            job = self._workspace.store.queue.claim(
                self._slots_for, self._me, only, f"{self._launcher.name}:"
            )
            if job is None:
                return
            self._watch(job, launch=True)

    def _slots_for(self, job: Job) -> Sequence[str]:
        """None for a job whose environment another living process holds."""
        elsewhere = job.supervisor not in (None, self._me) and alive(job.supervisor)
        return () if elsewhere else slots_for(job)

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
            handle = self._launcher.start(runner_command(self._workspace, job))
        except OSError as error:
            failure = WorkerCrashed(
                f"The job's process could not be started: {error.strerror or error}.",
                "Close other programs or free some disk space, then resume the job.",
            )
            queue = self._workspace.store.queue
            queue.finish(job, JobStatus.FAILED, error=failure.to_dict())
            return False
        text = f"{self._launcher.name}:{handle.text}"
        self._workspace.store.queue.set_handle(job.id, job.attempt, text)
        return True

    def _watched(self) -> set[str]:
        with self._lock:
            return set(self._watches)

    def _threads(self) -> list[threading.Thread]:
        with self._lock:
            return list(self._watches.values())
