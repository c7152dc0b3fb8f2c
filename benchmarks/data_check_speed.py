"""How long the data check takes on 100,000 generated rows, and how much memory.

    python benchmarks/data_check_speed.py --rows 100000

Makes a data set with a query, a positive and a negative of about 100 words in each row, in which a
known number of things is wrong, imports it, and checks it in a process of its own, as a job's
worker is. What was planted must be found, or the run fails. No model judges: only the checks that
need none are timed.
"""

import argparse
import json
import os
import random
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
WORDS = 100

_CHECK = """
import json, sys, time, types
from pathlib import Path
from workbench.data_check.check import run
from workbench.recipes.data import CHECKS, DataCheckRecipe
from workbench.workspace import Workspace

workspace = Workspace.open(sys.argv[1])

class Context:
    folder = Path(sys.argv[1]) / "jobs"
    progress = flush = note = check_cancelled = lambda self, *a, **k: None

Context.workspace = workspace
seconds, cpu, found = {}, {}, {}
for check in CHECKS:
    started, busy = time.perf_counter(), time.process_time()
    report = run(DataCheckRecipe(dataset="bench", checks=[check]), Context())
    seconds[check] = round(time.perf_counter() - started, 1)
    cpu[check] = round(time.process_time() - busy, 1)
    found |= {one["code"]: one["count"] for one in report["findings"]}
print(json.dumps({"seconds": seconds, "cpu": cpu, "found": found, "torch": "torch" in sys.modules}))
"""


def make_file(path: Path, rows: int, seed: int) -> dict[str, int]:
    """Write the rows; what was planted among them."""
    chance = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(chance.choices(letters, k=chance.randint(2, 9))) for _ in range(30_000)]

    def text(length: int) -> str:
        return " ".join(chance.choices(words, k=length))

    planted = {"near-duplicate-document": 0, "positive-is-negative": 0, "empty-query": 0}
    last = text(WORDS)
    with path.open("w", encoding="utf-8") as file:
        for row in range(rows):
            query, positive, negative = text(8), text(WORDS), text(WORDS)
            if row % 100 == 1:
                positive = f"{last} {text(1)}"
                planted["near-duplicate-document"] += 1
            elif row % 1000 == 2:
                negative = positive.replace(" ", "  ", 1)
                planted["positive-is-negative"] += 1
            elif row % 1000 == 3:
                query = "?" * (row // 1000 + 1)
                planted["empty-query"] += 1
            last = positive
            file.write(json.dumps({"query": query, "pos": [positive], "neg": [negative]}) + "\n")
    return planted


def measure(home: str) -> dict[str, Any]:
    """Run the data check; its JSON, and the most memory its process held."""
    import psutil

    process = subprocess.Popen(
        [sys.executable, "-c", _CHECK, home],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
        text=True,
        stdout=subprocess.PIPE,
    )
    peak, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            try:
                peak[0] = max(peak[0], psutil.Process(process.pid).memory_info().rss)
            except psutil.Error:
                return  # It has ended.

    watcher = threading.Thread(target=watch)
    watcher.start()
    output, _ = process.communicate()
    done.set()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"The data check ended with {process.returncode}.")
    return {**json.loads(output.splitlines()[-1]), "memory_mb": round(peak[0] / 1e6)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write the rows of run.py to this file")
    options = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="data-check-", dir=OUT) as home:
        path = Path(home) / "train.jsonl"
        planted = make_file(path, options.rows, options.seed)
        command = [sys.executable, "-m", "workbench", "--home", home]
        command += ["data", "add", str(path), "--name", "bench"]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        started = time.perf_counter()
        found = measure(home)
        found["wall"] = round(time.perf_counter() - started, 1)
    print(json.dumps({"rows": options.rows, "planted": planted, **found}, indent=1))
    write_rows(
        options.out,
        [
            Row("all checks, processor time", "s", "less", [sum(found["cpu"].values())]),
            Row("all checks", "s", "less", [sum(found["seconds"].values())]),
            *(Row(name, "s", "less", [seconds]) for name, seconds in found["seconds"].items()),
            Row("peak memory of the process", "MB", "less", [found["memory_mb"]]),
        ],
    )
    missed = {
        code: (count, found["found"].get(code, 0))
        for code, count in planted.items()
        if found["found"].get(code, 0) < count
    }
    if missed or found["torch"]:
        raise SystemExit(f"Planted and not found: {missed}; torch loaded: {found['torch']}.")


if __name__ == "__main__":
    main()
