"""benchmarks/gpu.py: its time, its tables, and that it runs without the page and without FAISS."""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest

from benchmarks import gpu
from benchmarks.gpu import Cell, Reading, Result, Worker

ROOT = Path(__file__).resolve().parents[2]
CELL = Cell("training", "BERT base", "mixed", 64)
MACHINE = {
    "at": "2026-01-02 03:04",
    "device": "NVIDIA H100 PCIe",
    "memory": 80_000.0,
    "torch": "2.11.0",
    "tflops": 500.0,
}
#: What hides packages from a process and from those that it starts.
HIDDEN = """
import sys
HIDDEN = set(
    "gradio gradio_client faiss fastapi uvicorn starlette alembic bitsandbytes openvino onnx "
    "onnxruntime bm25s jieba rensa py3langid plotly langchain_core mcp".split()
)

class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, *more):
        return None if name.split(".")[0] in HIDDEN else self.finder.find_spec(name, *more)
    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = map(Without, sys.meta_path)
"""


def reading(side: Any, seconds: float) -> Reading:
    return Reading(side, seconds, 64, 20_000, 50e12 * seconds, 1_234.0)


class Process:
    """One that has ended, or that does what it is told."""

    exitcode = 1

    def kill(self) -> None: ...

    def join(self, timeout: float | None = None) -> None: ...


def worker_with(pipe: Any) -> Worker:
    worker = Worker(argparse.Namespace())
    worker.process, worker.pipe = Process(), pipe
    return worker


def test_a_cell_gives_its_lines() -> None:
    here, there = Pipe()
    for line in ({"side": "ours"}, None):
        there.send(line)
    worker = worker_with(here)
    assert worker.ask(0, 1.0, 60.0) == ([{"side": "ours"}], "")
    assert there.recv() == (0, 1.0)
    assert worker.process is not None


def test_a_cell_that_takes_too_long_is_stopped_and_keeps_what_was_read() -> None:
    here, there = Pipe()
    there.send({"side": "ours"})
    worker = worker_with(here)
    assert worker.ask(0, 0.0, 0.01) == ([{"side": "ours"}], "stopped after 0 s")
    assert worker.process is None, "the next one gets a new process"


def test_a_process_that_dies_is_said_to_have() -> None:
    here, there = Pipe()
    there.close()
    worker = worker_with(here)
    lines, failed = worker.ask(0, 1.0, 60.0)
    assert (lines, failed) == ([], "its process ended with 1, see log.txt")
    assert worker.process is None


def test_time_is_shared_among_the_cells_to_come() -> None:
    assert gpu.time_for(0, 4, 80.0) == (20.0, 40.0)
    assert gpu.time_for(3, 4, 80.0) == (80.0, 80.0)
    assert gpu.time_for(0, 4, 20.0) == (gpu.LEAST, 2 * gpu.LEAST)
    assert gpu.time_for(2, 4, 5.0) == (0.0, 0.0)


def test_a_row_has_both_sides_and_their_share_of_both_peaks() -> None:
    found = Result(CELL, [reading("ours", 1.0), reading("plain", 2.0)])
    assert gpu.line(found, MACHINE) == (
        "| training, BERT base, mixed lengths, 64 pairs a step | 64.0 / 32.0 | 20,000 / 10,000 "
        "| 10.0% and 6.6% / 10.0% and 6.6% | 1,234 / 1,234 | 2.00 (2.00–2.00) | 1 |"
    )
    text = gpu.page(MACHINE, [found])
    assert "bf16 TFLOP/s: 500 (measured), 756 (maker's)" in text


def test_a_side_without_room_is_said_and_the_other_stays() -> None:
    found = gpu.result(
        CELL,
        [
            {"side": "plain", "failed": "out of memory"},
            asdict(reading("ours", 1.0)),
        ],
        "",
    )
    assert "| 64.0 / out of memory |" in gpu.line(found, MACHINE)
    assert gpu.said(found) == "plain out of memory"
    rate, *_ = gpu.rows(found, MACHINE)
    assert (rate.ours, rate.theirs, rate.note) == ([64.0], [], "plain: out of memory")


def test_a_cell_that_found_no_time_has_a_row_all_the_same() -> None:
    found = gpu.result(CELL, [], "no time was left")
    assert "| not measured: no time was left |" in gpu.line(found, MACHINE)
    assert gpu.rows(found, MACHINE) == []


def test_the_longest_name_that_fits_tells_the_device() -> None:
    assert gpu.peaks({**MACHINE, "device": "NVIDIA L40S"}) == {"measured": 500.0, "maker's": 362.0}
    assert gpu.peaks({**MACHINE, "device": "CPU"}) == {"measured": 500.0}


def test_without_a_gpu_it_says_what_can_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "gpus", tuple)
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    with pytest.raises(SystemExit, match="no GPU here; --device cpu"):
        gpu.main()


@pytest.mark.slow  # Imports torch and trains, in a process of its own.
def test_every_cell_is_measured_without_the_page_and_without_faiss(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(HIDDEN)
    command = [sys.executable, "benchmarks/gpu.py", "--device", "cpu", "--shapes", "tiny"]
    done = subprocess.run(
        [*command, "--seconds", "400", "--pairs", "1", "--folder", str(tmp_path / "found")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr + (tmp_path / "found/log.txt").read_text()
    cells = json.loads((tmp_path / "found/gpu.json").read_text())["cells"]
    assert [len(one["readings"]) for one in cells] == [2] * len(gpu.SETUPS["tiny"].cells)
    assert (tmp_path / "found/gpu.md").read_text().strip() in done.stdout
