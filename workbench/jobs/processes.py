"""Processes of this machine beyond doubt: known by id and start time, as ids are reused.

Each is a text, '1234@5678.9', that a record can hold. This is what the local launcher and the
runner that it starts know of processes, of their groups and of the lock on a job's folder.
"""

import fcntl
import os
import signal
from contextlib import suppress
from pathlib import Path

import psutil

LOCK = "run.lock"


def process_ref(pid: int) -> str | None:
    """The process that has this id now, or None when there is none or it is a zombie."""
    try:
        started = _started(pid)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
    return None if started is None else f"{pid}@{started}"


def this_process() -> str:
    """The process we are."""
    ref = process_ref(os.getpid())
    assert ref is not None, "a running process finds itself"
    return ref


def pid_of(ref: str) -> int:
    return int(ref.partition("@")[0])


def alive(ref: str | None) -> bool:
    """Does exactly this process still run? A zombie does not."""
    now = process_ref(pid_of(ref)) if ref else None
    return now is not None and abs(_start_time(now) - _start_time(ref or "")) < 0.05


def only_child(ref: str | None) -> str | None:
    """The first process that a living one has started; None where there is none."""
    if ref is None or not alive(ref):
        return None
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        for child in psutil.Process(pid_of(ref)).children():
            return process_ref(child.pid)
    return None


def signal_group(leader: str | None, number: signal.Signals) -> bool:
    """Send a signal to the whole process group of a living leader; False if it is gone."""
    if leader is None or not alive(leader):
        return False
    return kill_group(pid_of(leader), number)


def kill_group(group: int, number: signal.Signals) -> bool:
    """Signal a process group; False if it is gone."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        return True
    return False


def lock_folder(folder: Path) -> int | None:
    """Lock a job's folder until we, and those who inherit the returned descriptor, are all gone:
    whatever the record says, no second worker enters. None where somebody works there."""
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    return handle


def _start_time(ref: str) -> float:
    return float(ref.partition("@")[2])


def _started(pid: int) -> float | None:
    """Start time in seconds; None for a zombie.

    On Linux it is counted from boot, as the kernel keeps it: the time of day that psutil derives
    from it jumps when the clock is set, and a living worker would be taken for dead.
    """
    stat = Path(f"/proc/{pid}/stat")
    if not stat.parent.parent.joinpath("self").exists():
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    try:
        text = stat.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name (second field) may hold anything, parentheses too: count from the last one.
    fields = text.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")
