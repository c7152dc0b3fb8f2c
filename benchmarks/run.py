"""Runs benchmarks on a quiet machine, and writes what they found into docs/benchmarks.md.

    python benchmarks/run.py                   all of them
    python benchmarks/run.py import search     some
    python benchmarks/run.py --list            what there is
    python benchmarks/run.py --smoke           each as small as it goes: does it run at all?

Before each it waits until the load of the machine has stayed below .3 for 20 seconds, for
``--wait`` seconds at most; what had to begin without that, or found the machine busy at its end, is
marked 'busy'. Threads of numeric libraries are set to the number of cores for both sides. All that
was found goes to benchmarks/results/DATE.json, readings and machine included; the tables between
``<!-- NAME -->`` and ``<!-- /NAME -->`` in docs/benchmarks.md are written from it. ``--tables``
writes them again from the newest result of each benchmark without measuring.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.sides import Row, machine, read_rows, table

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks/results"
PAGE = ROOT / "docs/benchmarks.md"
#: A machine is quiet when its load has stayed below this for so many seconds.
QUIET_LOAD, QUIET_SECONDS = 0.3, 20.0
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")


@dataclass(frozen=True)
class Benchmark:
    """One script that understands ``--out FILE``, and what it is given."""

    name: str
    script: str
    #: What is set against what.
    about: str
    full: Sequence[str] = ()
    smoke: Sequence[str] = ()


BENCHMARKS = {
    one.name: one
    for one in (
        Benchmark(
            "import",
            "import_speed.py",
            "import of generated files, every row checked, against `datasets.load_dataset`",
            (),
            ("--mb", "1", "--repeats", "1"),
        ),
        Benchmark(
            "data-check",
            "data_check_speed.py",
            "the data check on generated rows",
            ("--rows", "100000"),
            ("--rows", "1000"),
        ),
        Benchmark(
            "evaluation",
            "evaluation_speed.py",
            "an evaluation job from kept encodings against sentence-transformers' evaluator",
            ("--repeats", "7"),
            ("--queries", "20", "--documents", "200", "--repeats", "1"),
        ),
        Benchmark(
            "search",
            "search_speed.py",
            "search through the workbench against bare FAISS with the same index file",
            (),
            ("--vectors", "2000", "--questions", "2", "--turns", "1", "--structures", "flat"),
        ),
    )
}


def main() -> None:
    asked = read_arguments()
    if asked.list:
        for one in BENCHMARKS.values():
            print(f"{one.name:12} {one.about}")
        return
    if not asked.tables:
        for name in asked.names or BENCHMARKS:
            found = measure(BENCHMARKS[name], smoke=asked.smoke, wait=asked.wait)
            print(table([Row(**row) for row in found["rows"]]), flush=True)
            if not asked.smoke:
                keep(RESULTS, found)
    if not asked.smoke:
        write_tables(RESULTS, PAGE)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--smoke", action="store_true", help="as small as it goes; nothing is kept")
    parser.add_argument("--wait", type=float, default=600.0, help="seconds to wait for quiet")
    parser.add_argument("--tables", action="store_true", help="write the page from what is kept")
    asked = parser.parse_args()
    if unknown := sorted(set(asked.names) - set(BENCHMARKS)):
        parser.error(f"no benchmark is called {', '.join(unknown)}; --list shows them")
    return asked


def measure(benchmark: Benchmark, *, smoke: bool, wait: float) -> dict[str, Any]:
    """Run one; its rows with when and where they were taken."""
    quiet = True if smoke else wait_for_quiet(wait)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        rows = Path(folder) / "rows.json"
        subprocess.run(
            [
                *(sys.executable, str(ROOT / "benchmarks" / benchmark.script)),
                *(benchmark.smoke if smoke else benchmark.full),
                *("--out", str(rows)),
            ],
            cwd=ROOT,
            env={**os.environ, **pinned(), "HF_HUB_OFFLINE": "1"},
            check=True,
        )
        found = read_rows(rows)
    return {
        "name": benchmark.name,
        "at": time.strftime("%Y-%m-%d %H:%M"),
        "busy": not quiet,
        "machine": machine(),
        "rows": [asdict(row) for row in found],
    }


def pinned() -> dict[str, str]:
    """As many threads as cores on both sides, unless the environment says otherwise."""
    cores = str(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    )
    return {name: os.environ.get(name, cores) for name in _THREADS}


def wait_for_quiet(most: float) -> bool:
    """True once nothing else has wanted the cores for a while; False when ``most`` is over.

    The system's load average forgets in a minute or more, and a benchmark that ended just now is
    still in it: so the load is what was used of the cores, second by second.
    """
    import psutil

    began = quiet_since = time.monotonic()
    psutil.cpu_percent(None)
    while time.monotonic() - began < most:
        used = psutil.cpu_percent(1.0) / 100 * (psutil.cpu_count() or 1)
        if used >= QUIET_LOAD:
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since >= QUIET_SECONDS:
            return True
    print("The machine did not become quiet; what is measured now is marked busy.", file=sys.stderr)
    return False


def keep(folder: Path, found: dict[str, Any]) -> None:
    """Add a result to the file of its day."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{date.today().isoformat()}.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps([*before, found], indent=1) + "\n", encoding="utf-8")
    beside.replace(path)


def write_tables(folder: Path, page: Path) -> None:
    """Each benchmark's newest result between its marks in the page."""
    newest: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.json")):
        for found in json.loads(path.read_text(encoding="utf-8")):
            newest[found["name"]] = found
    text = page.read_text(encoding="utf-8")
    for name, found in newest.items():
        marks = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- /{re.escape(name)} -->)", re.S)
        if not marks.search(text):
            raise SystemExit(f"{page.name} has no place for '{name}': add <!-- {name} --> marks.")
        text = marks.sub(lambda at, found=found: at[1] + section(found) + at[2], text)
    page.write_text(text, encoding="utf-8")


def section(found: dict[str, Any]) -> str:
    """A result's table, with the machine and the day."""
    facts = found["machine"]
    busy = "; **busy**: other work ran beside it" if found["busy"] else ""
    where = f"{facts['processor']}, {facts['cores']} cores, {facts['memory_gb']} GB"
    rows = table([Row(**row) for row in found["rows"]])
    return f"\n{found['at']}, {where}{busy}.\n\n{rows}\n\n"


if __name__ == "__main__":
    main()
