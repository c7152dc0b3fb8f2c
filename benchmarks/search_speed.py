"""Search through the workbench against bare FAISS with the same index file, for every structure.

    python benchmarks/search_speed.py                       1,000,000 documents, all structures
    python benchmarks/search_speed.py --folder F --json R.json --structures flat ivf
    python benchmarks/search_speed.py --folder F --json R.json --structures hnsw     later, the rest

Indexes are built by real index jobs over made-up documents whose encodings are kept already
(benchmarks/made.py). Asked are what functions of the standard library say of themselves, encoded by
the packaged model on both sides; neither clock counts encoding. 'Bare' is a process that holds the
index in memory, encodes a question with sentence-transformers and asks FAISS with the same
parameters (a binary index's finds are rescored as ours are); 'loop' is FAISS alone in that process,
question after question, vectors ready. 'Ours' is asked through the client: a socket to the search
process, FAISS, the texts of ten documents, judged marks, the answer back. The two are asked each
question right after one another; 'over' is ours less bare, question by question.
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

STRUCTURES = ("flat", "ivf", "sq8", "pq", "ivfpq", "binary", "hnsw")
#: Made-up queries of the data set: recall@10 is measured with 200 of them.
QUERIES = 1_000
TOP = 10


def main() -> None:
    asked = read_arguments()
    with tempfile.TemporaryDirectory(prefix="search-speed-") as temporary:
        home = asked.folder or Path(temporary) / "home"
        # In a process of its own: it holds a model.
        in_process(made.make, home, asked.vectors, QUERIES)
        print(f"{asked.vectors:,} documents are there", flush=True)
        found = []
        for structure in asked.structures:
            found.append(measure(home, structure, asked))
            print(json.dumps(found[-1]), flush=True)
            if asked.json:
                asked.json.write_text(json.dumps([*read(asked.json), found[-1]], indent=1))
    write_rows(asked.out, rows(found))


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--structures", nargs="+", default=STRUCTURES, choices=STRUCTURES)
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--turns", type=int, default=3)
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
            built = made.done(home, recipe)
        record = workspace.indexes.get(structure)
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
        "build_seconds": built.get("job_seconds"),
        "build_peak_mb": built.get("measured", {}).get("peak"),
        **times,
        "load_average": os.getloadavg()[0],
        "measured_at": time.strftime("%Y-%m-%d %H:%M"),
    }


def in_turns(
    workspace: Any, home: Path, structure: str, asked: argparse.Namespace
) -> dict[str, Any]:
    """Milliseconds as percentiles, of some turns after one that warms both."""
    from workbench.search.client import SearchClient

    texts = list(made.questions(asked.questions))
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    folder = str(workspace.indexes.folder(structure))
    process = spawn.Process(target=bare_process, args=(there, home, folder, structure))
    process.start()
    client = SearchClient(workspace)
    client.warm([structure], wait=True)
    took: dict[str, list[float]] = {"loop": [], "bare": [], "ours": [], "hop": []}
    turns: dict[str, list[float]] = {"ours": [], "bare": [], "over": []}
    same = []
    try:
        for turn in range(asked.turns + 1):
            here.send(texts)
            loop = here.recv()
            one: dict[str, list[float]] = {"bare": [], "ours": [], "hop": [], "loop": loop}
            for text in texts:
                here.send(text)
                milliseconds, rows = here.recv()
                one["bare"].append(milliseconds)
                began = time.perf_counter()
                found = client.search(structure, text, TOP)
                whole = (time.perf_counter() - began) * 1000
                one["ours"].append(whole - found.milliseconds["encode"])
                one["hop"].append(whole - found.milliseconds["total"])
                same.append(len({hit.row for hit in found.hits} & set(rows)) / TOP)
            if turn:
                for name, values in one.items():
                    took[name] += values
                one["over"] = [a - b for a, b in zip(one["ours"], one["bare"], strict=True)]
                for name, p95s in turns.items():
                    p95s.append(float(np.percentile(one[name], 95)))
    finally:
        here.send(None)
        process.join()
        client.close()
    over = np.array(took["ours"]) - np.array(took["bare"])
    found_: dict[str, Any] = {}
    for name, values in {**took, "over": over}.items():
        found_ |= {f"{name}_p{at}": float(np.percentile(values, at)) for at in (50, 95)}
        found_[f"{name}_qps"] = 1000 / float(np.mean(values))
    return {
        **{name: value for name, value in found_.items() if name not in ("hop_qps", "over_qps")},
        "p95_of_turns": turns,
        "same_documents": float(np.mean(same)),
    }


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

    while (asked := pipe.recv()) is not None:
        if isinstance(asked, list):
            for text in asked:
                if text not in vectors:
                    vectors[text] = encoded(text)
            pipe.send([timed(vectors[text])[0] for text in asked])
        else:
            pipe.send(timed(encoded(asked)))


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
        rows = signs.search(np.packbits(vector > 0, axis=1), TOP * plan.rescore)[1][0]
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
        times = one["p95_of_turns"]
        made_of += [
            Row(f"{about}, p95", "ms", "less", times["ours"], times["bare"], note),
            Row(f"{about}, over bare FAISS at p95", "ms", "less", times["over"]),
        ]
        if one["build_seconds"] is not None:
            made_of.append(Row(f"{about}, built in", "s", "less", [one["build_seconds"]]))
    return made_of


if __name__ == "__main__":
    main()
