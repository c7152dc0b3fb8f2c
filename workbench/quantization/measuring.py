"""What a model of any kind is worth and what it takes, in a process of its own. Workers only."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench.evaluation.candidates import Frozen, freeze, rerank
from workbench.evaluation.entry import lengths_of
from workbench.evaluation.maxsim import search_exactly
from workbench.evaluation.measure import Measured, measure, score
from workbench.evaluation.metrics import DEPTH
from workbench.evaluation.pictures import OnPictures, has_pictures
from workbench.evaluation.pool import Pool, excluding, whole_pool
from workbench.evaluation.texts import join_documents
from workbench.jobs.files import folder_bytes
from workbench.models.contract import Contract
from workbench.models.image_text import LoadedImageText
from workbench.models.load import load_model
from workbench.models.resolve import ResolvedModel, resolve
from workbench.quantization.apart import Memory, Order, Progress, middle, spread
from workbench.quantization.convert import convert
from workbench.workspace import Workspace

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
        convert(
            resolve(workspace, order.model),
            order.method,
            order.made,
            device=order.device,
            trust_remote_code=order.trust_remote_code,
        )
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
    resolved = (
        ResolvedModel(order.made.name, str(order.made), Contract.read(order.made), None)
        if order.made
        else resolve(workspace, order.model)
    )
    # The ground is laid before memory is counted.
    kind = resolved.contract.kind if resolved.contract else "embedding"
    second = kind == "reranker" or (
        kind == "late-interaction" and reader.counts["documents"] > EXACT
    )
    about: dict[str, Any] = {
        "max_queries": order.max_queries,
        "seed": order.seed,
        "exclude": order.exclude,
    }
    ground: Any = (
        freeze(reader, order.split, k=order.candidates, **about)
        if second
        else whole_pool(reader, order.split, **about)
    )
    memory = Memory(order.device)
    model: Any = load_model(
        resolved,
        device=order.device,
        precision="fp32",
        trust_remote_code=order.trust_remote_code,
    )
    if isinstance(model, LoadedImageText) and has_pictures(reader):
        model = OnPictures(model, reader.folder)
    found, times = (
        _ordered(model, ground, progress) if second else _searched(model, ground, order, progress)
    )
    np.savez(order.folder / RUN, documents=found.run.documents, scores=found.run.scores)
    return {
        **found.scores.means(),
        **times,
        "queries": len(found.scores.queries),
        "documents": len(ground.rows) if second else ground.documents,
        "memory": memory.peak(),
        "bytes": folder_bytes(Path(resolved.source)),
        "dimensions": model.contract.dimensions,
        "normalize": model.contract.normalize,
        "kind": model.contract.kind,
        "device": model.device,
        "against": getattr(ground, "origin", ""),
        "conditions": {
            **(ground.excluding if second else excluding(ground)),
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
    late = model.contract.kind == "late-interaction"
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


def _ordered(model: Any, frozen: Frozen, progress: Progress) -> tuple[Measured, dict[str, float]]:
    pairs = frozen.pairs
    seconds: list[float] = []
    # The first is asked twice: it pays for what is loaded on first use.
    for at in [0, *spread(len(frozen.texts))]:
        own = pairs[pairs[:, 0] == at]
        table = frozen.read(frozen.rows[own[:, 1]])
        shown = join_documents(table, model.contract).to_pylist()
        one = np.stack([np.zeros(len(own), np.int64), np.arange(len(own))], axis=1)
        began = time.monotonic()
        model.score([frozen.texts[at]], shown, one)
        seconds.append(time.monotonic() - began)
    began = time.monotonic()
    found = rerank(model, frozen, progress=progress)
    each = (time.monotonic() - began) / max(1, len(pairs))
    return found, {
        "milliseconds_per_query": middle(seconds[1:]),
        "milliseconds_per_document": 1000 * each,
    }
