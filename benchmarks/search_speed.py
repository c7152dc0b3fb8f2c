"""Search through the workbench against bare FAISS with the same index file, for every structure.

    python benchmarks/search_speed.py                       1,000,000 documents, all structures
    python benchmarks/search_speed.py --folder F --json R.json --structures flat ivf
    python benchmarks/search_speed.py --folder F --json R.json --structures hnsw     later, the rest
    python benchmarks/search_speed.py --json R.json --table                          as Markdown

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

made.surroundings()

import numpy as np  # noqa: E402

STRUCTURES = ("flat", "ivf", "sq8", "pq", "ivfpq", "binary", "hnsw")
#: Made-up queries of the data set: recall@10 is measured with 200 of them.
QUERIES = 1_000
TOP = 10


def main() -> None:
    asked = read_arguments()
    if asked.table:
        print(table(read(asked.json)))
        return
    with tempfile.TemporaryDirectory(prefix="search-speed-") as temporary:
        home = asked.folder or Path(temporary) / "home"
        # In a process of its own: it holds a model.
        in_process(made.make, home, asked.vectors, QUERIES)
        print(f"{asked.vectors:,} documents are there", flush=True)
        for structure in asked.structures:
            found = measure(home, structure, asked)
            print(json.dumps(found), flush=True)
            if asked.json:
                asked.json.write_text(json.dumps([*read(asked.json), found], indent=1))


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--structures", nargs="+", default=STRUCTURES, choices=STRUCTURES)
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="keep what is made here, and use it again")
    parser.add_argument("--keep", action="store_true", help="keep the indexes, too")
    parser.add_argument("--json", type=Path, help="add each structure's numbers to this file")
    parser.add_argument("--table", action="store_true", help="show that file as Markdown")
    asked = parser.parse_args()
    if asked.table and asked.json is None:
        parser.error("--table needs --json")
    return asked


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
    finally:
        here.send(None)
        process.join()
        client.close()
    over = np.array(took["ours"]) - np.array(took["bare"])
    found_: dict[str, Any] = {}
    for name, values in {**took, "over": over}.items():
        found_ |= {f"{name}_p{at}": float(np.percentile(values, at)) for at in (50, 95)}
        found_[f"{name}_qps"] = 1000 / float(np.mean(values))
    p95s = [float(np.percentile(took[name], 95)) for name in ("ours", "bare", "loop")]
    return {
        **{name: value for name, value in found_.items() if name not in ("hop_qps", "over_qps")},
        "p95_less_bare_p95": p95s[0] - p95s[1],
        "p95_less_loop_p95": p95s[0] - p95s[2],
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

COLUMNS = {
    "structure": "{structure}",
    "build": "{build_seconds:,.0f} s",
    "its peak": "{build_peak_mb:,.0f} MB",
    "size": "{megabytes:,.0f} MB",
    "recall@10": "{recall@10:.3f}",
    "loop q/s": "{loop_qps:,.0f}",
    "loop p50 / p95": "{loop_p50:.2f} / {loop_p95:.2f}",
    "bare q/s": "{bare_qps:,.0f}",
    "bare p50 / p95": "{bare_p50:.2f} / {bare_p95:.2f}",
    "ours q/s": "{ours_qps:,.0f}",
    "ours p50 / p95": "{ours_p50:.2f} / {ours_p95:.2f}",
    "over p50 / p95": "{over_p50:.2f} / {over_p95:.2f}",
    "p95 less p95": "{p95_less_bare_p95:.2f}",
}


def table(found: list[dict[str, Any]]) -> str:
    """The last measurement of each structure and size, in Markdown."""
    last = {(one["documents"], one["structure"]): one for one in found}
    lines = [f"| documents | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for (documents, _), one in sorted(last.items(), key=lambda pair: pair[0][0]):
        known = {**one, "megabytes": one["bytes"] / 1e6}
        for name in ("build_seconds", "build_peak_mb"):
            known[name] = known[name] if known[name] is not None else float("nan")
        cells = [column.format(**known) for column in COLUMNS.values()]
        lines.append(f"| {documents:,} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
