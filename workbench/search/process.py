"""Starts and ends the resident search worker. Torch-free: this is the client's side."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import IO, Any

from workbench.errors import SearchUnavailable
from workbench.jobs.slots import patient
from workbench.search.protocol import READY, arrives, pack, receive
from workbench.search.resident import Settings
from workbench.workspace import Workspace

ROOT = Path(__file__).resolve().parent.parent.parent
LOG = "logs/search.log"
#: The system's limit for a socket's path is 104 to 108 bytes.
_LONGEST_ADDRESS = 100
_START_SECONDS = 60.0
#: A message of so many bytes is taken by the system at once, whatever the worker does.
_SMALL = 32_768
_TAIL = 2000
#: Seconds between two looks whether the person asked to stop.
_LOOK = 0.1


class TimedOut(Exception):
    """No answer in so many ``seconds``; the process has been killed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Busy(Exception):
    """Others' requests took all the time there was to wait; the process goes on with them."""


class Gone(Exception):
    """The process ended while others had their turn: nothing was asked of it."""


class Line:
    """Who is with the worker: one request, or two of those that share. In the order in which they
    came: else a few that share, one after the other, would keep everybody else out."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[object] = []
        #: Of each one that is with the worker, whether it shares.
        self._inside: list[bool] = []

    def enter(self, timeout: float, shares: bool = False) -> bool:
        """Whether its turn came in time; it then ends with :meth:`leave`."""
        mine = object()
        with self._changed:
            self._waiting.append(mine)
            try:
                came = self._changed.wait_for(lambda: self._first(mine, shares), timeout)
                if came:
                    self._inside.append(shares)
            finally:
                self._waiting.remove(mine)
                # The next one may share with it, or has no longer to wait behind it.
                self._changed.notify_all()
        return came

    def leave(self, shares: bool = False) -> None:
        with self._changed:
            self._inside.remove(shares)
            self._changed.notify_all()

    def taken(self) -> bool:
        """Whether a request is with the worker."""
        with self._changed:
            return bool(self._inside)

    def _first(self, one: object, shares: bool) -> bool:
        room = not self._inside or (shares and self._inside == [True])
        return room and self._waiting[0] is one


class ResidentProcess:
    """A started worker, listening. Raises :class:`SearchUnavailable` if it cannot be started."""

    def __init__(self, workspace: Workspace, idle_seconds: float, more_models: int = 0) -> None:
        self._idle: list[Connection[Any, Any]] = []
        self._sharing = threading.Lock()
        #: The engine does one thing at a time, so the line for it is here: then a request's clock
        #: runs only while it is worked on, and who gives up waiting disturbs nobody.
        self._line = Line()
        #: Texts are written beside searches, one at a time: a line of their own, for the same end.
        self._writing = threading.Lock()
        self._folder = _private_folder()
        self._key = secrets.token_hex(32)
        self._log = workspace.path(LOG)
        self.address = str(self._folder / "s")
        self._process = self._start()
        settings = Settings(
            self.address,
            self._key,
            str(workspace.home),
            workspace.url,
            workspace.trust_remote_code,
            idle_seconds,
            more_models,
        )
        try:
            self._hand_over(settings)
        except (OSError, TimedOut) as error:
            self.kill()
            raise SearchUnavailable(
                "The search process could not be started.", self.log_tail()
            ) from error

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: dict[str, Any], timeout: float, shares: bool = False) -> dict[str, Any]:
        """Send a request when its turn has come, and wait for the answer. ``shares``: another one
        that shares may be with the worker meanwhile.

        ``timeout`` seconds for the turn, and as many for the answer; twice as many to one that
        shares, which may have to wait for the other's work. Raises :class:`Busy` when the turn did
        not come, :class:`TimedOut` after killing a process that did not answer in time, and OSError
        or EOFError when it is gone.
        """
        message = pack(request)
        if not self._line.enter(timeout, shares):
            raise Busy
        try:
            return self._ask(message, 2 * timeout if shares else timeout)
        finally:
            self._line.leave(shares)

    def _ask(self, message: bytes, timeout: float) -> dict[str, Any]:
        kept = self._take()
        if kept is None or len(message) > _SMALL:
            # Connecting can block, and so can a message that does not fit a socket's buffer: a
            # thread is started that watches the clock.
            with self._deadline(timeout):
                connection = kept or self._connect()
                connection.send_bytes(message)
                said = receive(connection)
        else:
            connection = kept
            connection.send_bytes(message)
            if not arrives(connection, timeout):
                self._process.kill()
                raise TimedOut(timeout)
            said = receive(connection)
        with self._sharing:
            self._idle.append(connection)
        return said

    def converse(
        self, request: dict[str, Any], timeout: float, check: Callable[[], None]
    ) -> Generator[dict[str, Any], None, None]:
        """Send a request when its turn has come, and hand on its messages, until one is its answer
        or its error. Close it when it is not read to its end: the next one waits for that.

        ``check`` is called again and again and may raise: the worker then stops at its next piece.
        Raises what :meth:`ask` raises, and :class:`Gone`; ``timeout`` is for the turn, and for each
        message.
        """
        self._await_writing(timeout, check)
        try:
            if not self.alive():
                raise Gone
            yield from self._converse(request, timeout, check)
        finally:
            self._writing.release()

    def _await_writing(self, timeout: float, check: Callable[[], None]) -> None:
        end = time.monotonic() + timeout
        while not self._writing.acquire(timeout=_LOOK):
            check()
            if time.monotonic() > end:
                raise Busy

    def _converse(
        self, request: dict[str, Any], timeout: float, check: Callable[[], None]
    ) -> Generator[dict[str, Any], None, None]:
        with self._deadline(timeout):
            connection = self._connect()
        with connection:
            with self._deadline(timeout):
                connection.send_bytes(pack(request))
            while True:
                self._await_message(connection, timeout, check)
                said = receive(connection)
                yield said
                if "answer" in said or "error" in said:
                    return

    def _await_message(
        self, connection: "Connection[Any, Any]", timeout: float, check: Callable[[], None]
    ) -> None:
        end = time.monotonic() + timeout
        while not connection.poll(_LOOK):
            check()
            if time.monotonic() > end:
                self._process.kill()
                raise TimedOut(timeout)
        check()

    def _take(self) -> "Connection[Any, Any] | None":
        """A connection that nobody uses just now: making one costs more than a search."""
        with self._sharing:
            return self._idle.pop() if self._idle else None

    def _connect(self) -> "Connection[Any, Any]":
        return Client(self.address, "AF_UNIX", bytes.fromhex(self._key))

    def kill(self) -> None:
        """End the process now and give back what it held."""
        self._process.kill()
        self._process.wait()
        with self._sharing:
            while self._idle:
                self._idle.pop().close()
        _pipe(self._process.stdin).close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def log_tail(self) -> str:
        """The last lines the worker wrote."""
        if not self._log.is_file():
            return ""
        return self._log.read_bytes()[-_TAIL:].decode("utf-8", "replace").strip()

    def _start(self) -> "subprocess.Popen[bytes]":
        self._log.parent.mkdir(parents=True, exist_ok=True)
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "workbench.search.resident"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # Unbuffered: closing the pipe of a dead process must have nothing left to write.
                bufsize=0,
                env={**os.environ, **patient(os.environ), "PYTHONPATH": path},
                # Its own session: Ctrl-C at the app's terminal is for the app alone.
                start_new_session=True,
            )

    def _hand_over(self, settings: Settings) -> None:
        """Give the settings, the key among them, through the pipe; wait until it listens."""
        pipe = _pipe(self._process.stdin)
        with self._deadline(_START_SECONDS), _pipe(self._process.stdout) as output:
            pipe.write(json.dumps(asdict(settings)).encode() + b"\n")
            if output.readline().strip() != READY.encode():
                raise OSError("the search process ended before it was ready")

    @contextmanager
    def _deadline(self, seconds: float) -> Iterator[None]:
        """Kill the process when the block takes longer: then whatever waits for it fails."""
        late = threading.Event()

        def stop() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(seconds, stop)
        timer.start()
        try:
            yield
        except (OSError, EOFError) as error:
            if late.is_set():
                raise TimedOut(seconds) from error
            raise
        finally:
            timer.cancel()


def _private_folder() -> Path:
    """A new folder that only this user can enter (mode 0700), short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="workbench-"))
    if len(str(folder).encode()) > _LONGEST_ADDRESS - 2:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="workbench-", dir="/tmp"))
    return folder


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream
