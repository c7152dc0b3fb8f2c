"""Search through the workbench against bare FAISS with the same index file, for every structure.

    python benchmarks/search_speed.py                       1,000,000 documents: what is built soon
    python benchmarks/search_speed.py --hnsw                the graph, too: minutes more
    python benchmarks/search_speed.py --vectors 50000 --bare-build --json R.json

Indexes are built by real index jobs over made-up documents whose encodings are kept already
(benchmarks/made.py). Asked are what functions of the standard library say of themselves, encoded by
the packaged model on both sides; neither clock counts encoding. 'Bare' is a process that holds the
index in memory, encodes a question with sentence-transformers and asks FAISS with the same
parameters (a binary index's finds are rescored as ours are); 'loop' is FAISS alone in that process,
question after question, vectors ready. 'Ours' is asked through the client: a socket to the search
process, FAISS, the texts of ten documents, judged marks, the answer back. The two are asked each
question right after one another; 'over' is ours less bare, question by question. It has two parts:
'rest' is what the search process does besides encoding, less bare; 'way' is what passes between
asking and getting the answer outside of that process's clock. ``--bare-build`` also builds each
index from vectors in memory with FAISS alone: ours is a job, which finds kept encodings by their
texts' digests, writes the documents beside the index, and measures its recall.
"""

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import made
from benchmarks.sides import Row, write_rows

made.surroundings()

import numpy as np  # noqa: E402

#: Asked for unless others are named; the graph of a million takes ten minutes.
SOON = ("ivf", "ivfpq", "binary", "flat", "sq8")
GRAPH = "hnsw"
STRUCTURES = (*SOON, "pq", GRAPH)
#: Questions that warm both sides before the first turn.
WARMING = 5
#: Made-up queries of the data set: recall@10 is measured with 200 of them.
QUERIES = 1_000
TOP = 10
#: Milliseconds of a question: bare FAISS's encoding and search, ours without encoding, what that is
#: over bare, and ours by its parts: encoding, the rest in the search process, the way to it.
TIMES = ("bare_encode", "bare", "ours", "over", "encode", "rest", "way")


def main() -> None:
    asked = read_arguments()
    with tempfile.TemporaryDirectory(prefix="search-speed-") as temporary:
        home = asked.folder or Path(temporary) / "home"
        # In a process of its own: it holds a model.
        in_process(made.make, home, asked.vectors, QUERIES)
        print(f"{asked.vectors:,} documents are there", flush=True)
        found = []
        for structure in (*asked.structures, *([GRAPH] if asked.hnsw else [])):
            found.append(measure(home, structure, asked))
            print(json.dumps(found[-1]), flush=True)
            if asked.json:
                asked.json.write_text(json.dumps([*read(asked.json), found[-1]], indent=1))
    write_rows(asked.out, rows(found))


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--structures", nargs="+", default=SOON, choices=STRUCTURES)
    parser.add_argument("--hnsw", action="store_true", help="the graph, too")
    parser.add_argument("--bare-build", action="store_true", help="build with FAISS alone, too")
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--turns", type=int, default=3, help="at most")
    parser.add_argument("--seconds", type=float, default=45.0, help="no turn begins after so many")
    parser.add_argument("--folder", type=Path, help="keep what is made here, and use it again")
    parser.add_argument("--keep", action="store_true", help="keep the indexes, too")
    parser.add_argument("--json", type=Path, help="add each structure's numbers to this file")
    parser.add_argument("--out", type=Path, help="write the rows of run.py to this file")
    return parser.parse_args()


def read(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []


def in_process(run: Any, *given: Any) -> None:
    process = multiprocessing.get_context("spawn").Process(target=run, args=given)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{run.__name__} ended with {process.exitcode}")


# -- one structure -------------------------------------------------------------------------------


def measure(home: Path, structure: str, asked: argparse.Namespace) -> dict[str, Any]:
    from workbench.workspace import Workspace

    workspace = Workspace.open(home)
    try:
        if workspace.indexes.exists(structure):
            built: dict[str, Any] = {}
        else:
            recipe = made.MeasuredIndex(dataset=made.NAME, structure=structure, name=structure)
            built = made.done(home, recipe)["measured"]
        record = workspace.indexes.get(structure)
        barely = built_barely(home, record) if asked.bare_build else None
        times = in_turns(workspace, home, structure, asked)
        if not asked.keep:
            workspace.indexes.remove(structure)
    finally:
        workspace.close()
    return {
        "structure": record.summary["structure"],
        "documents": record.documents,
        "bytes": record.bytes,
        "recall@10": record.summary["recall@10"],
        # Without loading the model; reading kept encodings and measuring are part of it.
        "build_seconds": built["whole"] - built["loading"] if built else None,
        "build_cpu": built.get("cpu"),
        "build_peak_mb": built.get("peak"),
        "bare_build": barely,
        **times,
        "load_average": os.getloadavg()[0],
        "measured_at": time.strftime("%Y-%m-%d %H:%M"),
    }


def built_barely(home: Path, record: Any) -> dict[str, float]:
    """Seconds of a process that builds the same index, its vectors in memory, and of its parts."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(building, (home, record))


def building(home: Path, record: Any) -> dict[str, float]:
    from workbench.search.index_types import INDEX_TYPES
    from workbench.search.registry import plan_of

    plan = plan_of(record)
    vectors = np.array(np.load(home / made.VECTORS, mmap_mode="r"))
    index = INDEX_TYPES.get(plan.structure).load()(plan)
    chosen = np.random.default_rng(0).permutation(len(vectors))[: plan.train_rows]
    began, worked, laps = time.perf_counter(), time.process_time(), {}

    def lap(name: str, done: Any) -> None:
        since = time.perf_counter()
        done()
        laps[name] = time.perf_counter() - since

    if plan.train_rows:
        lap("train", lambda: index.train(vectors[np.sort(chosen)]))
    lap("add", lambda: index.add(vectors))
    with tempfile.TemporaryDirectory(dir=home) as folder:
        lap("write", lambda: index.write(Path(folder)))
        whole = time.perf_counter() - began
    return {**laps, "seconds": whole, "cpu": time.process_time() - worked}


def in_turns(
    workspace: Any, home: Path, structure: str, asked: argparse.Namespace
) -> dict[str, Any]:
    """Milliseconds as percentiles, of some turns after a few questions that warm both."""
    from workbench.search.client import SearchClient

    texts = list(made.questions(asked.questions))
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    folder = str(workspace.indexes.folder(structure))
    process = spawn.Process(target=bare_process, args=(there, home, folder, structure))
    process.start()
    client = SearchClient(workspace)
    client.warm([structure], wait=True)
    turns: list[dict[str, list[float]]] = []
    same: list[float] = []

    def turn(texts: list[str]) -> dict[str, list[float]]:
        one: dict[str, list[float]] = {name: [] for name in TIMES}
        here.send(texts)
        one["loop"] = here.recv()
        for text in texts:
            here.send(text)
            encode, bare, rows = here.recv()
            began = time.perf_counter()
            found = client.search(structure, text, TOP)
            whole, said = (time.perf_counter() - began) * 1000, found.milliseconds
            parts = (encode, bare, whole - said["encode"], whole - said["encode"] - bare)
            parts += (said["encode"], said["search"] - bare, whole - said["total"])
            for name, value in zip(TIMES, parts, strict=True):
                one[name].append(value)
            same.append(len({hit.row for hit in found.hits} & set(rows)) / TOP)
        return one

    try:
        turn(texts[:WARMING])
        began = time.perf_counter()
        while len(turns) < asked.turns and (
            not turns or time.perf_counter() - began < asked.seconds
        ):
            turns.append(turn(texts))
    finally:
        here.send(None)
        process.join()
        client.close()
    found_: dict[str, Any] = {}
    for name in (*TIMES, "loop"):
        values = [value for one in turns for value in one[name]]
        found_ |= {f"{name}_p{at}": float(np.percentile(values, at)) for at in (50, 95)}
    of_turns = {
        f"p{at}": {name: [float(np.percentile(one[name], at)) for one in turns] for name in TIMES}
        for at in (50, 95)
    }
    return {**found_, "turns": of_turns, "same_documents": float(np.mean(same))}


def bare_process(pipe: Any, home: Path, folder: str, structure: str) -> None:
    """Answers a list of texts with FAISS's milliseconds in a loop, a text with its own and rows."""
    import faiss
    from sentence_transformers import SentenceTransformer

    from workbench.search.registry import plan_of
    from workbench.workspace import Workspace

    workspace = Workspace.open(home)
    plan = plan_of(workspace.indexes.get(structure))
    model = SentenceTransformer(str(workspace.path(workspace.models.get(made.MODEL).path)))
    workspace.close()
    search = asked_barely(faiss, folder, plan)
    vectors: dict[str, Any] = {}

    def timed(vector: Any) -> tuple[float, list[int]]:
        began = time.perf_counter()
        rows = search(vector)
        return (time.perf_counter() - began) * 1000, rows

    def encoded(text: str) -> Any:
        return model.encode([text], normalize_embeddings=True, show_progress_bar=False)

    def both(text: str) -> tuple[float, float, list[int]]:
        began = time.perf_counter()
        vector = encoded(text)
        return (time.perf_counter() - began) * 1000, *timed(vector)

    while (asked := pipe.recv()) is not None:
        if isinstance(asked, list):
            for text in asked:
                if text not in vectors:
                    vectors[text] = encoded(text)
            pipe.send([timed(vectors[text])[0] for text in asked])
        else:
            pipe.send(both(asked))


def asked_barely(faiss: Any, folder: str, plan: Any) -> Any:
    """A function from a vector (1, d) to the rows of the ten best, as a script would write it."""
    path = f"{folder}/index.faiss"
    if plan.structure != "binary":
        index = faiss.read_index(path)
        if plan.parameters["lists"]:
            index.nprobe = plan.parameters["probes"]
        if plan.parameters["effort"]:
            index.hnsw.efSearch = plan.parameters["effort"]
        return lambda vector: index.search(vector, TOP)[1][0].tolist()
    signs = faiss.read_index_binary(path)
    fine = faiss.read_index(f"{folder}/rescore.faiss")

    def search(vector: Any) -> list[int]:
        rows = signs.search(np.packbits(vector > 0, axis=1), TOP * plan.parameters["rescore"])[1][0]
        best = np.argsort(-(fine.reconstruct_batch(rows) @ vector[0]), kind="stable")[:TOP]
        return [int(row) for row in rows[best]]

    return search


# -- what came out -------------------------------------------------------------------------------


def rows(found: list[dict[str, Any]]) -> list[Row]:
    """For each structure: turn by turn, against bare FAISS, and what comes on top of it."""
    made_of = []
    for one in found:
        about = f"{one['documents']:,} documents, {one['structure']}"
        note = f"recall@10 {one['recall@10']:.3f}, {one['bytes'] / 1e6:,.0f} MB"
        p50, p95 = one["turns"]["p50"], one["turns"]["p95"]
        made_of += [
            Row(f"{about}, p50", "ms", "less", p50["ours"], p50["bare"], note),
            Row(f"{about}, p95", "ms", "less", p95["ours"], p95["bare"]),
            Row(f"{about}, over bare FAISS, p50", "ms", "less", p50["over"]),
            Row(f"{about}, over bare FAISS, p95", "ms", "less", p95["over"]),
            Row(f"{about}, of it in the search process, p95", "ms", "less", p95["rest"]),
            Row(f"{about}, of it the way there and back, p95", "ms", "less", p95["way"]),
            Row(f"{about}, encoding, p50", "ms", "less", p50["encode"], p50["bare_encode"]),
        ]
        if one["build_seconds"] is not None:
            bare = one["bare_build"]
            theirs = [bare["seconds"]] if bare else []
            made_of.append(Row(f"{about}, built in", "s", "less", [one["build_seconds"]], theirs))
            if bare:
                cpu = [one["build_cpu"]], [bare["cpu"]]
                made_of.append(Row(f"{about}, processor time of it", "s", "less", *cpu))
    return made_of


if __name__ == "__main__":
    main()
