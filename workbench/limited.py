"""A small process for work on what others made, with a limit on its memory and on the time for each
request: what is meant to exhaust a machine ends that process and nothing else.

It is started at the first request and stays; after one that it did not survive, the next request
starts it anew. It ends when the process that started it does. Requests and answers are a JSON
object and bytes, each with its length before it, over its standard input and output.
"""

import atexit
import contextlib
import importlib
import json
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import LifoQueue
from typing import IO, Any

from workbench.errors import WorkbenchError, rebuilt

Answer = tuple[dict[str, Any], bytes]
#: What a module does that is served here: ``answer(request, data)``.
Work = Callable[[dict[str, Any], bytes], Answer]

ROOT = Path(__file__).resolve().parent.parent
_LENGTHS = struct.Struct(">QQ")
#: Numeric libraries start a thread for each core, and each reserves memory; so do allocators.
_ONE_THREAD = {
    "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1", "RAYON_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system",
}  # fmt: skip


class Ended(Exception):
    """The process did not survive the request: it crashed, or was ended."""


class TookTooLong(Ended):
    """It was ended because the time was over."""


class NeededTooMuch(Exception):
    """The request needs more memory than there may be."""


class LimitedProcess:
    """``work``: where its :data:`Work` stands, as 'module:function'; the module is imported there,
    before the limit counts. ``memory``: bytes it may take from then on; ``seconds`` for a request.
    """

    def __init__(self, work: str, *, memory: int, seconds: float) -> None:
        self._command = [sys.executable, "-P", "-m", "workbench.limited", work, str(memory)]
        self._seconds = seconds
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, request: dict[str, Any], data: bytes = b"") -> Answer:
        """The answer, when its turn has come. Raises what the work raised if that is a
        :class:`WorkbenchError`, :class:`NeededTooMuch`, :class:`TookTooLong` or :class:`Ended`."""
        with self._turn:
            said, more = self._exchange(request, data)
        if "error" in said:
            raise rebuilt(said["error"])
        if said.get("memory"):
            raise NeededTooMuch
        return said["answer"], more

    def close(self) -> None:
        """End it, if it was started."""
        with self._turn:
            self._end()

    @property
    def pid(self) -> int | None:
        """Its number, while it runs."""
        running = self._process is not None and self._process.poll() is None
        return self._process.pid if self._process is not None and running else None

    def _exchange(self, request: dict[str, Any], data: bytes) -> Answer:
        process = self._started()
        try:
            with self._deadline(process):
                _write(_pipe(process.stdin), request, data)
                return _read(_pipe(process.stdout))
        except BaseException:
            # What was asked may be half written or half answered: nobody shall read the rest.
            self._end()
            raise

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._end()
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **_ONE_THREAD, "PYTHONPATH": path},
        )
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                _pipe(pipe).close()

    @contextmanager
    def _deadline(self, process: "subprocess.Popen[bytes]") -> Iterator[None]:
        late = threading.Event()

        def stop() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(self._seconds, stop)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (OSError, EOFError) as error:
            raise (TookTooLong if late.is_set() else Ended) from error
        finally:
            timer.cancel()


class LimitedPool:
    """Several such processes for one work: as many as were busy at once have been started. It
    belongs to the process that made it; one that was forked from that makes its own."""

    def __init__(self, work: str, *, count: int, memory: int, seconds: float) -> None:
        self._work, self._memory, self._seconds = work, memory, seconds
        self._count = count
        self._owner = 0
        self._making = threading.Lock()
        self._all: list[LimitedProcess] = []
        self._free: LifoQueue[LimitedProcess] = LifoQueue()

    def ask(self, request: dict[str, Any], data: bytes = b"") -> Answer:
        """As :meth:`LimitedProcess.ask`, of one that is free."""
        self._belong_here()
        # The one used last has been started: it comes first.
        process = self._free.get()
        try:
            return process.ask(request, data)
        finally:
            self._free.put(process)

    def close(self) -> None:
        """End those that were started here."""
        if self._owner == os.getpid():
            for one in self._all:
                one.close()

    def _belong_here(self) -> None:
        with self._making:
            if self._owner == os.getpid():
                return
            self._all = [
                LimitedProcess(self._work, memory=self._memory, seconds=self._seconds)
                for _ in range(self._count)
            ]
            self._free = LifoQueue()
            for one in self._all:
                self._free.put(one)
            self._owner = os.getpid()
            atexit.register(self.close)


def _write(stream: IO[bytes], head: dict[str, Any], data: bytes) -> None:
    # The library's own JSON escapes what is no UTF-8: half a surrogate pair, say.
    said = json.dumps(head).encode()
    stream.write(_LENGTHS.pack(len(said), len(data)) + said)
    stream.write(data)
    stream.flush()


def _read(stream: IO[bytes]) -> Answer:
    head, data = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size))
    return json.loads(_exactly(stream, head)), _exactly(stream, data)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    found = stream.read(size)
    if len(found) < size:
        raise EOFError
    return found


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


# -- in the process itself -----------------------------------------------------------------------


def main(arguments: list[str]) -> int:
    """Serve until nobody asks any more."""
    # Ctrl-C is for those who started it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # What a library prints is no answer.
    os.dup2(2, 1)
    module, _, name = arguments[0].partition(":")
    work: Work = getattr(importlib.import_module(module), name)
    limit_memory(int(arguments[1]))
    while True:
        try:
            request, data = _read(asked)
        except EOFError:
            return 0
        except MemoryError:
            # Half of a request has been read: there is no going on.
            return 1
        _write(answers, *_answered(work, request, data))


def _answered(work: Work, request: dict[str, Any], data: bytes) -> Answer:
    try:
        answer, more = work(request, data)
    except WorkbenchError as error:
        return {"error": error.to_dict()}, b""
    except MemoryError:
        return {"memory": True}, b""
    return {"answer": answer}, more


def limit_memory(room: int) -> None:
    """From now on this process may take ``room`` bytes more; where the system knows such a limit
    (Linux does)."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + room
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    except (ImportError, OSError, ValueError):
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
