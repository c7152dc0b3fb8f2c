"""The worker's parent: ``python -m workbench.jobs.runner JOB ATTEMPT`` in the job's folder.

It starts the worker, waits for it, and writes down how it ended, so that the exit code is known to
whichever app or command line looks next. It is small, loads nothing heavy, and outlives the app.
A cancelled worker that does not stop is a supervisor's to end; where there is none any more, the
runner ends it.
"""

import errno
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

from workbench.errors import OutOfMemory
from workbench.jobs import files
from workbench.jobs.files import PROCESSES_VARIABLE
from workbench.jobs.processes import kill_group, lock_folder, process_ref, this_process

# Whether it was memory that a job's process died of, and how much there is.
#
# Libraries say it in many ways, which are told apart by names and words: nothing here imports
# them. What the kernel did, Linux says in the files of the process's control group; elsewhere
# nothing is known of that.

_MOUNTED = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
#: A limit beyond this (v1 writes a huge number for 'none') is no limit.
_NO_LIMIT = 1 << 60


#: What libraries say in a RuntimeError: torch's CPU allocator, CUDA's and its helpers', C++.
_SAID = re.compile(
    r"DefaultCPUAllocator: (can't allocate|not enough) memory|CUDA out of memory"
    r"|CUBLAS_STATUS_ALLOC_FAILED|std::bad_alloc|[Cc]annot allocate memory",
)
#: How much was asked for when it failed: '2.50 GiB', '4096 bytes'.
_WANTED = re.compile(r"[Tt]ried to allocate ([\d.,]+ ?(?:[KMGT]i?B|bytes))")
_HINT = "Try a smaller batch size or shorter maximum lengths, or close other programs."


def out_of_memory(error: BaseException) -> OutOfMemory | None:
    """The error in our words if it, or what it was raised from, is a lack of memory."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, OutOfMemory):
            return found
        if _is_out_of_memory(found):
            return _told(found)
        found = found.__cause__
    return None


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    return isinstance(error, RuntimeError) and _SAID.search(str(error)) is not None


def _told(error: BaseException) -> OutOfMemory:
    text = str(error)
    on_gpu = type(error).__name__ == "OutOfMemoryError" or "CUDA" in text or "CUBLAS" in text
    wanted = _WANTED.search(text)
    tried = f" It failed when {wanted[1]} more were requested." if wanted else ""
    where = "the GPU" if on_gpu else "this machine"
    return OutOfMemory(
        f"There was not enough memory on {where}.{tried}", _HINT, memory="gpu" if on_gpu else "ram"
    )


def oom_kills(own: Path = _OWN, mounted: Path = _MOUNTED) -> int | None:
    """How many processes of our control group the kernel has killed for want of memory so far."""
    for folder in _folders(own, mounted):
        for name in ("memory.events", "memory.oom_control"):
            found = _read(folder / name).get("oom_kill")
            if found is not None:
                return found
    return None


def left_in_group(own: Path = _OWN, mounted: Path = _MOUNTED) -> int | None:
    """Bytes that our control group may still take; None where it has no limit of its own."""
    names = (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    )
    left = []
    for folder in _folders(own, mounted):
        for limit_name, used_name, cache_name in names:
            limit, used = _number(folder / limit_name), _number(folder / used_name)
            if limit is not None and used is not None and limit < _NO_LIMIT:
                # Files that were read and may be forgotten count as used, and are free.
                cached = _read(folder / "memory.stat").get(cache_name, 0)
                left.append(max(0, limit - used + cached))
    return min(left, default=None)


def free_memory() -> int:
    """Bytes that we may still take: of the machine's, and in a container of what it is given."""
    available, left = int(psutil.virtual_memory().available), left_in_group()
    return available if left is None else min(available, left)


def _folders(own: Path, mounted: Path) -> list[Path]:
    """Our group's folders, the innermost first. A container often sees its own group as the root,
    whatever its path says."""
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found: list[Path] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root = mounted / "memory" if controllers else mounted
        inner = root / path.lstrip("/")
        found += [one for one in (inner, *inner.parents) if one.is_relative_to(root)]
    return found


def _read(path: Path) -> dict[str, int]:
    """A file of 'name number' lines; {} where there is none."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    pairs = (line.split() for line in lines)
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


def _number(path: Path) -> int | None:
    """A file that holds one number; None for 'max', and where there is none."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isdecimal() else None


#: After a request to stop, the worker has this many seconds before it is killed.
STOP_SECONDS = 20
#: Between two looks whether it is to be cancelled.
LOOK_SECONDS = 1.0
EXIT_BUSY = 3


def main(arguments: list[str]) -> int:
    job_id, attempt = arguments[0], int(arguments[1])
    folder = Path.cwd()
    lock = lock_folder(folder)
    if lock is None:
        message = "Another process still works in this job's folder."
        hint = "Wait until it has ended, then resume the job."
        error = {"code": "busy", "message": message, "hint": hint, "bad_input": False}
        files.write_json(folder / files.ERROR, {"attempt": attempt, "error": error})
        return EXIT_BUSY
    print(f"{files.ATTEMPT_LINE}{attempt}, {time.strftime('%Y-%m-%d %H:%M:%S')}", flush=True)
    before = oom_kills()
    worker = _start(job_id, attempt, lock)
    stop = _Stop(worker.pid)
    _note_processes(folder, attempt, worker.pid)
    _heed_cancel(folder, attempt, worker.pid)
    files.write_json(folder / files.EXIT, {"attempt": attempt, **_wait(worker, stop, before)})
    return 0


def _start(job_id: str, attempt: int, lock: int) -> subprocess.Popen[bytes]:
    # A process group of its own: killing the worker with all its children must leave us alive to
    # tell how it ended.
    worker = [sys.executable, "-P", "-m", "workbench.worker", job_id, str(attempt)]
    together = int(os.environ.get(PROCESSES_VARIABLE, "1"))
    return subprocess.Popen(
        worker if together == 1 else [*_torchrun(together), *worker],
        stdin=subprocess.DEVNULL,
        process_group=0,
        pass_fds=[lock],
    )


def _torchrun(processes: int) -> list[str]:
    """Starts so many workers on this machine, who meet on a free port of the loopback."""
    program = [sys.executable, "-P", "-m", "torch.distributed.run", "--standalone", "--no-python"]
    return [*program, "--nproc-per-node", str(processes)]


def _note_processes(folder: Path, attempt: int, worker_pid: int) -> None:
    content = {"runner": this_process(), "worker": process_ref(worker_pid)}
    files.write_json(folder / files.PROCESSES, {"attempt": attempt, **content})


def _heed_cancel(folder: Path, attempt: int, group: int) -> None:
    """End the worker when its time to stop by itself is over."""

    def watch() -> None:
        while (said := files.read_json(folder / files.CANCEL, attempt)) is None:
            time.sleep(LOOK_SECONDS)
        time.sleep(said["flag"])
        kill_group(group, signal.SIGTERM)
        time.sleep(said["terminate"])
        kill_group(group, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="heed-cancel").start()


class _Stop:
    """Passes a request to stop (the machine shuts down, say) on to the worker's group."""

    def __init__(self, group: int) -> None:
        self.asked = False
        self._group = group
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._ask)
        signal.signal(signal.SIGALRM, self._insist)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        kill_group(self._group, signal.SIGTERM)
        signal.alarm(STOP_SECONDS)

    def _insist(self, _number: int, _frame: FrameType | None) -> None:
        kill_group(self._group, signal.SIGKILL)


def _wait(worker: subprocess.Popen[bytes], stop: _Stop, before: int | None) -> dict[str, Any]:
    """Wait for the worker, end what it left running, and say how it ended."""
    if hasattr(os, "waitid"):
        # Leaves the worker unreaped: its group's number cannot be given to strangers before the
        # rest of the group is killed.
        os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
    kill_group(worker.pid, signal.SIGKILL)
    code = worker.wait()
    if code == -signal.SIGTERM and not stop.asked:
        time.sleep(0.3)  # a shutdown signals everybody: our own signal may be on its way
    ended: dict[str, Any] = {"code": code, "signal": None} if code >= 0 else _signalled(-code)
    now = oom_kills()
    # Whether the kernel killed something for want of memory meanwhile; None where it does not say.
    ended["oom_kills"] = None if now is None or before is None else now - before
    return {**ended, "stopped": stop.asked, "at": time.time()}


def _signalled(number: int) -> dict[str, Any]:
    return {"code": None, "signal": number}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
