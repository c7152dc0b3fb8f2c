"""Processes beyond doubt, and ending them. Pids are reused; pid and start time together are not."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import psutil

from storage.records import ProcessRef


def process_ref(pid: int) -> ProcessRef | None:
    """The process that has this pid now, or None when there is none or it is a zombie."""
    try:
        started = _started(pid)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
    return None if started is None else ProcessRef(pid, started)


def this_process() -> ProcessRef:
    """The process we are."""
    ref = process_ref(os.getpid())
    assert ref is not None, "a running process finds itself"
    return ref


def alive(ref: ProcessRef | None) -> bool:
    """Does exactly this process still run? A zombie does not."""
    if ref is None:
        return False
    now = process_ref(ref.pid)
    return now is not None and abs(now.started - ref.started) < 0.05


def signal_group(leader: ProcessRef | None, number: signal.Signals) -> bool:
    """Send a signal to the whole process group of a living leader; False if it is gone."""
    if leader is None or not alive(leader):
        return False
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader.pid, number)
        return True
    return False


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
