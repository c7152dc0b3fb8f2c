"""The server that imports what processes need, and forks itself for each: see :mod:`tests.warm`."""

import gc
import importlib
import multiprocessing
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import psutil

from tests import warm
from tests.warm import CODE, SCRIPT, USED, VARIABLE, framed, receive, session, use

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
    "page": ["ui.main", "ui.web.server", "ui.web.launch", "app"],
}


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
        owner = session(self.folder)["owner"]
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
        about = receive(line, size)
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
            line.sendall(framed({"pid": pid}))

    def _reap(self) -> None:
        for pid in list(self.lines):
            found, status, used = os.wait4(pid, os.WNOHANG)
            if found:
                with (self.folder / USED).open("a", encoding="utf-8") as file:
                    file.write(f"{used.ru_utime + used.ru_stime:.3f}\n")
                line = self.lines.pop(pid)
                with suppress(OSError):
                    line.sendall(framed({"code": os.waitstatus_to_exitcode(status)}))
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
    elif program == SCRIPT:
        _script(arguments)
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    return 0


def _script(arguments: list[str]) -> None:
    """A benchmark's script. Its own processes are forks of it, or of the server."""
    context, run = multiprocessing.get_context, subprocess.run

    def warm_run(command: Any, *more: Any, **options: Any) -> Any:
        return (warm.run if _runs_a_script(command) else run)(command, *more, **options)

    multiprocessing.get_context = lambda *_, **__: context("fork")  # type: ignore[assignment]
    subprocess.run = warm_run  # type: ignore[assignment]
    sys.argv = arguments
    runpy.run_path(arguments[0], run_name="__main__")


def _runs_a_script(command: Any) -> bool:
    """Whether a command, which may be one word or a line for a shell, runs a benchmark's script."""
    return isinstance(command, list) and len(command) > 1 and warm.is_script(str(command[1]))


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

    _settle_threads()
    return worker.main(arguments)


def _settle_threads() -> None:
    """A fork's first use of torch's pool of threads makes it anew, which two threads at once (as
    weights are loaded) cannot do: 'Invalid thread pool!'. So it is used while there is one."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(torch.get_num_threads())


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
    # So that what is forked finds this module under one name only.
    from tests.warm_server import Server as _Server

    _Server(sys.argv[1]).serve()
