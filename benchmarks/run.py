"""Runs benchmarks on a quiet machine, and writes what they found into docs/benchmarks.md.

    python benchmarks/run.py                   all of them
    python benchmarks/run.py import search     some
    python benchmarks/run.py training-speed --more "--data FOLDER"       with arguments of its own
    python benchmarks/run.py --list            what there is
    python benchmarks/run.py --smoke           each as small as it goes: does it run at all?

Before each it waits until others have used less than .3 of a core for 20 seconds, for ``--wait``
seconds at most; what had to begin without that, or had others use more while it ran, is marked
'busy'. Threads of numeric libraries are set to the number of cores for both sides. One that fails,
or takes three times what it should, is said to have, and the others go on; the exit code is 1 then,
and where a part of one has no reading, too.
All that was found goes to benchmarks/results/DATE.json, readings and machine included; the tables
between ``<!-- NAME -->`` and ``<!-- /NAME -->`` in docs/benchmarks.md are written from it.
``--tables`` writes them again from the newest result of each benchmark without measuring.
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.quiet import QUIET_LOAD, Others, wait_for_quiet
from benchmarks.sides import Row, machine, read_rows, table
from workbench.jobs.slots import gpus

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks/results"
PAGE = ROOT / "docs/benchmarks.md"
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")


@dataclass(frozen=True)
class Benchmark:
    """One script that understands ``--out FILE``, and what it is given."""

    name: str
    script: str
    #: What is set against what.
    about: str
    #: About how long it takes on two quiet cores; it is ended after three times that.
    minutes: float
    full: Sequence[str]
    smoke: Sequence[str]
    #: Left out on a machine without one, but for a smoke run.
    needs_gpu: bool = False


BENCHMARKS = {
    one.name: one
    for one in (
        Benchmark(
            "import",
            "import_speed.py",
            "import of generated files, every row checked, against `datasets.load_dataset`",
            5,
            ("--mb", "100", "--repeats", "5"),
            ("--shape", "beir", "plain", "csv", "--mb", "1", "--repeats", "1"),
        ),
        Benchmark(
            "data-check",
            "data_check_speed.py",
            "the data check on generated rows",
            2,
            ("--rows", "100000"),
            ("--rows", "1000", "--pairs", "1"),
        ),
        Benchmark(
            "evaluation",
            "evaluation_speed.py",
            "an evaluation job from kept encodings against sentence-transformers' evaluator",
            5,
            ("--repeats", "5"),
            ("--queries", "20", "--documents", "200", "--repeats", "1"),
        ),
        Benchmark(
            "search",
            "search_speed.py",
            "search through the workbench against bare FAISS with the same index file",
            12,
            ("--turns", "2"),
            ("--vectors", "2000", "--questions", "2", "--turns", "1", "--structures", "flat"),
        ),
        Benchmark(
            "app-start",
            "app_start.py",
            "the app's start and memory against the smallest Gradio app",
            2,
            ("--repeats", "6"),
            ("--repeats", "1", "--settle", "0", "--cold"),
        ),
        Benchmark(
            "training-speed",
            "training_speed.py",
            "a training step against that of a plain sentence-transformers script",
            8,
            ("--steps", "7"),
            ("--groups", "embedding", "--steps", "1", "--batch", "2", "--length", "32"),
        ),
        Benchmark(
            "training-cells",
            "training_cells.py",
            "steps of every kind of model with every method against plain sentence-transformers",
            10,
            ("--steps", "3"),
            ("--steps", "1", "--only", "embedding MiniLM full"),
        ),
        Benchmark(
            "training-quality",
            "training_quality.py",
            "MAP after an epoch of ours and of plain sentence-transformers, seed by seed",
            12,
            (),
            (
                *("--made", "60", "--seeds", "1", "--rows", "16", "--batch", "4", "--length", "32"),
                *("--queries", "5", "--documents", "20"),
            ),
        ),
        Benchmark(
            "recipes",
            "recipes.py",
            "MAP on test and processor time of the presets and of an expert's script",
            30,
            (),
            (
                *("--made", "60", "--epochs", "0.1", "--queries", "5", "--lengths", "32"),
                *("--recipes", "expert", "balanced"),
            ),
        ),
        Benchmark(
            "encoding",
            "encoding_speed.py",
            "texts, single questions and serving against plain sentence-transformers in fp32",
            7,
            ("--documents", "200", "--questions", "60", "--repeats", "5"),
            (
                *("--documents", "4", "--questions", "2", "--repeats", "1"),
                *("--parts", "texts", "--engine", "torch"),
            ),
        ),
        Benchmark(
            "gpu",
            "gpu.py",
            "training and encoding on a GPU against plain sentence-transformers",
            8,
            ("--seconds", "480"),
            ("--device", "cpu", "--shapes", "tiny", "--pairs", "1"),
            needs_gpu=True,
        ),
    )
}


#: What can go wrong in one benchmark while the others go on.
_FAILURES = (
    OSError, subprocess.SubprocessError, ValueError, TypeError, ArithmeticError, psutil.Error,
)  # fmt: skip


def main() -> None:
    asked = read_arguments()
    if asked.list:
        for one in BENCHMARKS.values():
            print(f"{one.name:15} {one.about} ({one.minutes:g} minutes)")
        return
    failed = [] if asked.tables else [name for name in chosen(asked) if not tried(name, asked)]
    if not asked.smoke:
        write_tables(RESULTS, PAGE)
    if failed:
        raise SystemExit(f"Failed: {', '.join(failed)}.")


def chosen(asked: argparse.Namespace) -> list[str]:
    """The benchmarks that were named, or all that can be run here."""
    if asked.names:
        return list(asked.names)
    without = [one.name for one in BENCHMARKS.values() if one.needs_gpu and not gpus()]
    if without and not asked.smoke:
        print(f"Left out, as there is no GPU: {', '.join(without)}.", file=sys.stderr)
        return [name for name in BENCHMARKS if name not in without]
    return list(BENCHMARKS)


def tried(name: str, asked: argparse.Namespace) -> bool:
    """Measure one, keep it and show it; False where that, or a part of it, failed, which is
    said."""
    print(f"{name}: {BENCHMARKS[name].about}", flush=True)
    try:
        found = measure(BENCHMARKS[name], asked.more, smoke=asked.smoke, wait=asked.wait)
        shown = table([Row(**row) for row in found["rows"]])  # Else the page has no table either.
        if not asked.smoke:
            keep(RESULTS, found)
        print(shown, flush=True)
    except _FAILURES as error:
        print(f"{name} failed: {error}", file=sys.stderr, flush=True)
        return False
    without = [row["name"] for row in found["rows"] if not row["ours"]]
    if without:
        print(f"{name} has no reading of: {', '.join(without)}", file=sys.stderr, flush=True)
    return not without


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--smoke", action="store_true", help="as small as it goes; nothing is kept")
    parser.add_argument(
        "--wait", type=float, default=180.0, help="seconds to wait for quiet before each"
    )
    parser.add_argument(
        "--more",
        type=shlex.split,
        default=[],
        metavar="ARGUMENTS",
        help="further ones for the benchmark that is named, in quotation marks; where they begin "
        "with a dash and are a single word, with an equals sign: --more=--hnsw",
    )
    parser.add_argument("--tables", action="store_true", help="write the page from what is kept")
    asked = parser.parse_args()
    if unknown := sorted(set(asked.names) - set(BENCHMARKS)):
        parser.error(f"no benchmark is called {', '.join(unknown)}; --list shows them")
    if asked.more and len(asked.names) != 1:
        parser.error("--more is for one benchmark: name it")
    return asked


def measure(
    benchmark: Benchmark, more: Sequence[str] = (), *, smoke: bool, wait: float
) -> dict[str, Any]:
    """Run one, with ``more`` arguments; its rows with when and where they were taken.

    Raises :class:`subprocess.SubprocessError` where it fails or takes too long, :class:`ValueError`
    where no row has a reading, and what reading its rows raises.
    """
    quiet = True if smoke else wait_for_quiet(wait)
    at = time.strftime("%Y-%m-%d %H:%M")
    with Others() as others, tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        rows = Path(folder) / "rows.json"
        script = str(ROOT / "benchmarks" / benchmark.script)
        arguments = [*(benchmark.smoke if smoke else benchmark.full), *more]
        run([sys.executable, script, *arguments, "--out", str(rows)], 3 * 60 * benchmark.minutes)
        found = read_rows(rows)
    if not any(row.ours for row in found):
        raise ValueError("it has no readings")
    return {
        "name": benchmark.name,
        "command": shlex.join([benchmark.script, *arguments]),
        "at": at,
        "busy": not quiet or others.cores >= QUIET_LOAD,
        "others_cores": round(others.cores, 2),
        "machine": machine(),
        "rows": [asdict(row) for row in found],
    }


def run(command: Sequence[str], seconds: float) -> None:
    """Run a command to its end; after so many seconds it is ended with all that it started."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **pinned(), "HF_HUB_OFFLINE": "1"},
    )
    try:
        if process.wait(seconds):
            raise subprocess.CalledProcessError(process.returncode, command)
    finally:
        if process.returncode is None:
            _kill(process)
            process.wait()


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """With all that it started."""
    started: list[psutil.Process] = []
    with suppress(psutil.Error):
        started = psutil.Process(process.pid).children(recursive=True)
    for one in [*started, process]:
        with suppress(psutil.Error):
            one.kill()


def pinned() -> dict[str, str]:
    """As many threads as cores on both sides, unless the environment says otherwise."""
    cores = str(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    )
    return {name: os.environ.get(name, cores) for name in _THREADS}


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
    others = f", {found['others_cores']:g} cores of it" if found.get("others_cores") else ""
    busy = f"; **busy**: other work ran beside it{others}" if found["busy"] else ""
    where = f"{facts['processor']}, {facts['cores']} cores, {facts['memory_gb']} GB"
    rows = table([Row(**row) for row in found["rows"]])
    return f"\n`{found['command']}`, {found['at']}, {where}{busy}.\n\n{rows}\n\n"


if __name__ == "__main__":
    main()
