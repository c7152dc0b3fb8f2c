"""Where a job's worker runs: each place has a launcher.

``WORKBENCH_LAUNCHER`` names the one that starts jobs. Its handle of each goes on record as text,
with the launcher's name before it, and is opened again by whoever looks after the job later:
another app, the command line. All of them start the same runner, in the job's folder.
"""

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from storage.records import Job
from workbench.extensions import Registry
from workbench.jobs import files, processes

LAUNCHER_VARIABLE = "WORKBENCH_LAUNCHER"
#: A job that was just claimed may have been started though its handle is not on record yet.
STARTING_SECONDS = 15.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Command:
    """The runner of one attempt: ``arguments`` (the program first), the job's folder to run it in,
    and its whole environment."""

    attempt: int
    arguments: Sequence[str]
    folder: Path
    environment: Mapping[str, str]


class JobHandle(Protocol):
    """One attempt of a job, wherever it runs."""

    @property
    def text(self) -> str:
        """What :meth:`Launcher.open` makes it from again."""
        ...

    def alive(self) -> bool:
        """Whether the runner or the worker runs; true where that cannot be known."""
        ...

    def signal(self, number: signal.Signals, /) -> bool:
        """Signal the worker and all that it started, not the runner; False where it is gone."""
        ...

    def exit(self) -> dict[str, Any] | None:
        """How the worker ended, as in exit.json (:class:`workbench.jobs.outcome.Remains`); None
        while it runs, and where nobody was left to say so."""
        ...


class Launcher(Protocol):
    @property
    def name(self) -> str:
        """By which ``WORKBENCH_LAUNCHER`` and records call it; without a colon."""
        ...

    def start(self, command: Command) -> JobHandle:
        """Start the runner, its output in ``log.txt``; it outlives us. Raises ``OSError``."""
        ...

    def open(self, text: str, folder: Path, attempt: int) -> JobHandle:
        """The handle of an attempt in that folder, from its text; '' where whoever started it was
        gone before the text could be written down."""
        ...


class LocalHandle:
    """Processes of this machine: the runner is on record, and notes itself and its worker."""

    def __init__(self, runner: str, folder: Path, attempt: int) -> None:
        self.text = runner
        self._folder = folder
        self._attempt = attempt

    def alive(self) -> bool:
        runner, worker = self._processes()
        return processes.alive(runner) or processes.alive(worker)

    def signal(self, number: signal.Signals) -> bool:
        return processes.signal_group(self._processes()[1], number)

    def exit(self) -> dict[str, Any] | None:
        return files.read_json(self._folder / files.EXIT, self._attempt)

    def _processes(self) -> tuple[str | None, str | None]:
        """The runner and the worker. The note is not there yet, or gone with the folder: then the
        worker is the runner's child."""
        noted = files.read_json(self._folder / files.PROCESSES, self._attempt) or {}
        # What is no text is of a version before, all of whose processes are gone.
        texts = [noted.get(name) for name in ("runner", "worker")]
        runner, worker = (text if isinstance(text, str) else None for text in texts)
        runner = self.text or runner
        return runner, worker or processes.only_child(runner)


class LocalLauncher:
    """Starts the runner on this machine, in a session of its own: what ends the app or its
    terminal (Ctrl-C, a closed window) does not reach it."""

    name = "local"

    def start(self, command: Command) -> LocalHandle:
        # Output to a file, never to a pipe that somebody would have to keep reading.
        with (command.folder / files.LOG).open("ab") as log:
            child = subprocess.Popen(
                list(command.arguments),
                cwd=command.folder,
                env=dict(command.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        runner = processes.process_ref(child.pid)
        # Collects its exit, so that no zombie stays while the app runs.
        threading.Thread(target=child.wait, daemon=True, name=f"reap-{child.pid}").start()
        return LocalHandle(runner or "", command.folder, command.attempt)

    def open(self, text: str, folder: Path, attempt: int) -> LocalHandle:
        return LocalHandle(text, folder, attempt)


#: Every launcher; extensions add to it.
LAUNCHERS: Registry[Launcher] = Registry("launcher", [LocalLauncher()])


class UnknownHandle(LocalHandle):
    """Of a launcher that is not known here: only its runner's note says that a job has ended."""

    def alive(self) -> bool:
        return self.exit() is None

    def signal(self, _number: signal.Signals) -> bool:
        return False


def chosen_launcher() -> Launcher:
    """The one that starts jobs here. Raises :class:`BadInput` for a name that is not known."""
    return LAUNCHERS.get(os.environ.get(LAUNCHER_VARIABLE) or LocalLauncher.name)


def open_handle(handle: str | None, folder: Path, attempt: int) -> JobHandle:
    """The handle that a record has of an attempt; ``folder``: the job's own."""
    name, _, text = (handle or f"{LocalLauncher.name}:").partition(":")
    if name not in LAUNCHERS:
        logger.warning("%s runs by the launcher '%s', which is not known here", folder.name, name)
        return UnknownHandle(text, folder, attempt)
    return LAUNCHERS.get(name).open(text, folder, attempt)


def is_alive(job: Job, folder: Path) -> bool:
    """Whether a running job's processes live, or may be about to start."""
    if open_handle(job.handle, folder, job.attempt).alive():
        return True
    started = bool((job.handle or "").partition(":")[2])
    return not started and time.time() - (job.started_at or 0.0) < STARTING_SECONDS
