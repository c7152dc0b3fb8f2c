"""Evaluation from kept encodings, against sentence-transformers' InformationRetrievalEvaluator.

    python benchmarks/evaluation_speed.py                  5,000 queries, 100,000 documents
    python benchmarks/evaluation_speed.py --documents 1000000 --queries 10000 --ours-only

Both sides get the same vectors (made by chance, each query near one document) and answer with the
same metrics; each run is a process of its own, in turns. Ours is the whole path of an evaluation
whose texts were encoded before: texts hashed, vectors found in the parts on disk, exact search,
metrics by ir_measures. Theirs is handed the vectors as tensors and need not look for them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from workbench.jobs.launchers import patient  # noqa: E402

# As workers have it, before torch is imported; both sides alike.
os.environ.update(patient(os.environ))

#: Vectors made at a time.
BLOCK = 50_000
#: Documents judged relevant to a query; the first is near it, the others are by chance.
RELEVANT = 3


def main() -> None:
    asked = read_arguments()
    if asked.side:
        print(json.dumps(SIDES[asked.side](asked.folder)))
        return
    with tempfile.TemporaryDirectory(prefix="evaluation-speed-") as made:
        folder = Path(made)
        make(folder, asked.queries, asked.documents, asked.dimensions)
        filled = run("fill", folder)
        print(f"encodings written: {filled['seconds']:.1f} s, {filled['disk'] / 1e6:,.0f} MB")
        pairs = []
        for number in range(asked.repeats):
            pairs.append({"ours": run("ours", folder)})
            if not asked.ours_only:
                pairs[-1]["theirs"] = run("theirs", folder)
            show(number, pairs[-1])
        if not asked.ours_only:
            summarise(pairs)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=5_000)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--ours-only", action="store_true")
    parser.add_argument("--side", choices=sorted(SIDES), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def run(side: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--side", side, "--folder", str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def show(number: int, sides: dict[str, dict[str, Any]]) -> None:
    for side, one in sides.items():
        parts = ", ".join(f"{name} {seconds:.2f}" for name, seconds in one["parts"].items())
        print(
            f"{number + 1} {side:7} {one['seconds']:7.2f} s, {one['cpu']:.2f} s of CPU ({parts})  "
            f"MAP@100 {one['map']:.6f}  "
            f"peak {one['peak']:,.0f} MB, {one['peak'] - one['before']:,.0f} MB above the start",
            flush=True,
        )


def summarise(pairs: list[dict[str, dict[str, Any]]]) -> None:
    ratios = [one["theirs"]["seconds"] / one["ours"]["seconds"] for one in pairs]
    peaks = [one["theirs"]["peak"] / one["ours"]["peak"] for one in pairs]
    added = [
        (one["theirs"]["peak"] - one["theirs"]["before"])
        / (one["ours"]["peak"] - one["ours"]["before"])
        for one in pairs
    ]
    words = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"times faster: {words}; median {statistics.median(ratios):.2f}")
    worked = [one["theirs"]["cpu"] / one["ours"]["cpu"] for one in pairs]
    words = ", ".join(f"{ratio:.2f}" for ratio in worked)
    print(f"times less CPU: {words}; median {statistics.median(worked):.2f}")
    print(f"their peak memory is {statistics.median(peaks):.1f} times ours,")
    print(f"above what each process has before it starts {statistics.median(added):.1f} times")
    assert all(abs(one["ours"]["map"] - one["theirs"]["map"]) < 1e-6 for one in pairs)


# -- what is asked -------------------------------------------------------------------------------


def make(folder: Path, queries: int, documents: int, dimensions: int) -> None:
    random = np.random.default_rng(11)
    shape = (documents, dimensions)
    path = folder / "documents.npy"
    vectors = np.lib.format.open_memmap(path, "w+", dtype=np.float32, shape=shape)
    for start in range(0, documents, BLOCK):
        vectors[start : start + BLOCK] = unit(random, min(BLOCK, documents - start), dimensions)
    near = np.sort(random.choice(documents, queries, replace=False))
    noisy = vectors[near] + 1.6 * unit(random, queries, dimensions)
    np.save(folder / "queries.npy", noisy / np.linalg.norm(noisy, axis=1, keepdims=True))
    relevant = random.integers(0, documents, (queries, RELEVANT))
    relevant[:, 0] = near
    np.save(folder / "relevant.npy", relevant)


def unit(random: np.random.Generator, count: int, dimensions: int) -> Any:
    found = random.standard_normal((count, dimensions), dtype=np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def judgments(folder: Path) -> dict[int, dict[int, int]]:
    rows = np.load(folder / "relevant.npy").tolist()
    return {query: dict.fromkeys(documents, 1) for query, documents in enumerate(rows)}


# -- ours ----------------------------------------------------------------------------------------


class Lookup:
    """Stands in for a model: a text's number is its row among the vectors made by chance."""

    def __init__(self, folder: Path) -> None:
        from workbench.models.contract import Contract

        self.contract = Contract()
        self.vectors = {
            role: np.load(folder / name, mmap_mode="r")
            for role, name in (("query", "queries.npy"), ("document", "documents.npy"))
        }

    def encode(self, texts: list[str], role: str, **_: Any) -> Any:
        return np.asarray(self.vectors[role][[int(text.split()[1]) for text in texts]])


class Nothing(Lookup):
    """A model that must not be needed any more."""

    def encode(self, texts: list[str], role: str, **_: Any) -> Any:
        raise AssertionError(f"{len(texts)} texts were not found on disk")


def cached(folder: Path, model: Lookup) -> Any:
    from workbench.evaluation.cache import EncodingCache
    from workbench.evaluation.encode import CachedEncoder

    dimensions = model.vectors["query"].shape[1]
    how = {"weights": "by chance", "dimensions": dimensions}
    return CachedEncoder(model, EncodingCache(folder, limit=10**11), "by chance", how)


def pool_of(folder: Path) -> Any:
    import pyarrow as pa

    from workbench.evaluation.pool import BLOCK as STEP
    from workbench.evaluation.pool import Pool

    queries = len(np.load(folder / "queries.npy", mmap_mode="r"))
    documents = len(np.load(folder / "documents.npy", mmap_mode="r"))

    def blocks() -> Any:
        for start in range(0, documents, STEP):
            rows = np.arange(start, min(start + STEP, documents))
            texts = pa.array([f"document {row}" for row in rows.tolist()])
            titles = pa.array([""] * len(rows))
            yield rows, pa.table({"title": titles, "text": texts})

    return Pool(
        queries=np.arange(queries),
        texts=[f"query {row}" for row in range(queries)],
        judgments=judgments(folder),
        documents=documents,
        blocks=blocks,
        places=lambda: np.arange(documents),
    )


def fill(folder: Path) -> dict[str, Any]:
    from workbench.evaluation.texts import join_documents

    pool, model = pool_of(folder), cached(folder, Lookup(folder))
    started = time.perf_counter()
    model.encode(pool.texts, "query")
    for _, table in pool.blocks():
        model.encode(join_documents(table, model.contract).to_pylist(), "document")
    return {"seconds": time.perf_counter() - started, "disk": model.cache.bytes()}


def ours(folder: Path) -> dict[str, Any]:
    import torch  # noqa: F401  # A process that encodes has it; the search makes use of it.

    from workbench.evaluation.measure import retrieve, score

    pool, model = pool_of(folder), cached(folder, Nothing(folder))
    before, started, worked = peak(), time.perf_counter(), time.process_time()
    found = retrieve(model, pool, k=100)
    searched = time.perf_counter()
    measured = score(pool, found)
    ended = time.perf_counter()
    return {
        "seconds": ended - started,
        "cpu": time.process_time() - worked,
        "parts": {"vectors and search": searched - started, "metrics": ended - searched},
        "map": measured.scores.means()["map@100"],
        "before": before,
        "peak": peak(),
    }


# -- theirs --------------------------------------------------------------------------------------


def theirs(folder: Path) -> dict[str, Any]:
    import torch
    from sentence_transformers.sentence_transformer.evaluation import (
        InformationRetrievalEvaluator,
    )

    vectors = {
        name: torch.from_numpy(np.load(folder / f"{name}.npy")) for name in ("queries", "documents")
    }

    class Given(InformationRetrievalEvaluator):
        def embed_inputs(
            self, model: Any, sentences: Any, encode_fn_name: Any = None, **_: Any
        ) -> Any:
            return vectors["queries"]

    pool = pool_of(folder)
    # Ids of one length, so that their order as text is that of the numbers.
    evaluator = Given(
        {str(row): text for row, text in enumerate(pool.texts)},
        {f"{row:09}": f"document {row}" for row in range(pool.documents)},
        {
            str(query): {f"{one:09}" for one in documents}
            for query, documents in pool.judgments.items()
        },
        score_functions={"cosine": lambda one, other: one @ other.T},
    )
    before, started, worked = peak(), time.perf_counter(), time.process_time()
    # The model is asked for nothing but the queries, which are given above.
    found = evaluator.compute_all_metrics(None, corpus_embeddings=vectors["documents"])
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "cpu": time.process_time() - worked,
        "parts": {},
        "map": found["cosine"]["map@k"][100],
        "before": before,
        "peak": peak(),
    }


def peak() -> float:
    """The most memory this process has held, in MB. (getrusage would count what the process that
    started it held as well.)"""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


SIDES = {"fill": fill, "ours": ours, "theirs": theirs}

if __name__ == "__main__":
    main()
