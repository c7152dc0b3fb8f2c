"""Training and encoding on a GPU beside plain sentence-transformers, within a time that is given.

    python benchmarks/gpu.py                                    on a GPU, in eight minutes
    python benchmarks/gpu.py --device cpu --shapes tiny --seconds 60      tries it without one

Needs torch, transformers, sentence-transformers, datasets, accelerate, peft, tensorboard, pyarrow,
pydantic, psutil, orjson, xxhash, sqlalchemy and ir_measures; neither Gradio nor FAISS, and it opens
no home. Models have the shapes of published ones and random weights; texts are made-up words, one
token each. 'mixed' lengths are drawn from a log-normal distribution and cut to 20 to 512 tokens
(mean about 150); 'full' texts have 512.

- training: bf16, in-batch negatives, the very batches of one side for the other; counted from the
  end of the last warm-up step to the end of the last step, the GPU waited for at both ends only;
- LoRA over a frozen decoder in bf16, in the same way;
- encoding: all texts at once, through what an evaluation or an index job encodes with.

In a cell both sides take turns, each reading with a model loaded anew, until the cell's share of
``--seconds`` is used up. What finds no time is 'not measured', and what does not fit into memory
says so; the tables, FOLDER/gpu.md and gpu.json, are written after each cell.

Tokens are the texts' own, padding not counted. The share of the peak is the floating point
operations of these tokens, by the second, over what the device does in bf16: the rate of a large
matrix product measured in the same run, and the maker's number where the device is known. A text of
n tokens takes 2 n W + a L d n² operations in a forward pass (W weights of matrices without the
embeddings, L layers of width d, a = 4, or 2 where a token looks back only); training takes three
times that, LoRA twice, as no gradient of a frozen weight is computed.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.shapes import BERT, MINILM, QWEN2, TINY
from benchmarks.sides import Row, number, write_rows
from workbench.jobs.slots import gpus

LOG = "log.txt"
OUT = Path(__file__).resolve().parents[1] / "benchmarks/out/gpu"
Side = Literal["ours", "plain"]
Shape = dict[str, Any]

#: TFLOP/s of dense bf16 products with fp32 sums, as the makers say; the longest name that fits.
PEAKS = {
    "NVIDIA A10": 125,
    "NVIDIA A10G": 70,
    "NVIDIA A100": 312,
    "NVIDIA B200": 2250,
    "NVIDIA GeForce RTX 3090": 71,
    "NVIDIA GeForce RTX 4090": 165,
    "NVIDIA H100": 989,
    "NVIDIA H100 PCIe": 756,
    "NVIDIA H100 NVL": 835,
    "NVIDIA H200": 989,
    "NVIDIA H200 NVL": 835,
    "NVIDIA L4": 121,
    "NVIDIA L40": 181,
    "NVIDIA L40S": 362,
}
#: Seconds kept at the end for what stands after the last cell.
RESERVE = 3.0
#: Seconds below which no cell is begun.
LEAST = 8.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One thing measured."""

    work: Literal["training", "LoRA", "encoding"]
    shape: str
    lengths: Literal["mixed", "full"]
    #: Pairs of texts in a step; or texts encoded at a time by the plain side.
    batch: int
    #: Number format of the plain side's weights where it encodes.
    plain: Literal["", "bf16", "fp32"] = ""

    @property
    def name(self) -> str:
        beside = f", plain in {self.plain}, batches of {self.batch}" if self.plain else ""
        batch = "" if self.plain else f", {self.batch} pairs a step"
        return f"{self.work}, {self.shape}, {self.lengths} lengths{batch}{beside}"


@dataclass(frozen=True, slots=True)
class Setup:
    """Cells, most telling first, and what they are made of."""

    shapes: dict[str, Shape]
    cells: list[Cell]
    #: The longest text, in tokens.
    longest: int
    #: Steps that are not counted, and those that are.
    steps: tuple[int, int]
    #: Texts encoded in a reading.
    texts: int


SETUPS = {
    "real": Setup(
        {"BERT base": BERT, "MiniLM": MINILM, "Qwen2 1.5B": QWEN2},
        [
            Cell("training", "BERT base", "mixed", 64),
            Cell("training", "BERT base", "full", 32),
            Cell("encoding", "BERT base", "mixed", 128, "bf16"),
            Cell("LoRA", "Qwen2 1.5B", "mixed", 16),
            Cell("training", "MiniLM", "mixed", 64),
            Cell("encoding", "BERT base", "mixed", 32, "fp32"),
            Cell("training", "MiniLM", "full", 32),
        ],
        longest=512,
        steps=(4, 20),
        texts=8192,
    ),
    "tiny": Setup(
        {"tiny BERT": {**BERT, **TINY}, "tiny Qwen2": {**QWEN2, **TINY}},
        [
            Cell("training", "tiny BERT", "mixed", 4),
            Cell("encoding", "tiny BERT", "mixed", 8, "bf16"),
            Cell("LoRA", "tiny Qwen2", "mixed", 4),
        ],
        longest=128,
        steps=(1, 2),
        texts=64,
    ),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """One turn of one side."""

    side: Side
    seconds: float
    samples: int
    tokens: int
    #: Floating point operations of these tokens.
    operations: float
    #: Megabytes that torch gave out on the GPU at most; on a CPU the process's largest size so far.
    memory: float
    #: What computed it, where that was chosen.
    note: str = ""


@dataclass(slots=True)
class Result:
    """What a cell gave."""

    cell: Cell
    readings: list[Reading] = field(default_factory=list)
    #: Why a side, or the whole cell (''), has no readings.
    failed: dict[str, str] = field(default_factory=dict)

    def of(self, side: Side) -> list[Reading]:
        return [one for one in self.readings if one.side == side]

    @property
    def pairs(self) -> list[tuple[Reading, Reading]]:
        return list(zip(self.of("ours"), self.of("plain"), strict=False))


def main() -> None:
    asked = read_arguments()
    setup = SETUPS[asked.shapes]
    if asked.device == "cuda" and not gpus():
        raise SystemExit("There is no GPU here; --device cpu --shapes tiny tries it without one.")
    deadline = time.monotonic() + asked.seconds - RESERVE
    asked.folder.mkdir(parents=True, exist_ok=True)
    (asked.folder / LOG).unlink(missing_ok=True)
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="gpu-", dir=asked.folder) as models:
        asked.models = Path(models)
        worker = Worker(asked)
        try:
            facts, failed = worker.ask(None, 0.0, deadline - time.monotonic())
            if failed:
                raise SystemExit(f"The device could not be looked at: {failed}")
            machine = facts[0]
            for at, cell in enumerate(setup.cells):
                given = time_for(at, len(setup.cells), deadline - time.monotonic())
                found = worker.ask(at, *given) if given[1] else ([], "no time was left")
                results.append(result(cell, *found))
                write(asked, machine, results)
                write_rows(asked.out, [row for one in results for row in rows(one, machine)])
                print(f"{cell.name}: {said(results[-1])}", flush=True)
        finally:
            worker.stop()
    print(page(machine, results))
    if not any(one.readings for one in results):
        raise SystemExit("Nothing was measured.")


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=480, help="until all has ended")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--shapes", choices=list(SETUPS), default="real")
    parser.add_argument("--pairs", type=int, default=5, help="of readings in a cell, at most")
    parser.add_argument("--folder", type=Path, default=OUT, help="for gpu.md and gpu.json")
    parser.add_argument("--out", type=Path, help="write the rows of run.py to this file")
    return parser.parse_args()


# -- the process that measures -------------------------------------------------------------------


class Worker:
    """A process that imports everything once and measures one cell after the other; after one that
    it did not survive, or that took too long, a new one."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self.asked = asked
        self.process: Any = None
        self.pipe: Any = None

    def ask(self, cell: int | None, share: float, limit: float) -> tuple[list[dict[str, Any]], str]:
        """The lines of a cell (None: of the device), which should take ``share`` seconds and is
        stopped after ``limit``, and why it did not come to its end, or ''."""
        end = time.monotonic() + limit
        if self.process is None:
            self._start()
        lines: list[dict[str, Any]] = []
        try:
            self.pipe.send((cell, share))
            while self.pipe.poll(max(0.0, end - time.monotonic())):
                line = self.pipe.recv()
                if line is None:
                    return lines, ""
                lines.append(line)
        except (EOFError, OSError):
            self.process.join(5)
            failed = f"its process ended with {self.process.exitcode}, see {LOG}"
        else:
            failed = f"stopped after {limit:.0f} s"
        self.stop()
        return lines, failed

    def _start(self) -> None:
        # A fork would be quicker, but is of no use once a library has looked at the GPU.
        spawn = multiprocessing.get_context("spawn")
        self.pipe, there = spawn.Pipe()
        self.process = spawn.Process(target=in_process, args=(self.asked, there))
        self.process.start()
        there.close()

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.pipe.close()
            self.process = None


def in_process(asked: argparse.Namespace, pipe: Any) -> None:
    """Measure the cells that are asked for; what libraries print goes to the log."""
    with (asked.folder / LOG).open("a", encoding="utf-8") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
    if asked.device == "cuda":
        # The library would spread a step over all that it sees.
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus()[0]
    from benchmarks import gpu_cell

    gpu_cell.serve(SETUPS[asked.shapes], asked, pipe)


def time_for(at: int, cells: int, left: float) -> tuple[float, float]:
    """Seconds that a cell should take, and after how many it is stopped; 0 where too few are left.
    What earlier cells did not use is shared among those to come."""
    share = max(left / (cells - at), LEAST)
    return (share, min(left, 2 * share)) if share <= left else (0.0, 0.0)


def result(cell: Cell, lines: list[dict[str, Any]], failed: str) -> Result:
    """A cell's lines as its readings."""
    found = Result(cell)
    for line in lines:
        if "failed" in line:
            found.failed[line["side"]] = line["failed"]
        else:
            found.readings.append(Reading(**line))
    if failed:
        found.failed[""] = failed if found.readings else f"not measured: {failed}"
    return found


# -- what came out -------------------------------------------------------------------------------


def write(asked: argparse.Namespace, machine: dict[str, Any], results: list[Result]) -> None:
    """Both tables, of the cells so far; whole files at any time."""
    found = [
        {
            "cell": one.cell.name,
            "readings": [asdict(reading) for reading in one.readings],
            "failed": one.failed,
        }
        for one in results
    ]
    texts = {
        "gpu.json": json.dumps({"machine": machine, "cells": found}, indent=1) + "\n",
        "gpu.md": page(machine, results) + "\n",
    }
    for name, text in texts.items():
        beside = asked.folder / f"{name}.new"
        beside.write_text(text, encoding="utf-8")
        beside.replace(asked.folder / name)


def peaks(machine: dict[str, Any]) -> dict[str, float]:
    """TFLOP/s of the device in bf16, as measured and as its maker says."""
    found = {"measured": machine["tflops"]}
    if names := [name for name in PEAKS if machine["device"].startswith(name)]:
        found["maker's"] = float(PEAKS[max(names, key=len)])
    return found


def page(machine: dict[str, Any], results: list[Result]) -> str:
    """The table as Markdown, under a line about the machine."""
    rates = ", ".join(f"{number(rate)} ({name})" for name, rate in peaks(machine).items())
    lines = [
        f"{machine['at']}, {machine['device']}, {machine['memory']:,.0f} MB, torch "
        f"{machine['torch']}, bf16 TFLOP/s: {rates}. Ours / plain; share of the peak: measured"
        f"{', and the maker' + chr(39) + 's' if len(peaks(machine)) > 1 else ''}.",
        "",
        "| | samples/s | tokens/s | share of the peak | peak memory, MB | ratio (range) | pairs |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(line(one, machine) for one in results)])


def line(found: Result, machine: dict[str, Any]) -> str:
    """A row of the table."""

    def both(value: Any) -> str:
        return " / ".join(
            value(found.of(side)) if found.of(side) else found.failed.get(side, "–")
            for side in ("ours", "plain")
        )

    def median(readings: list[Reading], of: Any) -> str:
        return number(statistics.median(map(of, readings)))

    def shares(readings: list[Reading]) -> str:
        done = statistics.median(one.operations / one.seconds for one in readings) / 1e12
        return " and ".join(f"{done / peak:.1%}" for peak in peaks(machine).values())

    notes = "; ".join(sorted({one.note for one in found.readings if one.note}))
    name = f"{found.cell.name}{f' ({notes})' if notes else ''}"
    if not found.readings:
        return f"| {name} | {'; '.join(found.failed.values())} | | | | | |"
    values = (
        lambda all_of: median(all_of, lambda one: one.samples / one.seconds),
        lambda all_of: median(all_of, lambda one: one.tokens / one.seconds),
        shares,
        lambda all_of: number(max(one.memory for one in all_of)),
    )
    ratios = sorted(plain.seconds / own.seconds for own, plain in found.pairs)
    ratio = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f})" if ratios else ""
    return f"| {name} | {' | '.join(map(both, values))} | {ratio} | {len(ratios)} |"


def said(found: Result) -> str:
    """A cell in a few words."""
    why = "; ".join(f"{side or 'cell'} {words}" for side, words in found.failed.items())
    ratios = [plain.seconds / own.seconds for own, plain in found.pairs]
    return "; ".join(
        filter(None, [f"{statistics.median(ratios):.2f} times" if ratios else "", why])
    )


def rows(found: Result, machine: dict[str, Any]) -> list[Row]:
    """For run.py: rates by the clock, the share of the measured peak, memory."""
    if not found.of("ours"):
        return []
    pairs, name = found.pairs, found.cell.name
    own = [one for one, _ in pairs] or found.of("ours")
    other = [one for _, one in pairs]
    note = "; ".join(f"{side or 'cell'}: {why}" for side, why in found.failed.items())

    def row(what: str, unit: str, better: Literal["less", "more"], of: Any) -> Row:
        return Row(f"{name}, {what}", unit, better, [*map(of, own)], [*map(of, other)], note)

    return [
        row("clock", "samples/s", "more", lambda one: one.samples / one.seconds),
        row("tokens", "tokens/s", "more", lambda one: one.tokens / one.seconds),
        row(
            "share of the measured bf16 peak",
            "%",
            "more",
            lambda one: 100 * one.operations / one.seconds / 1e12 / machine["tflops"],
        ),
        row("peak memory", "MB", "less", lambda one: one.memory),
    ]


if __name__ == "__main__":
    main()
