"""How long until the first page is served, and what the app keeps in memory.

    python benchmarks/app_start.py [--repeats 6] [--settle 4]

Starts our app and, in turns and in both orders, the smallest Gradio app there is (one button),
each as a process of its own. Time runs from the start of the process to the whole first page;
processor seconds are what it took of them, the steadier number on a busy machine; memory is the
process's resident set a few seconds later. One start of each goes before, uncounted, so that files
are in the system's cache and the workspace exists (``--cold`` goes without). Prints JSON: medians,
every single time, and of the ratios of neighbouring starts the median, the least and the most;
``--out FILE`` writes the rows of run.py.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.sides import Row, Spent, both_times, write_rows

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 120.0
#: The packaged model is made ready in the background; by then that is over.
SETTLE = 4.0
BARE = """
import sys
import gradio as gr
with gr.Blocks(analytics_enabled=False) as blocks:
    gr.Button("go").click(lambda: None)
blocks.launch(server_name="127.0.0.1", server_port=int(sys.argv[1]), quiet=True)
"""


@dataclass(frozen=True, slots=True)
class Start:
    """One start: seconds to the first page, processor seconds of them, megabytes afterwards."""

    seconds: float
    cpu_seconds: float
    memory_mb: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=6)
    parser.add_argument("--settle", type=float, default=SETTLE, help="seconds until memory is read")
    parser.add_argument("--cold", action="store_true", help="count the first start, too")
    parser.add_argument("--out", type=Path, help="write the rows of run.py to this file")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        kinds: dict[str, Callable[[int], list[str]]] = {
            "workbench": lambda port: ["app.py", "--home", home, "--port", str(port)],
            "bare_gradio": lambda port: ["-c", BARE, str(port)],
        }
        found: dict[str, list[Start]] = {name: [] for name in kinds}
        for turn in range(1 if asked.cold else 0, asked.repeats + 1):
            # Whoever goes second finds the caches warmer: each does as often.
            for name in list(kinds)[:: 1 if turn % 2 else -1]:
                start = measure(kinds[name], asked.settle)
                print(f"{turn} {name}: {start.seconds:.2f} s", file=sys.stderr)
                if turn:
                    found[name].append(start)
    print(json.dumps(report(found), indent=2))
    write_rows(asked.out, rows(found))


def measure(command: Callable[[int], list[str]], settle: float) -> Start:
    """Start a process, wait for its page, look at its memory, stop it."""
    port = free_port()
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *command(port)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for_page(port, process)
        seconds = time.perf_counter() - begin
        watched = psutil.Process(process.pid)
        times = watched.cpu_times()
        time.sleep(settle)
        return Start(seconds, times.user + times.system, watched.memory_info().rss / 1e6)
    finally:
        process.terminate()
        process.wait(LIMIT)


def wait_for_page(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Until GET / has answered with a whole page."""
    end = time.perf_counter() + LIMIT
    while time.perf_counter() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=LIMIT) as answer:
                if b"</html>" in answer.read():
                    return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.02)
    raise SystemExit(f"no page after {LIMIT:.0f} s (exit code {process.poll()})")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def report(found: dict[str, list[Start]]) -> dict[str, object]:
    pairs = list(zip(found["workbench"], found["bare_gradio"], strict=True))
    return {
        **{name: summary(starts) for name, starts in found.items()},
        "seconds_ratio": spread([a.seconds / b.seconds for a, b in pairs]),
        "cpu_ratio": spread([a.cpu_seconds / b.cpu_seconds for a, b in pairs]),
        "memory_ratio": spread([a.memory_mb / b.memory_mb for a, b in pairs]),
        "processors": os.cpu_count(),
        "load": os.getloadavg()[0],
    }


def rows(found: dict[str, list[Start]]) -> list[Row]:
    """Start by start against the smallest Gradio app."""
    ours, theirs = found["workbench"], found["bare_gradio"]
    took = ([Spent(one.seconds, one.cpu_seconds) for one in side] for side in (ours, theirs))
    memory = ([one.memory_mb for one in side] for side in (ours, theirs))
    return [
        *both_times("process start to first page", *took),
        Row("memory afterwards", "MB", "less", *memory),
    ]


def spread(ratios: list[float]) -> dict[str, float]:
    found = {"median": statistics.median(ratios), "least": min(ratios), "most": max(ratios)}
    return {name: round(ratio, 3) for name, ratio in found.items()}


def summary(starts: list[Start]) -> dict[str, object]:
    return {
        "seconds": round(statistics.median(start.seconds for start in starts), 2),
        "cpu_seconds": round(statistics.median(start.cpu_seconds for start in starts), 2),
        "memory_mb": round(statistics.median(start.memory_mb for start in starts)),
        "all_seconds": [round(start.seconds, 2) for start in starts],
    }


if __name__ == "__main__":
    main()
