"""An evaluate job with encodings kept, against sentence-transformers' evaluator.

    python benchmarks/evaluation_speed.py                  5,000 queries, 100,000 documents
    python benchmarks/evaluation_speed.py --queries 10000 --documents 1000000 --ours-only

Both sides have the same vectors and answer with the same metrics; each run is a process of its own,
in turns. Ours is a real job in its worker: the data set read, texts hashed, vectors found among
those kept on disk, exact search, metrics by ir_measures, run and metrics written and put on record.
Theirs is handed the vectors as tensors in memory, and texts and judgments as its dictionaries; its
clock starts after that. Neither clock counts libraries and models being loaded, 'whole' does.
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

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import made
from benchmarks.sides import Row, turns, write_rows

made.surroundings()

import numpy as np  # noqa: E402


def main() -> None:
    asked = read_arguments()
    if asked.side:
        print(json.dumps(SIDES[asked.side](asked.folder)))
        return
    with tempfile.TemporaryDirectory(prefix="evaluation-speed-") as temporary:
        home = asked.folder or Path(temporary) / "home"
        run("make", home, str(asked.documents), str(asked.queries))
        pairs: list[dict[str, Any]] = []
        if asked.ours_only:
            for number in range(asked.repeats):
                pairs.append({"ours": run("ours", home)})
                show(number, pairs[-1])
        else:
            sides = turns(lambda: run("ours", home), lambda: run("theirs", home), asked.repeats)
            began = time.monotonic()
            for number, (own, other) in enumerate(sides):
                pairs.append({"ours": own, "theirs": other})
                show(number, pairs[-1])
                if time.monotonic() - began > asked.seconds:
                    break
            summarise(pairs)
            write_rows(asked.out, rows(pairs))
        if asked.json:
            about = {"queries": asked.queries, "documents": asked.documents}
            asked.json.write_text(json.dumps({**about, "pairs": pairs}, indent=1))


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=5_000)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5, help="at most")
    parser.add_argument("--seconds", type=float, default=240.0, help="no pair begins after so many")
    parser.add_argument("--ours-only", action="store_true")
    parser.add_argument("--folder", type=Path, help="keep what is made here, and use it again")
    parser.add_argument("--json", type=Path, help="write every number to this file")
    parser.add_argument("--out", type=Path, help="write the rows of run.py to this file")
    parser.add_argument("--side", choices=sorted(SIDES), help=argparse.SUPPRESS)
    parser.add_argument("numbers", nargs="*", help=argparse.SUPPRESS)
    return parser.parse_args()


def run(side: str, home: Path, *numbers: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--side", side, "--folder", str(home), *numbers]
    started = time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return {**found, "process": time.perf_counter() - started}


def show(number: int, sides: dict[str, dict[str, Any]]) -> None:
    for side, one in sides.items():
        print(
            f"{number + 1} {side:7} {one['seconds']:7.2f} s, {one['cpu']:.2f} s of CPU, whole "
            f"{one['whole']:.1f} s  MAP@100 {one['map']:.6f}  peak {one['peak']:,.0f} MB, "
            f"{one['peak'] - one['before']:,.0f} MB above the start  load {os.getloadavg()[0]:.1f}",
            flush=True,
        )


def summarise(pairs: list[dict[str, dict[str, Any]]]) -> None:
    def ratios(of: Any) -> str:
        found = [of(one["theirs"]) / of(one["ours"]) for one in pairs]
        words = ", ".join(f"{ratio:.2f}" for ratio in found)
        return f"{words}; median {statistics.median(found):.2f}"

    print(f"times faster: {ratios(lambda one: one['seconds'])}")
    print(f"times less CPU: {ratios(lambda one: one['cpu'])}")
    print(f"whole process, times faster: {ratios(lambda one: one['whole'])}")
    print(f"times less peak memory: {ratios(lambda one: one['peak'])}")
    print(f"above the start, times less: {ratios(lambda one: one['peak'] - one['before'])}")
    assert all(abs(one["ours"]["map"] - one["theirs"]["map"]) < 1e-6 for one in pairs)


def rows(pairs: list[dict[str, dict[str, Any]]]) -> list[Row]:
    def row(name: str, unit: str, of: Any) -> Row:
        own, other = ([of(pair[side]) for pair in pairs] for side in ("ours", "theirs"))
        return Row(name, unit, "less", own, other)

    return [
        row("evaluation", "s", lambda one: one["seconds"]),
        row("processor time", "s", lambda one: one["cpu"]),
        row("peak memory of the process", "MB", lambda one: one["peak"]),
        row("of it above the start", "MB", lambda one: one["peak"] - one["before"]),
    ]


# -- both sides ----------------------------------------------------------------------------------


def make(home: Path) -> dict[str, Any]:
    made.make(home, *map(int, read_arguments().numbers))
    return {}


def ours(home: Path) -> dict[str, Any]:
    done = made.done(home, made.MeasuredEvaluate(dataset=made.NAME, models=[made.MODEL]))
    about, (row,) = done["measured"], done["rows"]
    return {
        "seconds": about["whole"] - about["loading"],
        "cpu": about["cpu"],
        "map": row["map@100"],
        "before": about["before"],
        "peak": about["peak"],
        "whole": done["job_seconds"],
    }


def theirs(home: Path) -> dict[str, Any]:
    began = time.perf_counter()
    import torch
    from sentence_transformers.sentence_transformer.evaluation import (
        InformationRetrievalEvaluator,
    )

    files = home / "beir"
    vectors = {
        name: torch.from_numpy(np.load(home / name)) for name in (made.QUERIES, made.VECTORS)
    }

    class Given(InformationRetrievalEvaluator):
        def embed_inputs(
            self, model: Any, sentences: Any, encode_fn_name: Any = None, **_: Any
        ) -> Any:
            return vectors[made.QUERIES]

    judged = np.load(home / made.RELEVANT).tolist()
    evaluator = Given(
        {line["_id"]: line["text"] for line in lines(files / "queries.jsonl")},
        {line["_id"]: line["text"] for line in lines(files / "corpus.jsonl")},
        {f"q{row:06}": {f"d{one:08}" for one in set(rows)} for row, rows in enumerate(judged)},
        score_functions={"cosine": lambda one, other: one @ other.T},
    )
    before, started, worked = made.peak(), time.perf_counter(), time.process_time()
    # The model is asked for nothing but the queries, which are given above.
    found = evaluator.compute_all_metrics(None, corpus_embeddings=vectors[made.VECTORS])
    return {
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - worked,
        "map": found["cosine"]["map@k"][100],
        "before": before,
        "peak": made.peak(),
        "whole": time.perf_counter() - began,
    }


def lines(path: Path) -> Any:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


SIDES = {"make": make, "ours": ours, "theirs": theirs}

if __name__ == "__main__":
    main()
