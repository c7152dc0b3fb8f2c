"""Processes that start with their imports already made.

A job's process imports torch and its libraries for longer than a small job works. So the processes
that the project starts (``python -m workbench...``) are forked, during the tests, from a server
that has imported them once: real processes, with their own arguments, environment, folder, files
and exit status, that only skip the imports. One server of each kind serves the whole test session:
'worker' holds torch, 'page' holds Gradio and no torch.

What is tested for how a process starts (its imports, its memory, its parent) asks for the fixture
``cold_processes``, which starts it as the project does.
"""

import gc
import importlib
import json
import os
import runpy
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import psutil

ROOT = Path(__file__).resolve().parents[1]
#: The folder with the servers' sockets; set for the whole session, and in every process it forks.
VARIABLE = "TEST_WARM_PROCESSES"
#: What a server imports before it forks. The order matters little; torch comes with the first.
KINDS: dict[str, list[str]] = {
    "worker": [
        "torch",
        "sentence_transformers",
        "sentence_transformers.base.modules",
        "sentence_transformers.cross_encoder.trainer",
        "sentence_transformers.sentence_transformer.trainer",
        "sentence_transformers.sentence_transformer.losses",
        "transformers.models.bert.modeling_bert",
        "datasets",
        "peft",
        "faiss",
        "bm25s",
        "ir_measures",
        "workbench.cli.main",
        "workbench.jobs.runner",
        "workbench.worker",
        "workbench.search.resident",
        "workbench.training.embedding",
        "workbench.training.reranker",
        "workbench.evaluation.job",
        "torch.distributed.run",
    ],
    "page": ["ui.main", "ui.server", "ui.launch", "app"],
}
#: Lines of Python that a test brings.
CODE = "-c"
#: Which server forks which of the project's programs.
PROGRAMS = {
    CODE: "worker",
    "workbench": "worker",
    "workbench.jobs.runner": "worker",
    "workbench.worker": "worker",
    "workbench.search.resident": "worker",
    "workbench.takeaway": "worker",
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


def _session(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "session.json").read_text(encoding="utf-8"))
    return found


def use() -> None:
    """Let the project's own places that start processes start warm ones, from now on."""
    from workbench.jobs import launchers
    from workbench.search import process
    from workbench.takeaway import apart

    stand_in = SimpleNamespace(**{**vars(subprocess), "Popen": popen, "run": run})
    for module in (launchers, process, apart):
        module.subprocess = stand_in  # type: ignore[attr-defined]


def popen(command: list[str], **options: Any) -> Any:
    """Like ``subprocess.Popen``; forked where it is one of the project's programs."""
    if VARIABLE in os.environ and command[0] == sys.executable:
        how, program, *arguments = [part for part in command[1:] if part != "-P"]
        if how == "-c":
            return WarmProcess(CODE, [program, *arguments], **options)
        if how == "-m" and program in PROGRAMS:
            return WarmProcess(program, arguments, **options)
    return subprocess.Popen(command, **options)


def run(command: list[str], input: str = "", **options: Any) -> "subprocess.CompletedProcess[str]":
    """Like ``subprocess.run(..., capture_output=True, text=True, check=False)``."""
    for always in ("capture_output", "text", "check"):
        options.pop(always, None)
    with ExitStack() as files:
        given, said, wrong = (files.enter_context(tempfile.TemporaryFile()) for _ in range(3))
        given.write(input.encode())
        given.seek(0)
        code = popen(command, stdin=given, stdout=said, stderr=wrong, **options).wait()
        for file in (said, wrong):
            file.seek(0)
        return subprocess.CompletedProcess(
            command, code, said.read().decode(), wrong.read().decode()
        )


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
            socket.send_fds(self._line, [_framed(about)[:4]], theirs)
            self._line.sendall(_framed(about)[4:])
            self.pid = int(_receive(self._line)["pid"])
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
                self.returncode = int(_receive(self._line)["code"])
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


def _framed(message: dict[str, Any]) -> bytes:
    body = json.dumps(message).encode()
    return len(body).to_bytes(4, "big") + body


def _receive(line: socket.socket, first: bytes = b"") -> dict[str, Any]:
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
    _start(kind, folder)
    end = time.monotonic() + PATIENCE
    while True:
        try:
            line.connect(address)
            return line
        except (FileNotFoundError, ConnectionRefusedError):
            said = folder / f"{kind}.log"
            assert time.monotonic() < end, f"no warm processes: {said.read_text()[-2000:]}"
            time.sleep(0.05)


def _start(kind: str, folder: Path) -> None:
    """Start the server, unless somebody else has."""
    try:
        (folder / f"{kind}.started").touch(exist_ok=False)
    except FileExistsError:
        return
    with (folder / f"{kind}.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", "tests.warm", kind],
            cwd=ROOT,
            env=_session(folder)["environment"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


# -- the server ----------------------------------------------------------------------------------


class Server:
    """Forks a process for each line that asks for one, and says on that line how it ended."""

    def __init__(self, kind: str) -> None:
        self.folder = Path(os.environ[VARIABLE])
        for name in KINDS[kind]:
            importlib.import_module(name)
        # What was made so far is in every process: no use in looking at it, or copying it, again.
        gc.collect()
        gc.freeze()
        self.listening = socket.socket(socket.AF_UNIX)
        beside = self.folder / f"{kind}.new"
        self.listening.bind(str(beside))
        self.listening.listen(64)
        beside.rename(self.folder / kind)
        self.lines: dict[int, socket.socket] = {}
        self.awake, self.waker = os.pipe()
        for descriptor in (self.awake, self.waker):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(self.waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Until the session is over."""
        owner = _session(self.folder)["owner"]
        with selectors.DefaultSelector() as selector:
            selector.register(self.listening, selectors.EVENT_READ)
            selector.register(self.awake, selectors.EVENT_READ)
            while self.folder.exists() and psutil.pid_exists(owner):
                for key, _ in selector.select(2.0):
                    if key.fileobj is self.listening:
                        self._fork(self.listening.accept()[0])
                    else:
                        with suppress(BlockingIOError):
                            os.read(self.awake, 4096)
                self._reap()

    def _fork(self, line: socket.socket) -> None:
        size, files, _, _ = socket.recv_fds(line, 4, 3)
        about = _receive(line, size)
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for other in (line, self.listening, *self.lines.values()):
                other.close()
            os.close(self.awake)
            os.close(self.waker)
            _become(about, files)
        for descriptor in files:
            os.close(descriptor)
        self.lines[pid] = line
        with suppress(OSError):
            line.sendall(_framed({"pid": pid}))

    def _reap(self) -> None:
        for pid in list(self.lines):
            found, status, used = os.wait4(pid, os.WNOHANG)
            if found:
                with (self.folder / USED).open("a", encoding="utf-8") as file:
                    file.write(f"{used.ru_utime + used.ru_stime:.3f}\n")
                line = self.lines.pop(pid)
                with suppress(OSError):
                    line.sendall(_framed({"code": os.waitstatus_to_exitcode(status)}))
                line.close()


def _become(about: dict[str, Any], files: Iterable[int]) -> NoReturn:
    """Turn this fork into the process that was asked for; never returns."""
    code = 1
    try:
        if about["new_session"]:
            os.setsid()
        for number, descriptor in enumerate(files):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.chdir(about["cwd"])
        os.environ.clear()
        os.environ.update(about["env"])
        _use_environment()
        use()
        code = _work(about["program"], about["arguments"])
    except SystemExit as end:
        code = _exit_code(end)
    except BaseException:  # noqa: BLE001 - the last stop
        traceback.print_exc()
    finally:
        _leave(code)


def _work(program: str, arguments: list[str]) -> int:
    sys.argv = [program, *arguments]
    if program == "workbench.jobs.runner":
        from workbench.jobs import runner

        _fork_its_worker(runner)
        return runner.main(arguments)
    if program == CODE:
        sys.argv = [CODE, *arguments[1:]]
        exec(compile(arguments[0], "<string>", "exec"), vars(sys.modules["__main__"]))
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    return 0


def _leave(code: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _exit_code(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    print(end.code, file=sys.stderr)
    return 1


def _use_environment() -> None:
    """What Python and torch read from the environment when they start."""
    for path in reversed(os.environ.get("PYTHONPATH", "").split(os.pathsep)):
        if path and path not in sys.path:
            sys.path.insert(0, path)
    if os.environ.get("PYTHONFAULTHANDLER"):
        import faulthandler

        faulthandler.enable(sys.stderr.fileno())
    threads = os.environ.get("OMP_NUM_THREADS")
    if threads and "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(int(threads))


def _fork_its_worker(runner: Any) -> None:
    """The runner's own child, the worker, is a fork of the runner; so is what starts several."""

    def start(job_id: str, attempt: int, lock: int) -> Forked:
        about = [job_id, str(attempt)]
        together = int(os.environ.get(runner.PROCESSES_VARIABLE, "1"))
        if together == 1:
            child = Forked(lambda: _worker(about), os.setpgrp)
        else:
            # After torchrun's own program: its options, then the program for it to start.
            options = runner._torchrun(together)[4:]
            child = Forked(lambda: _torchrun([*options, *about]), os.setpgrp)
        with suppress(OSError):
            os.setpgid(child.pid, child.pid)
        return child

    runner._start = start


def _worker(arguments: list[str]) -> int:
    from workbench import worker

    return worker.main(arguments)


def _torchrun(arguments: list[str]) -> int:
    """``torchrun``, whose workers are forks of it."""
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing.subprocess_handler import subprocess_handler

    def fork(args: list[str], env: dict[str, str], **_options: Any) -> Forked:
        return Forked(lambda: _ranked(list(args), env), os.setsid)

    subprocess_handler.Popen = fork
    torchrun.main([*arguments[:-2], "fork", *arguments[-2:]])
    return 0


def _ranked(arguments: list[str], environment: dict[str, str]) -> int:
    """One of several workers; the environment says which."""
    os.environ.update(environment)
    _use_environment()
    return _worker(arguments[-2:])


class Forked:
    """A child of ours that does ``work``; as much of ``Popen`` as the runner and torchrun ask."""

    def __init__(self, work: Callable[[], int], begin: Callable[[], Any]) -> None:
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                begin()
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
                    signal.signal(number, signal.SIG_DFL)
                signal.signal(signal.SIGINT, signal.default_int_handler)
                code = work()
            except SystemExit as end:
                code = _exit_code(end)
            except BaseException:  # noqa: BLE001 - the last stop
                traceback.print_exc()
            finally:
                _leave(code)

    def poll(self) -> int | None:
        return self._collect(os.WNOHANG)

    def wait(self) -> int:
        code = self._collect(0)
        assert code is not None
        return code

    def _collect(self, how: int) -> int | None:
        if self.returncode is None:
            found, status = os.waitpid(self.pid, how)
            if found:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


if __name__ == "__main__":
    # As tests.warm, so that what is forked finds this module under one name only.
    from tests.warm import Server as _Server

    _Server(sys.argv[1]).serve()
