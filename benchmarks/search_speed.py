"""Search through the workbench against bare FAISS, for every structure, in the same run.

    python benchmarks/search_speed.py                         1,000,000 vectors of 384 dimensions
    python benchmarks/search_speed.py --vectors 100000 --structures flat hnsw

Vectors are made by chance in clusters. Bare FAISS is asked in a process of its own, the index read
into memory; the workbench through its client: a socket to the search process, the same index, the
text of ten documents, JSON back. The time the search process reports for encoding the question is
taken off. Both are asked the same questions (texts, encoded by the packaged model), in turns.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from workbench.jobs.launchers import patient  # noqa: E402

os.environ.update(patient(os.environ))

STRUCTURES = ("flat", "hnsw", "ivf", "sq8", "pq", "ivfpq", "binary")
#: Vectors made at a time, questions, how often each block is asked.
BLOCK, QUESTIONS, TURNS = 50_000, 100, 5
_CLUSTERS = 2_000


def main() -> None:
    asked = read_arguments()
    with tempfile.TemporaryDirectory(prefix="search-speed-") as made:
        folder = Path(made)
        spool = make_vectors(folder, asked.vectors, asked.dimensions)
        questions = near(spool)
        print(f"{asked.vectors:,} vectors of {asked.dimensions} dimensions", flush=True)
        print(
            "structure, build s, MB, recall@10, bare q/s, p50, p95, ours q/s, p50, p95, "
            "overhead p50, p95"
        )
        for structure in asked.structures:
            print(", ".join(measure(folder, spool, questions, structure)), flush=True)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--structures", nargs="+", default=STRUCTURES, choices=STRUCTURES)
    return parser.parse_args()


def make_vectors(folder: Path, count: int, dimensions: int) -> Any:
    from workbench.search.vectors import Spool

    rng = np.random.default_rng(0)
    centres = rng.standard_normal((_CLUSTERS, dimensions)).astype(np.float32)
    spool = Spool(folder / "vectors.f32", count, dimensions)
    for start in range(0, count, BLOCK):
        size = min(BLOCK, count - start)
        noise = rng.standard_normal((size, dimensions), dtype=np.float32)
        made = centres[rng.integers(0, _CLUSTERS, size)] + 0.8 * noise
        spool.add(made / np.linalg.norm(made, axis=1, keepdims=True))
    return spool


def near(spool: Any) -> Any:
    """Questions: some documents' vectors, moved a little."""
    rng = np.random.default_rng(1)
    chosen = spool.sample(QUESTIONS, 1)
    return (chosen + 0.02 * rng.standard_normal(chosen.shape)).astype(np.float32)


def measure(folder: Path, spool: Any, questions: Any, structure: str) -> list[str]:
    from workbench.recipes.evaluate import IndexRecipe
    from workbench.search.measure import measure as recall_of
    from workbench.search.plan import make_plan
    from workbench.search.searcher import Searcher
    from workbench.search.structures import build

    home = folder / structure
    recipe = IndexRecipe(dataset="made", structure=structure)
    plan = make_plan(recipe, spool.rows, spool.dimensions, True)
    where = home / "indexes" / structure
    where.mkdir(parents=True)
    started = time.monotonic()
    built = build(plan, spool, lambda _: None, lambda _: None)
    took = time.monotonic() - started
    size = built.write(where)
    del built
    write_texts(where, spool.rows)
    recall = recall_of(Searcher(plan, where), spool, questions[:50])["recall@10"]
    register(home, structure, plan, spool.rows, size)
    bare, ours = in_turns(home, structure, encoded(home))
    over = np.array(ours) - np.array(bare)
    return [
        structure,
        f"{took:.0f}",
        f"{size / 1e6:,.0f}",
        f"{recall:.3f}",
        *numbers(bare),
        *numbers(ours),
        f"{np.percentile(over, 50):.2f}",
        f"{np.percentile(ours, 95) - np.percentile(bare, 95):.2f}",
    ]


def encoded(home: Path) -> Any:
    """The vectors of what the client asks."""
    from workbench.models.load import load_embedding
    from workbench.models.resolve import resolve
    from workbench.workspace import Workspace

    workspace = Workspace.open(home)
    model = load_embedding(resolve(workspace, "all-MiniLM-L6-v2"))
    workspace.close()
    return model.encode([f"question {number}" for number in range(QUESTIONS)], "query")


def numbers(took: list[float]) -> list[str]:
    ms = np.array(took)
    return [f"{1000 / ms.mean():,.0f}", *(f"{np.percentile(ms, at):.2f}" for at in (50, 95))]


def write_texts(folder: Path, count: int) -> None:
    import pyarrow as pa

    from workbench.search.texts import write_documents

    def tables() -> Any:
        for start in range(0, count, 10_000):
            rows = np.arange(start, min(count, start + 10_000))
            ids = [f"document:{row}" for row in rows]
            texts = [f"The text of document {row}. " + "Some words more. " * 30 for row in rows]
            nothing = pa.nulls(len(rows), pa.string())
            names = ["row", "id", "title", "text", "picture", "fields"]
            yield pa.table([rows, ids, nothing, texts, nothing, nothing], names=names)

    write_documents(folder, tables())


def register(home: Path, structure: str, plan: Any, count: int, size: int) -> None:
    """A workspace with one index; its data set is the smallest there can be."""
    from storage.records import Index
    from tests.workbench.data.fakes import context
    from workbench.data.job import run_sample
    from workbench.recipes.data import SampleRecipe
    from workbench.workspace import Workspace

    workspace = Workspace.open(home)
    run_sample(
        SampleRecipe(name="made", train_pairs=50, dev_pairs=10, test_pairs=50), context(workspace)
    )
    model = workspace.models.ensure_packaged()
    contract = {**model.contract, "dimensions": plan.dimensions}
    workspace.indexes.add(
        Index(
            id=structure,
            name=structure,
            dataset_id=workspace.datasets.get("made").id,
            version=1,
            model=model.name,
            model_id=model.id,
            type="exact",
            path=f"indexes/{structure}",
            documents=count,
            bytes=size,
            contract=contract,
            summary={"plan": plan.to_dict()},
            created_at=time.time(),
        )
    )
    workspace.close()


def in_turns(home: Path, structure: str, questions: Any) -> tuple[list[float], list[float]]:
    """Milliseconds of each question: bare, and through the workbench without encoding."""
    from workbench.search.client import SearchClient
    from workbench.workspace import Workspace

    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=bare_process, args=(there, str(home / "indexes" / structure), structure, questions)
    )
    process.start()
    workspace = Workspace.open(home)
    client = SearchClient(workspace)
    client.warm([structure], wait=True)
    bare: list[float] = []
    ours: list[float] = []
    try:
        for turn in range(TURNS + 1):
            here.send("go")
            first = here.recv()
            second = []
            for number in range(len(questions)):
                started = time.perf_counter()
                found = client.search(structure, f"question {number}", 10)
                whole = (time.perf_counter() - started) * 1000
                second.append(whole - found.milliseconds["encode"])
            if turn:  # The first turn warms both.
                bare += first
                ours += second
    finally:
        here.send("stop")
        process.join()
        client.close()
        workspace.close()
    return bare, ours


def bare_process(pipe: Any, folder: str, structure: str, questions: Any) -> None:
    import faiss

    binary = structure == "binary"
    path = f"{folder}/index.faiss"
    index = faiss.read_index_binary(path) if binary else faiss.read_index(path)
    ready = np.packbits(questions > 0, axis=1) if binary else questions
    while pipe.recv() == "go":
        took = []
        for number in range(len(ready)):
            started = time.perf_counter()
            index.search(ready[number : number + 1], 10)
            took.append((time.perf_counter() - started) * 1000)
        pipe.send(took)


if __name__ == "__main__":
    main()
