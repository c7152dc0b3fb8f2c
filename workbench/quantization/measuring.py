"""What a model of any kind is worth and what it takes, in a process of its own. Workers only."""

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

from workbench.comparison.names import DEPTH
from workbench.errors import WorkbenchError, WorkerCrashed
from workbench.evaluation.candidates import CandidateSet, freeze, rerank
from workbench.evaluation.measure import Measured, measure, score, search_exactly
from workbench.evaluation.pictures import OnPictures, has_pictures
from workbench.evaluation.pool import Pool, asked_pool, excluding
from workbench.evaluation.results import lengths_of
from workbench.evaluation.texts import join_documents
from workbench.jobs.files import folder_bytes
from workbench.models.contract import Contract
from workbench.models.image_text import LoadedImageText
from workbench.models.load import load_model
from workbench.models.locate import locate, locate_folder
from workbench.quantization.quantize import convert
from workbench.workspace import Workspace

# One model measured in a process of its own, so that its memory is its own. Workers only.
#
# The processes are forked from a server that has imported the libraries and nothing else: each
# begins with the same memory, and none waits for torch to be imported once more.

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
    exclude_query_document: str
    trust_remote_code: bool
    #: Where the run is written (``run.npz``), and an embedding model's vectors if ``vectors``.
    folder: Path
    vectors: bool = False
    #: A format to convert the model to, into ``made``, before it is measured from there.
    method: str = ""
    made: Path | None = None


def run_in_subprocess(
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


RUN = "run.npz"
#: Late interaction searches all documents of data sets up to this size, as in an evaluation.
EXACT = 5000


def make(order: Order, progress: Progress) -> dict[str, Any]:
    """Convert the model into ``order.made``; how long that took."""
    assert order.made is not None
    began = time.monotonic()
    progress(0, 1)
    workspace = Workspace.open(order.home, trust_remote_code=order.trust_remote_code)
    try:
        local = locate(workspace, order.model)
        convert(local, order.method, order.made, device=order.device)
    finally:
        workspace.close()
    return {"seconds": time.monotonic() - began}


def take(order: Order, progress: Progress) -> dict[str, Any]:
    """Load the model, measure it on the data set, and write its run.

    The result: metrics by name, ``milliseconds_per_query`` (one at a time; for second stages with
    all its candidates), ``milliseconds_per_document`` (a pair, for a reranker), ``memory`` and
    ``bytes``.
    """
    workspace = Workspace.open(order.home, trust_remote_code=order.trust_remote_code)
    try:
        return _take(workspace, order, progress)
    finally:
        workspace.close()


def _take(workspace: Workspace, order: Order, progress: Progress) -> dict[str, Any]:
    reader: Any = workspace.datasets.read(order.dataset, order.version)
    made = order.made
    local = locate_folder(workspace, made) if made else locate(workspace, order.model)
    # The ground is laid before memory is counted.
    kind = local.contract.model_kind
    second = kind.reads_pairs or (kind.token_vectors and reader.counts["documents"] > EXACT)
    pool = asked_pool(reader, order.split, order)
    frozen = freeze(reader, order.split, pool, k=order.candidates) if second else None
    memory = Memory(order.device)
    model: Any = load_model(local, device=order.device, precision="fp32")
    if isinstance(model, LoadedImageText) and has_pictures(reader):
        model = OnPictures(model, reader.folder)
    found, times = (
        _ordered(model, frozen, progress) if frozen else _searched(model, pool, order, progress)
    )
    np.savez(order.folder / RUN, documents=found.run.documents, scores=found.run.scores)
    return {
        **found.scores.means(),
        **times,
        "queries": len(found.scores.queries),
        "documents": len(frozen.rows) if frozen else pool.documents,
        "memory": memory.peak(),
        "bytes": folder_bytes(local.folder),
        "dimensions": model.contract.dimensions,
        "normalize": model.contract.normalize,
        "kind": model.contract.kind,
        "device": model.device,
        "against": frozen.origin if frozen else "",
        "conditions": {
            **excluding(frozen.pool if frozen else pool),
            **lengths_of(model.contract),
        },
    }


@dataclass
class Timed:
    """An encoder that notes how long documents take, and writes vectors where they are wanted."""

    model: Any
    #: Vectors go to disk at once: in memory they would count as the model's.
    folder: Path | None
    seconds: float = 0.0
    written: int = 0

    @property
    def contract(self) -> Contract:
        contract: Contract = self.model.contract
        return contract

    def encode(self, texts: Any, role: Any, **options: Any) -> Any:
        began = time.monotonic()
        vectors = self.model.encode(texts, role, **options)
        # What is searched may be pictures.
        side = "query" if role == "query" else "document"
        if side == "document":
            self.seconds += time.monotonic() - began
        if self.folder is not None:
            np.save(self.folder / f"{side}-{self.written:06d}.npy", vectors)
            self.written += 1
        return vectors

    def max_sim(self, queries: Any, documents: Any) -> Any:
        return self.model.max_sim(queries, documents)


def _searched(
    model: Any, pool: Pool, order: Order, progress: Progress
) -> tuple[Measured, dict[str, float]]:
    # The first batch prepares what the others find ready.
    model.encode(pool.texts[:1], "query")
    seconds = []
    for at in spread(len(pool.texts)):
        began = time.monotonic()
        model.encode([pool.texts[at]], "query")
        seconds.append(time.monotonic() - began)
    late = model.contract.model_kind.token_vectors
    timed = Timed(model, order.folder if order.vectors and not late else None)
    found = (
        score(pool, search_exactly(timed, pool, k=DEPTH, progress=progress))
        if late
        else measure(timed, pool, progress=progress)
    )
    return found, {
        "milliseconds_per_query": middle(seconds),
        "milliseconds_per_document": 1000 * timed.seconds / max(1, pool.documents),
    }


def written(folder: Path, role: str) -> Any:
    """The vectors that a measurement left behind: (n, d) float32."""
    return np.concatenate([np.load(path) for path in sorted(folder.glob(f"{role}-*.npy"))])


def _ordered(
    model: Any, frozen: CandidateSet, progress: Progress
) -> tuple[Measured, dict[str, float]]:
    seconds: list[float] = []
    # The first is asked twice: it pays for what is loaded on first use.
    for at in [0, *spread(len(frozen.pool.texts))]:
        rows = frozen.run.documents[at]
        table = frozen.read(rows[rows >= 0])
        shown = join_documents(table, model.contract).to_pylist()
        one = np.stack([np.zeros(len(shown), np.int64), np.arange(len(shown))], axis=1)
        began = time.monotonic()
        model.score([frozen.pool.texts[at]], shown, one)
        seconds.append(time.monotonic() - began)
    began = time.monotonic()
    found = rerank(model, frozen, progress=progress)
    each = (time.monotonic() - began) / max(1, int((frozen.run.documents >= 0).sum()))
    return found, {
        "milliseconds_per_query": middle(seconds[1:]),
        "milliseconds_per_document": 1000 * each,
    }
