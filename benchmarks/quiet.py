"""Whether other programs want the machine: before a benchmark, and while it runs."""

import os
import sys
import threading
import time
from typing import Self

import psutil

#: A machine is quiet when its load has stayed below this, in cores, for so many seconds.
QUIET_LOAD, QUIET_SECONDS = 0.3, 20.0
#: Seconds between two looks at the processes of a benchmark.
EVERY = 1.0


def wait_for_quiet(most: float) -> bool:
    """True once nothing else has wanted the cores for a while; False when ``most`` is over.

    The system's load average forgets in a minute or more, and a benchmark that ended just now is
    still in it: so the load is what was used of the cores, second by second.
    """
    began = quiet_since = time.monotonic()
    psutil.cpu_percent(None)
    while time.monotonic() - began < most:
        used = psutil.cpu_percent(1.0) / 100 * (psutil.cpu_count() or 1)
        if used >= QUIET_LOAD:
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since >= QUIET_SECONDS:
            return True
    print("The machine did not become quiet; what is measured now is marked busy.", file=sys.stderr)
    return False


class Others:
    """What other programs used of the cores while a benchmark ran, in cores on average.

    The benchmark's own are the processes that this one started, and what they started.
    """

    cores = 0.0

    def __enter__(self) -> Self:
        self._ended = threading.Event()
        self._seen: dict[int, float] = {}
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._began = (time.monotonic(), _machine(), _waited_for())
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._watch.join()
        clock, machine, waited = (
            now - then
            for now, then in zip(
                (time.monotonic(), _machine(), _waited_for()), self._began, strict=True
            )
        )
        # Short processes are seen in the one sum only, those that nobody waits for in the other.
        own = max(waited, sum(self._seen.values()))
        self.cores = max(0.0, machine - own) / max(clock, 1e-9)

    def _look(self) -> None:
        this = psutil.Process()
        while not self._ended.wait(EVERY):
            for one in this.children(recursive=True):
                try:
                    times = one.cpu_times()
                except psutil.Error:
                    continue  # It has ended.
                self._seen[one.pid] = times.user + times.system


def _machine() -> float:
    """Seconds that all cores were used, by anybody."""
    times = psutil.cpu_times()._asdict()
    idle = ("idle", "iowait", "guest", "guest_nice")
    return float(sum(seconds for name, seconds in times.items() if name not in idle))


def _waited_for() -> float:
    """Processor seconds of this process and of all that it, or they, waited for."""
    return sum(os.times()[:4])
