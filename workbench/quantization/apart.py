"""One model measured in a process of its own, so that its memory is its own. Workers only.

The processes are forked from a server that has imported the libraries and nothing else: each begins
with the same memory, and none waits for torch to be imported once more.
"""

import multiprocessing
import multiprocessing.connection
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from workbench.errors import WorkbenchError, WorkerCrashed

Progress = Callable[[int, int], None]
#: Queries that are asked one at a time, for milliseconds per query.
TIMED = 20
_WAIT = 0.3


@dataclass(frozen=True, slots=True)
class Order:
    """What to measure. Everything a fresh process needs to know."""

    home: Path
    #: A model of the workspace or a folder.
    model: str
    dataset: str
    version: int
    split: str
    max_queries: int | None
    candidates: int
    device: str
    seed: int
    #: The switch ``exclude_query_document``.
    exclude: str
    trust_remote_code: bool
    #: Where the run is written (``run.npz``), and an embedding model's vectors if ``vectors``.
    folder: Path
    vectors: bool = False
    #: A format to convert the model to, into ``made``, before it is measured from there.
    method: str = ""
    made: Path | None = None


def apart(
    function: Callable[[Order, Progress], dict[str, Any]],
    order: Order,
    progress: Progress,
    stop: Callable[[], None],
) -> dict[str, Any]:
    """Call ``function`` in a new process and return what it returns.

    ``stop`` is called a few times a second and may raise: the process is then killed. Raises the
    :class:`WorkbenchError` that the function raised, and :class:`WorkerCrashed` where it raised
    anything else, or the process ended without a word.
    """
    context: Any = multiprocessing.get_context(_way())
    if _way() == "forkserver":
        context.set_forkserver_preload([_LOADS])
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_inside, args=(function, order, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        return _listen(process, ours, progress, stop)
    finally:
        if process.is_alive():
            process.kill()
        process.join()
        ours.close()


_LOADS = "workbench.quantization.measuring"


def _way() -> str:
    known = multiprocessing.get_all_start_methods()
    return "forkserver" if "forkserver" in known else "spawn"


def _listen(
    process: Any, ours: Any, progress: Progress, stop: Callable[[], None]
) -> dict[str, Any]:
    while True:
        stop()
        if not ours.poll(_WAIT):
            continue
        try:
            word, said = ours.recv()
        except EOFError:
            process.join()
            raise _ended(process.exitcode) from None
        if word == "progress":
            progress(*said)
        elif word == "failed":
            raise said
        else:
            return dict(said)


def _ended(code: int | None) -> WorkerCrashed:
    how = f"by signal {-code}" if code is not None and code < 0 else f"with status {code}"
    return WorkerCrashed(
        f"The process that measured this ended {how}, without a result.",
        "If memory ran out, measure a smaller format or fewer queries.",
    )


def _inside(
    function: Callable[[Order, Progress], dict[str, Any]],
    order: Order,
    theirs: multiprocessing.connection.Connection,
) -> None:
    last = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > _WAIT:
            last = time.monotonic()
            theirs.send(("progress", (done, total)))

    try:
        theirs.send(("done", function(order, progress)))
    except WorkbenchError as error:
        theirs.send(("failed", error))
    except Exception as error:  # noqa: BLE001 - the row in the lab's table says what it was
        traceback.print_exc()
        theirs.send(("failed", unforeseen(error)))


def unforeseen(error: Exception) -> WorkbenchError:
    """What nobody thought of, in a sentence."""
    first_line = str(error).strip().split("\n")[0].rstrip(".")
    return WorkerCrashed(
        f"It stopped with an unexpected error: {type(error).__name__}: {first_line}.",
        "The job's log has the details.",
    )


class Memory:
    """The most that this process held beyond what it held when this was made, in bytes."""

    def __init__(self, device: str) -> None:
        self.gpu = device.startswith("cuda")
        self.before = psutil.Process().memory_info().rss

    def peak(self) -> int:
        if self.gpu:
            import torch

            return int(torch.cuda.max_memory_allocated())
        return max(0, _highest() - self.before)


def _highest() -> int:
    """The kernel's own count of the most this process has held; not inherited from its parent."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held if sys.platform == "darwin" else held * 1024


def middle(seconds: list[float]) -> float:
    """Their median in milliseconds."""
    return 1000 * statistics.median(seconds)


def spread(count: int) -> list[int]:
    """At most :data:`TIMED` rows, evenly from the first to the last."""
    if not count:
        return []
    return sorted(set(np.linspace(0, count - 1, TIMED).round().astype(int).tolist()))
