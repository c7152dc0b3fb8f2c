"""What every benchmark that sets ours against another has in common: turns, rows, the machine.

A row is one thing measured on both sides, reading by reading. Readings that were taken right after
one another make a pair; a pair's ratio says more than either number, because both sides had the
same machine. Ratios are always "times better": above 1 ours is faster, or takes less.

What takes time makes two rows, 'X, processor' and 'X, clock' (``both_times``): processor seconds
are the steadier ones beside other work, the clock is what a user waits.
"""

import json
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, TypeVar

import psutil

Reading = TypeVar("Reading")
#: Which way a number is better: seconds and megabytes 'less', rates 'more'.
Better = Literal["less", "more"]
#: Distributions whose version changes what is measured.
LIBRARIES = (
    "torch", "transformers", "sentence-transformers", "tokenizers", "faiss-cpu", "onnxruntime",
    "openvino", "datasets", "pyarrow", "gradio", "numpy",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One thing measured: readings of ours, and of the other side as many or none. What failed has
    none at all, and is a row nevertheless: a page without it would claim too much."""

    name: str
    unit: str
    better: Better
    ours: list[float]
    theirs: list[float] = field(default_factory=list)
    #: What no number says: what differed, what was not reached.
    note: str = ""

    @property
    def ratios(self) -> list[float]:
        """Pair by pair, how many times better ours is; none of a pair with a reading of 0."""
        pairs = zip(self.ours, self.theirs, strict=True) if self.theirs else ()
        return [a / b if self.better == "more" else b / a for a, b in pairs if a and b]


def turns(
    ours: Callable[[], Reading], theirs: Callable[[], Reading], pairs: int
) -> Iterator[tuple[Reading, Reading]]:
    """Readings of both, pair by pair; who is first in one pair is second in the next."""
    for pair in range(pairs):
        if pair % 2:
            other = theirs()
            yield ours(), other
        else:
            own = ours()
            yield own, theirs()


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds by the clock, and of this process's processor time with its children's."""

    wall: float
    cpu: float


def spent(work: Callable[[], object]) -> Spent:
    """What a call took."""
    cpu, wall = _cpu(), time.perf_counter()
    work()
    return Spent(time.perf_counter() - wall, _cpu() - cpu)


def both_times(
    name: str,
    ours: Sequence[Spent],
    theirs: Sequence[Spent] = (),
    *,
    amount: float | None = None,
    unit: str = "s",
    note: str = "",
) -> list[Row]:
    """Rows 'NAME, processor' and 'NAME, clock'.

    Args:
        name: What was measured.
        ours: Readings.
        theirs: The other side's, as many or none.
        amount: How much of something a reading went through: the rows are then rates.
        unit: Of the rows: 's', or that of a rate, as 'MB/s' or 'texts/s'.
        note: What no number says, for both rows.
    """

    def values(readings: Sequence[Spent], of: str) -> list[float]:
        seconds = [float(getattr(reading, of)) for reading in readings]
        return seconds if amount is None else [amount / each for each in seconds]

    better: Better = "less" if amount is None else "more"
    return [
        Row(f"{name}, {words}", unit, better, values(ours, of), values(theirs, of), note)
        for of, words in (("cpu", "processor"), ("wall", "clock"))
    ]


def _cpu() -> float:
    # os.times counts hundredths of a second: too few for what takes some of them.
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in found)


def write_rows(path: Path | None, rows: Sequence[Row]) -> None:
    """For ``benchmarks/run.py``, which reads them; None writes nothing."""
    if path:
        path.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")


def read_rows(path: Path) -> list[Row]:
    return [Row(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


def table(rows: Sequence[Row]) -> str:
    """Rows as Markdown: medians of both sides, median and range of the pairs' ratios."""
    lines = [
        "| | ours | other side | times better: median (range) | pairs |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        ours, theirs = (_median(readings, row.unit) for readings in (row.ours, row.theirs))
        ratios = sorted(row.ratios)
        ratio = (
            f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f})" if ratios else ""
        )
        lines.append(
            f"| {row.name}{f'; {row.note}' if row.note else ''} "
            f"| {ours} | {theirs} | {ratio} | {len(row.ours)} |"
        )
    return "\n".join(lines)


def _median(readings: Sequence[float], unit: str) -> str:
    return f"{number(statistics.median(readings))} {unit}" if readings else ""


def number(value: float) -> str:
    """With three digits that say something: '0.0123', '4.56', '1,235'."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 4
    return f"{value:.{digits}f}"


def machine() -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "libraries": {name: found for name in LIBRARIES if (found := _version(name))},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
