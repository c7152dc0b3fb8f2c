"""Processes that start with their imports already made.

A job's process imports torch and its libraries for longer than a small job works. So the processes
that the project starts (``python -m workbench...``) are forked, during the tests, from a server
(:mod:`tests.warm_server`) that has imported them once: real processes, with their own arguments,
environment, folder, files and exit status, that only skip the imports. One server of each kind
serves the whole test session: 'worker' holds torch, 'page' holds Gradio and no torch.

What is tested for how a process starts (its imports, its memory, its parent) asks for the fixture
``cold_processes``, which starts it as the project does.
"""

import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
#: The folder with the servers' sockets; set for the whole session, and in every process it forks.
VARIABLE = "TEST_WARM_PROCESSES"
#: Lines of Python that a test brings.
CODE = "-c"
#: A benchmark's script.
SCRIPT = "script"
#: Which server forks which of the project's programs.
PROGRAMS = {
    CODE: "worker",
    SCRIPT: "worker",
    "workbench": "worker",
    "workbench.jobs.runner": "worker",
    "workbench.worker": "worker",
    "workbench.search.resident": "worker",
    "workbench.takeaway.script": "worker",
    "app": "page",
    "tests.browser.served_app": "page",
}
#: In the session's folder: the processor's seconds that each process took, for who measures.
USED = "seconds.txt"
#: Only a server that hangs takes so long to import.
PATIENCE = 600.0


def begin() -> Path:
    """A folder for this session's servers, which start when they are first needed and leave when it
    or this process is gone. They have this environment, whatever a test has changed meanwhile."""
    folder = Path(tempfile.mkdtemp(prefix="warm-"))
    os.environ[VARIABLE] = str(folder)
    about = {"owner": os.getpid(), "environment": dict(os.environ)}
    (folder / "session.json").write_text(json.dumps(about), encoding="utf-8")
    return folder


def end(folder: Path) -> None:
    os.environ.pop(VARIABLE, None)
    shutil.rmtree(folder, ignore_errors=True)


def seconds() -> float:
    """What the processes took of the processor that were forked so far and have ended."""
    file = Path(os.environ.get(VARIABLE, "")) / USED
    return sum(map(float, file.read_text(encoding="utf-8").split())) if file.is_file() else 0.0


def session(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "session.json").read_text(encoding="utf-8"))
    return found


def use() -> None:
    """Let the project's own places that start processes start warm ones, from now on."""
    from workbench.jobs import launchers
    from workbench.search import process
    from workbench.takeaway import snippet

    stand_in = SimpleNamespace(**{**vars(subprocess), "Popen": popen, "run": run})
    for module in (launchers, process, snippet):
        module.subprocess = stand_in  # type: ignore[attr-defined]


def is_script(path: str) -> bool:
    """Whether it is one of those whose processes may be forked: a benchmark's."""
    return path.endswith(".py") and Path(path).parent == ROOT / "benchmarks"


def popen(command: list[str], **options: Any) -> Any:
    """Like ``subprocess.Popen``; forked where it is one of the project's programs."""
    parts = [str(part) for part in command[1:] if part != "-P"]
    if VARIABLE in os.environ and command[0] == sys.executable and len(parts) > 1:
        how, program, *arguments = parts
        if is_script(how):
            return WarmProcess(SCRIPT, parts, **options)
        if how == "-c":
            return WarmProcess(CODE, [program, *arguments], **options)
        if how == "-m" and program in PROGRAMS:
            return WarmProcess(program, arguments, **options)
    return subprocess.Popen(command, **options)


def run(
    command: list[str],
    input: str = "",
    check: bool = False,
    timeout: float | None = None,
    **options: Any,
) -> "subprocess.CompletedProcess[str]":
    """Like ``subprocess.run(..., capture_output=True, text=True)``, which it always does."""
    for always in ("capture_output", "text", "stdout", "stderr"):
        options.pop(always, None)
    with ExitStack() as files:
        given, said, wrong = (files.enter_context(tempfile.TemporaryFile()) for _ in range(3))
        given.write(input.encode())
        given.seek(0)
        process = popen(command, stdin=given, stdout=said, stderr=wrong, **options)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        for file in (said, wrong):
            file.seek(0)
        done = subprocess.CompletedProcess(
            command, code, said.read().decode(), wrong.read().decode()
        )
    if check:
        done.check_returncode()
    return done


class WarmProcess:
    """As much of ``subprocess.Popen`` as the project uses, for a process that a server forked."""

    def __init__(
        self,
        program: str,
        arguments: list[str],
        *,
        cwd: Any = None,
        env: Mapping[str, str] | None = None,
        stdin: Any = None,
        stdout: Any = None,
        stderr: Any = None,
        start_new_session: bool = False,
        bufsize: int = -1,
    ) -> None:
        self.args = [sys.executable, "-m", program, *arguments]
        self.returncode: int | None = None
        self._lock = threading.Lock()
        theirs, ours = [], [None, None, None]
        opened: list[int] = []
        for number, wanted in enumerate((stdin, stdout, stderr)):
            if wanted == subprocess.PIPE:
                read, write = os.pipe()
                mine, other = (write, read) if number == 0 else (read, write)
                ours[number] = os.fdopen(mine, "wb" if number == 0 else "rb", bufsize)
            elif wanted == subprocess.DEVNULL:
                other = os.open(os.devnull, os.O_RDWR)
            elif wanted == subprocess.STDOUT:
                other = os.dup(theirs[1])
            else:
                other = os.dup(number if wanted is None else _number(wanted))
            theirs.append(other)
            opened.append(other)
        self.stdin, self.stdout, self.stderr = ours
        about = {
            "program": program,
            "arguments": arguments,
            "cwd": str(cwd or Path.cwd()),
            "env": {**(os.environ if env is None else env), VARIABLE: os.environ[VARIABLE]},
            "new_session": start_new_session,
        }
        try:
            self._line = _connect(PROGRAMS[program])
            socket.send_fds(self._line, [framed(about)[:4]], theirs)
            self._line.sendall(framed(about)[4:])
            self.pid = int(receive(self._line)["pid"])
        finally:
            for descriptor in opened:
                os.close(descriptor)

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        with self._lock:
            if self.returncode is None:
                with selectors.DefaultSelector() as selector:
                    selector.register(self._line, selectors.EVENT_READ)
                    if not selector.select(timeout):
                        raise subprocess.TimeoutExpired(self.args, timeout or 0)
                self.returncode = int(receive(self._line)["code"])
                self._line.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _number(file: Any) -> int:
    return file if isinstance(file, int) else int(file.fileno())


# -- between a test and a server -----------------------------------------------------------------


def framed(message: dict[str, Any]) -> bytes:
    body = json.dumps(message).encode()
    return len(body).to_bytes(4, "big") + body


def receive(line: socket.socket, first: bytes = b"") -> dict[str, Any]:
    size = int.from_bytes(_exactly(line, 4, first), "big")
    found: dict[str, Any] = json.loads(_exactly(line, size))
    return found


def _exactly(line: socket.socket, size: int, found: bytes = b"") -> bytes:
    while len(found) < size:
        more = line.recv(size - len(found))
        if not more:
            raise ConnectionError("the server of warm processes is gone")
        found += more
    return found


def _connect(kind: str) -> socket.socket:
    """A line to the server of this kind, which is started by whoever needs it first."""
    folder = Path(os.environ[VARIABLE])
    address = str(folder / kind)
    line = socket.socket(socket.AF_UNIX)
    with suppress(FileNotFoundError, ConnectionRefusedError):
        line.connect(address)
        return line
    server = _start(kind, folder)
    end = time.monotonic() + PATIENCE
    while True:
        try:
            line.connect(address)
            return line
        except (FileNotFoundError, ConnectionRefusedError):
            waits = time.monotonic() < end and (server is None or server.poll() is None)
            assert waits, f"no server: {(folder / f'{kind}.log').read_text()[-2000:]}"
            time.sleep(0.05)


def _start(kind: str, folder: Path) -> "subprocess.Popen[bytes] | None":
    """Start the server, unless somebody else has."""
    try:
        (folder / f"{kind}.started").touch(exist_ok=False)
    except FileExistsError:
        return None
    with (folder / f"{kind}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.warm_server", kind],
            cwd=ROOT,
            env=session(folder)["environment"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
