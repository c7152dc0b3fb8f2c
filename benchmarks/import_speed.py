"""Import speed and memory, against ``datasets.load_dataset`` on the same files.

    python benchmarks/import_speed.py
    python benchmarks/import_speed.py --shape beir csv --mb 100 --repeats 3

Makes files of each shape, in which a third of the texts stand more than once, then has both read
them in turns. Every reading is a fresh process with fresh folders. The shapes:

- ``plain``: JSONL of a query, one positive, three negatives, 200 words each;
- ``triplets``: JSONL of anchor, positive, negative, 60 words each, and six columns more;
- ``beir``: corpus.jsonl (title, 60 words), queries.jsonl, qrels/test.tsv;
- ``csv``: query, positive, negative, 60 words each, commas and quotation marks among them;
- ``parquet``: the rows of ``plain``.

- ``import``: the function that ``data add`` runs, in a process of its own, as a job's worker is;
- ``datasets``: ``load_dataset`` in a process of its own;
- ``command``: the whole ``python -m workbench data add``, with all its processes (``plain`` only),
  set against the whole process around load_dataset.

Import and load_dataset are measured without the start of their processes. Peak memory is that of
the whole process, set against the 200 MB and 32 bytes per distinct text that it may take.
"""

import argparse
import atexit
import csv
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import cache, partial
from itertools import count, islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.sides import Row, table, turns, write_rows

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "benchmarks/out"
WORDS_PER_TEXT = 200
SHAPES = {
    "plain": "JSONL",
    "triplets": "JSONL triplets with other columns",
    "beir": "a BEIR set",
    "csv": "CSV",
    "parquet": "Parquet",
}
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
result = run_import(ImportRecipe(paths=json.loads(sys.argv[1]), name="bench"), Context())
seconds = time.perf_counter() - started
print(json.dumps({"seconds": seconds, "cpu": time.process_time() - worked,
                  "documents": result["documents"],
                  "queries": result["queries"], "problems": result["problem_counts"]}))
"""
_DATASETS = """
import json, sys, time
from datasets import load_dataset
started, worked = time.perf_counter(), time.process_time()
rows = 0
for path in json.loads(sys.argv[1]):
    more = {"delimiter": "\t"} if path.endswith(".tsv") else {}
    kind = {"jsonl": "json", "tsv": "csv"}.get(path.rsplit(".")[-1], path.rsplit(".")[-1])
    rows += len(load_dataset(kind, data_files=path, cache_dir=sys.argv[2], split="train", **more))
print(json.dumps({"seconds": time.perf_counter() - started, "rows": rows,
                  "cpu": time.process_time() - worked}))
"""


class Texts:
    """Texts of made-up words; a third of them come again."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        letters, chance = "abcdefghijklmnopqrstuvwxyz", self.chance
        self._words = [
            "".join(chance.choices(letters, k=chance.randint(2, 9))) for _ in range(20_000)
        ]
        self._pools: dict[int, list[str]] = {}

    def text(self, words: int = WORDS_PER_TEXT) -> str:
        pool, chance = self._pools.setdefault(words, []), self.chance
        if pool and chance.random() < 1 / 3:
            return chance.choice(pool)
        fresh = self.fresh(words)
        if len(pool) < 20_000:
            pool.append(fresh)
        else:
            pool[chance.randrange(len(pool))] = fresh
        return fresh

    def fresh(self, words: int) -> str:
        return " ".join(self.chance.choices(self._words, k=words))


def make_file(path: Path, megabytes: int, seed: int) -> None:
    """Write a file of plain rows, unless it is there already."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _lines(path, megabytes * 1_000_000, partial(_plain, Texts(seed)))


def _plain(texts: Texts, _number: int) -> dict[str, Any]:
    text = texts.text
    return {"query": text(), "pos": [text()], "neg": [text(), text(), text()]}


def _triplet(texts: Texts, number: int) -> dict[str, Any]:
    return {
        "id": f"row-{number}",
        "anchor": texts.text(60),
        "positive": texts.text(60),
        "negative": texts.text(60),
        "source": texts.chance.choice(["web", "books", "forum"]),
        "year": texts.chance.randint(1990, 2025),
        "margin": round(texts.chance.random(), 4),
        "checked": texts.chance.random() < 0.5,
        "comment": None if number % 2 else texts.fresh(5),
    }


def _document(texts: Texts, number: int) -> dict[str, Any]:
    return {"_id": f"doc{number}", "title": texts.fresh(5), "text": texts.text(60)}


def _cells(texts: Texts, _number: int) -> dict[str, str]:
    def text() -> str:
        words = texts.text(60)
        return words.replace(" ", ", ", 2) if len(words) % 3 else words.replace(" ", ' "', 1) + '"'

    return {"query": text(), "positive": text(), "negative": text()}


def _lines(path: Path, size: int, row: Callable[[int], dict[str, Any]]) -> int:
    """Write rows as JSON lines until the file has the size; how many they are."""
    beside = path.with_suffix(".new")
    written = number = 0
    with beside.open("w", encoding="utf-8") as file:
        while written < size:
            written += file.write(json.dumps(row(number)) + "\n")
            number += 1
    beside.replace(path)
    return number


def make_files(shape: str, megabytes: int, seed: int) -> list[Path]:
    """The files of a shape, made unless they are there already."""
    if shape == "plain":
        path = OUT / f"rows-{megabytes}mb-{seed}.jsonl"
        make_file(path, megabytes, seed)
        return [path]
    folder, texts, size = OUT / f"{shape}-{megabytes}mb-{seed}", Texts(seed), megabytes * 1_000_000
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    names = {
        "triplets": ["rows.jsonl"],
        "beir": ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"],
        "csv": ["rows.csv"],
        "parquet": ["rows.parquet"],
    }[shape]
    paths = [folder / name for name in names]
    if all(path.exists() for path in paths):
        return paths
    if shape == "triplets":
        _lines(paths[0], size, partial(_triplet, texts))
    elif shape == "csv":
        rows = (_cells(texts, number) for number in count())
        with paths[0].open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["query", "positive", "negative"])
            writer.writeheader()
            while file.tell() < size:
                writer.writerows(islice(rows, 1_000))
    elif shape == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        made = [_plain(texts, number) for number in range(size // 6_500)]
        pq.write_table(pa.Table.from_pylist(made), paths[0], row_group_size=10_000)
    else:
        _beir(paths, size, texts)
    return paths


def _beir(paths: list[Path], size: int, texts: Texts) -> None:
    documents = _lines(paths[0], size * 9 // 10, partial(_document, texts))
    queries = documents // 10
    with paths[1].open("w", encoding="utf-8") as file:
        for number in range(queries):
            file.write(json.dumps({"_id": f"query{number}", "text": texts.fresh(10)}) + "\n")
    with paths[2].open("w", encoding="utf-8") as file:
        file.write("query-id\tcorpus-id\tscore\n")
        for number in range(3 * queries):
            document = texts.chance.randrange(documents)
            file.write(f"query{number % queries}\tdoc{document}\t{1 + number % 2}\n")


def measure(command: list[str]) -> dict[str, Any]:
    """Run a command; its JSON, its seconds, and the most memory its processes held at a time."""
    started = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    # What it says besides would stand among the tables: it is shown where it failed.
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=said
        )
        output, peak = _watched(process)
        if process.returncode:
            said.seek(0)
            words = said.read()[-3000:].decode(errors="replace")
            raise SystemExit(f"{command[:3]} ended with {process.returncode}:\n{words}")
    found: dict[str, Any] = json.loads(output)
    return {
        **found,
        "wall": time.perf_counter() - started,
        "memory": peak["one"] / 1e6,
        "memory_all": peak["all"] / 1e6,
    }


def _watched(process: "subprocess.Popen[str]") -> tuple[str, dict[str, int]]:
    """What a process printed until it ended, and the most bytes that it and its children held: the
    largest of them, and all."""
    import psutil

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
    return output, peak


@cache
def made_home() -> str:
    """A workspace in which nothing is yet."""
    folder = tempfile.mkdtemp(prefix="import-speed-home-", dir=OUT)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    command = [sys.executable, "-m", "workbench", "--home", folder, "data", "list", "--json"]
    subprocess.run(
        command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return folder


def once(kind: str, paths: list[Path]) -> dict[str, Any]:
    folder = tempfile.mkdtemp(prefix="import-speed-", dir=OUT)
    python = sys.executable
    named = list(map(str, paths))
    commands = {
        "import": [python, "-c", _IMPORT, json.dumps(named), folder],
        "datasets": [python, "-c", _DATASETS, json.dumps(named), folder],
        "command": [
            *(python, "-m", "workbench", "--home", folder),
            *("data", "add", *named, "--name", "bench", "--json"),
        ],
    }
    try:
        if kind == "import":  # A worker finds its home made and migrated.
            shutil.copytree(made_home(), folder, dirs_exist_ok=True)
        return measure(commands[kind])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", choices=SHAPES, nargs="+", default=list(SHAPES))
    parser.add_argument("--mb", type=int, default=200, help="the size of a shape's files")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write the rows of run.py to this file")
    options = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for shape in options.shape:
        paths = make_files(shape, options.mb, options.seed)
        found = compare(paths, options.repeats, command=shape == "plain")
        measured = rows_of(found, sum(path.stat().st_size for path in paths) / 1e6, shape)
        print(table(measured), flush=True)
        rows += measured
    write_rows(options.out, rows)


#: Readings of one kind: import, datasets, command.
Readings = dict[str, list[dict[str, Any]]]


def compare(paths: list[Path], pairs: int, command: bool) -> Readings:
    """Import and load_dataset in turns, and after each pair the whole command if asked."""
    found: Readings = {"import": [], "datasets": [], "command": []}
    both = turns(partial(once, "import", paths), partial(once, "datasets", paths), pairs)
    for own, other in both:
        found["import"].append(own)
        found["datasets"].append(other)
        if command:
            found["command"].append(once("command", paths))
    return found


def rows_of(found: Readings, megabytes: float, shape: str) -> list[Row]:
    def of(kind: str, key: str) -> list[float]:
        return [one[key] for one in found[kind]]

    def rate(kind: str, key: str) -> list[float]:
        return [megabytes / seconds for seconds in of(kind, key)]

    first = found["import"][0]
    distinct = first["documents"] + first["queries"]
    allowed = ALLOWED_MB + ALLOWED_PER_TEXT * distinct / 1e6
    size = f"import, {megabytes:,.0f} MB of {SHAPES[shape]}"
    rows = [
        Row(size, "MB/s", "more", rate("import", "seconds"), rate("datasets", "seconds")),
        Row(f"{size}, processor time", "s", "less", of("import", "cpu"), of("datasets", "cpu")),
        Row(
            f"{size}, peak memory against what is allowed",
            "MB",
            "less",
            of("import", "memory"),
            [allowed] * len(found["import"]),
            f"{distinct:,} distinct texts",
        ),
    ]
    if found["command"]:
        whole = rate("command", "wall"), rate("datasets", "wall")
        rows.append(Row(f"{size}, the whole command", "MB/s", "more", *whole))
    return rows


if __name__ == "__main__":
    main()
