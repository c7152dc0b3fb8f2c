"""How long the data check takes on 100,000 generated rows, and how much memory.

    python benchmarks/data_check_speed.py --rows 100000

Makes a data set with a query, a positive and a negative of about 100 words in each row, in which a
known number of things is wrong, imports it, and runs all checks in a process of its own, as a job's
worker does. What was planted must be found, or the run fails. No model judges: only the checks that
need none are timed. Telling languages and counting tokens, the dearest, are also set against the
libraries asked for one text after the other.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.sides import Row, spent, table, turns, write_rows

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "benchmarks/out"
WORDS = 100

_CHECK = """
import json, sys, time
from pathlib import Path
from workbench.data_check.check import run
from workbench.recipes.data import CHECKS, DataCheckRecipe
from workbench.workspace import Workspace

begun = []

class Context:
    folder = Path(sys.argv[1]) / "jobs"
    workspace = Workspace.open(sys.argv[1])
    flush = note = check_cancelled = lambda self, *a, **k: None

    def progress(self, done, *_):
        if int(done) == len(begun):
            begun.append((time.perf_counter(), time.process_time()))

Context.folder.mkdir(exist_ok=True)
report = run(DataCheckRecipe(dataset="bench"), Context())
spent = {
    check: [round(after - before, 2) for before, after in zip(one, other)]
    for check, one, other in zip(CHECKS, begun, begun[1:])
}
print(json.dumps({
    "seconds": {check: wall for check, (wall, _) in spent.items()},
    "cpu": {check: cpu for check, (_, cpu) in spent.items()},
    "found": {one["code"]: one["count"] for one in report["findings"]},
    "torch": "torch" in sys.modules,
}))
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


def text_by_text(path: Path, count: int, pairs: int) -> list[Row]:
    """Processor seconds for languages and tokens of some texts, and what they take where the
    libraries are asked for one text after the other."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier
    from tokenizers import Tokenizer

    from workbench.data_check.languages import told
    from workbench.data_check.lengths import TokenCounter
    from workbench.models.registry import packaged_folder

    with path.open(encoding="utf-8") as file:
        texts = [json.loads(line)["pos"][0] for line in islice(file, count)]
    starts = [text[:400] for text in texts]
    told(starts[:1])  # Reads the model.
    library = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    file_ = packaged_folder() / "tokenizer.json"
    whole = Tokenizer.from_file(str(file_))
    whole.no_truncation()
    works: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "languages": (lambda: told(starts), lambda: [library.classify(text) for text in starts]),
        "tokens": (
            lambda: TokenCounter(file_).count(texts),
            lambda: [len(whole.encode(text)) for text in texts],
        ),
    }
    rows = []
    for name, (ours, theirs) in works.items():
        taken = list(turns(partial(spent, ours), partial(spent, theirs), pairs))
        own, others = [one.cpu for one, _ in taken], [one.cpu for _, one in taken]
        about = f"{name} of {len(texts):,} texts against the library text by text, processor time"
        rows.append(Row(about, "s", "less", own, others))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=3, help="readings of text by text; 0: none")
    parser.add_argument("--out", type=Path, help="write the rows of run.py to this file")
    options = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="data-check-", dir=OUT) as home:
        path = Path(home) / "train.jsonl"
        planted = make_file(path, options.rows, options.seed)
        command = [sys.executable, "-m", "workbench", "--home", home]
        command += ["data", "add", str(path), "--name", "bench"]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        found = measure(home)
        beside = (
            text_by_text(path, max(1000, options.rows // 20), options.pairs)
            if options.pairs
            else []
        )
    print(json.dumps({"rows": options.rows, "planted": planted, **found}, indent=1))
    rows = [
        Row("all checks, processor time", "s", "less", [sum(found["cpu"].values())]),
        Row("all checks", "s", "less", [sum(found["seconds"].values())]),
        *(
            Row(f"{name}, processor time", "s", "less", [seconds])
            for name, seconds in found["cpu"].items()
            if seconds
        ),
        Row("peak memory of the process", "MB", "less", [found["memory_mb"]]),
        *beside,
    ]
    print(table(rows))
    write_rows(options.out, rows)
    missed = {
        code: (count, found["found"].get(code, 0))
        for code, count in planted.items()
        if found["found"].get(code, 0) < count
    }
    if missed or found["torch"]:
        raise SystemExit(f"Planted and not found: {missed}; torch loaded: {found['torch']}.")


if __name__ == "__main__":
    main()
