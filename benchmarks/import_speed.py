"""Import speed and memory, against ``datasets.load_dataset("json")`` on the same file.

    python benchmarks/import_speed.py --mb 1000 --repeats 5

Makes a JSONL file (a query, one positive, three negatives, 200 words each; a third of the texts
stand in it more than once), then has both read it in turns. Every reading is a fresh process with
fresh folders.

- ``import``: the function that ``data add`` runs, in a process of its own, as a job's worker is;
- ``datasets``: ``load_dataset`` in a process of its own;
- ``command``: the whole ``python -m workbench data add``, with all its processes.

The ratio is that of the medians of import and load_dataset, without the start of their processes;
the whole command is set against the whole process around load_dataset.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.sides import Row, write_rows

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "benchmarks/out"
WORDS_PER_TEXT = 200
ALLOWED_MB, ALLOWED_PER_TEXT = 200, 32

_IMPORT = """
import json, sys, time, types
from pathlib import Path
from workbench.data.job import run_import
from workbench.recipes.data import ImportRecipe
from workbench.workspace import Workspace

class Context:
    workspace = Workspace.open(sys.argv[2])
    folder = Path(sys.argv[2]) / "jobs"
    progress = flush = note = check_cancelled = lambda self, *a, **k: None

started, worked = time.perf_counter(), time.process_time()
result = run_import(ImportRecipe(paths=[sys.argv[1]], name="bench"), Context())
seconds = time.perf_counter() - started
print(json.dumps({"seconds": seconds, "cpu": time.process_time() - worked,
                  "documents": result["documents"],
                  "queries": result["queries"], "problems": result["problem_counts"]}))
"""
_DATASETS = """
import json, sys, time
from datasets import load_dataset
started, worked = time.perf_counter(), time.process_time()
data = load_dataset("json", data_files=sys.argv[1], cache_dir=sys.argv[2], split="train")
print(json.dumps({"seconds": time.perf_counter() - started, "rows": len(data),
                  "cpu": time.process_time() - worked}))
"""


def make_file(path: Path, megabytes: int, seed: int) -> None:
    """Write the file, unless it is there already."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    chance = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(chance.choices(letters, k=chance.randint(2, 9))) for _ in range(20_000)]
    pool: list[str] = []

    def text() -> str:
        if pool and chance.random() < 1 / 3:
            return chance.choice(pool)
        fresh = " ".join(chance.choices(words, k=WORDS_PER_TEXT))
        if len(pool) < 20_000:
            pool.append(fresh)
        else:
            pool[chance.randrange(len(pool))] = fresh
        return fresh

    beside = path.with_suffix(".new")
    written = 0
    with beside.open("w", encoding="utf-8") as file:
        while written < megabytes * 1_000_000:
            row = {"query": text(), "pos": [text()], "neg": [text(), text(), text()]}
            written += file.write(json.dumps(row) + "\n")
    beside.replace(path)


def measure(command: list[str]) -> dict[str, Any]:
    """Run a command; its JSON, its seconds, and the most memory its processes held at a time."""
    import psutil

    started = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    peak = {"all": 0, "one": 0}
    done = threading.Event()

    def watch() -> None:
        root = psutil.Process(process.pid)
        while not done.wait(0.05):
            sizes = []
            try:
                for one in [root, *root.children(recursive=True)]:
                    sizes.append(one.memory_info().rss)
            except psutil.Error:
                continue  # A process ended between being listed and being asked.
            peak["all"] = max(peak["all"], sum(sizes))
            peak["one"] = max(peak["one"], *sizes)

    watcher = threading.Thread(target=watch)
    watcher.start()
    output, _ = process.communicate()
    done.set()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{command[:3]} ended with {process.returncode}")
    found: dict[str, Any] = json.loads(output)
    return {
        **found,
        "wall": time.perf_counter() - started,
        "memory": peak["one"] / 1e6,
        "memory_all": peak["all"] / 1e6,
    }


def once(kind: str, path: Path) -> dict[str, Any]:
    folder = tempfile.mkdtemp(prefix="import-speed-", dir=OUT)
    python = sys.executable
    commands = {
        "import": [python, "-c", _IMPORT, str(path), folder],
        "datasets": [python, "-c", _DATASETS, str(path), folder],
        "command": [
            *(python, "-m", "workbench", "--home", folder),
            *("data", "add", str(path), "--name", "bench", "--json"),
        ],
    }
    try:
        if kind == "import":  # A worker finds its home made and migrated.
            command = [python, "-m", "workbench", "--home", folder, "data", "list", "--json"]
            subprocess.run(
                command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        return measure(commands[kind])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mb", type=int, default=1000, help="the file's size")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write the rows of run.py to this file")
    options = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / f"rows-{options.mb}mb-{options.seed}.jsonl"
    make_file(path, options.mb, options.seed)
    megabytes = path.stat().st_size / 1e6
    found: dict[str, list[dict[str, Any]]] = {"import": [], "datasets": [], "command": []}
    for repeat in range(options.repeats):
        # Who is first in one turn is last in the next.
        for kind in list(found)[:: -1 if repeat % 2 else 1]:
            one = once(kind, path)
            found[kind].append(one)
            inner = f"{megabytes / one['seconds']:.0f} MB/s, " if "seconds" in one else ""
            print(
                f"{repeat + 1} {kind:9} {inner}process {one['wall']:.1f} s, "
                f"{one['memory']:.0f} MB (all processes {one['memory_all']:.0f} MB)",
                flush=True,
            )
    report(found, megabytes)
    write_rows(options.out, rows(found, megabytes))


def rows(found: dict[str, list[dict[str, Any]]], megabytes: float) -> list[Row]:
    def of(kind: str, key: str) -> list[float]:
        return [one[key] for one in found[kind]]

    def rate(kind: str, key: str) -> list[float]:
        return [megabytes / seconds for seconds in of(kind, key)]

    size = f"{megabytes:,.0f} MB of JSONL"
    return [
        Row(
            f"import, {size}",
            "MB/s",
            "more",
            rate("import", "seconds"),
            rate("datasets", "seconds"),
        ),
        Row("the same, processor time", "s", "less", of("import", "cpu"), of("datasets", "cpu")),
        Row("whole command", "MB/s", "more", rate("command", "wall"), rate("datasets", "wall")),
        Row(
            "peak memory of the process",
            "MB",
            "less",
            of("import", "memory"),
            of("datasets", "memory"),
        ),
    ]


def report(found: dict[str, list[dict[str, Any]]], megabytes: float) -> None:
    def median(kind: str, key: str) -> float:
        return statistics.median(one[key] for one in found[kind])

    first = found["import"][0]
    distinct = first["documents"] + first["queries"]
    allowed = ALLOWED_MB + ALLOWED_PER_TEXT * distinct / 1e6
    ours, theirs = median("import", "seconds"), median("datasets", "seconds")
    summary = {
        "megabytes": round(megabytes),
        "distinct_texts": distinct,
        "import_mb_per_second": round(megabytes / ours, 1),
        "datasets_mb_per_second": round(megabytes / theirs, 1),
        "ratio": round(theirs / ours, 3),
        "ratio_whole_command": round(median("datasets", "wall") / median("command", "wall"), 3),
        "import_peak_mb": round(max(one["memory"] for one in found["import"])),
        "command_peak_one_process_mb": round(max(one["memory"] for one in found["command"])),
        "command_peak_all_processes_mb": round(max(one["memory_all"] for one in found["command"])),
        "datasets_peak_mb": round(max(one["memory"] for one in found["datasets"])),
        "allowed_mb": round(allowed),
    }
    print(json.dumps(summary, indent=1))


if __name__ == "__main__":
    main()
