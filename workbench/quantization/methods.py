"""The ways to make a model or its embeddings smaller, and what each may cost. Torch-free."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from workbench.comparison.names import HEADLINE, label
from workbench.models.contract import Contract

ModelMethod = Literal["bf16", "fp16", "int8", "nf4", "fp4", "onnx", "onnx-int8"]
VectorMethod = Literal["float32", "int8", "uint8", "binary", "ubinary"]
MODEL_METHODS: tuple[str, ...] = get_args(ModelMethod)
VECTOR_METHODS: tuple[str, ...] = get_args(VectorMethod)

#: How much MAP@100 a method may lose against full precision.
BOUNDS: dict[str, float] = {
    "bf16": 0.005,
    "fp16": 0.005,
    "onnx": 0.005,
    "int8": 0.01,
    "onnx-int8": 0.01,
    "nf4": 0.03,
    "fp4": 0.03,
}
VECTOR_BOUNDS: dict[str, float] = {
    "float32": 0.03,
    "int8": 0.01,
    "uint8": 0.01,
    "binary": 0.03,
    "ubinary": 0.03,
}

_BITSANDBYTES = ("int8", "nf4", "fp4")


@dataclass(frozen=True, slots=True)
class VectorFormat:
    """How embeddings are kept: cut to ``dimensions`` (0: all of them), then as ``method`` says."""

    method: str
    dimensions: int = 0

    @property
    def name(self) -> str:
        return f"{self.method} {self.dimensions}" if self.dimensions else self.method

    @property
    def bound(self) -> float:
        """Cut ones are allowed what binary ones are."""
        return VECTOR_BOUNDS["float32"] if self.dimensions else VECTOR_BOUNDS[self.method]


def signed(change: float) -> str:
    """With its sign and four places; what rounds to nothing has no minus."""
    return f"{round(change, 4) + 0.0:+.4f}"


def refusal(method: str, name: str, contract: Contract) -> tuple[str, str] | None:
    """Why a model cannot be kept like this here, and what to do; None where it can."""
    if contract.weights:
        return (
            f"The weights of '{name}' are kept in {contract.weights} already.",
            "Quantize the original model.",
        )
    if contract.pictures_by:
        return (
            f"'{name}' reads texts and pictures with two models, which are not quantized here.",
            "Its embeddings can be: build an index of the type small.",
        )
    if method in _BITSANDBYTES and find_spec("bitsandbytes") is None:
        return (
            f"{method} needs bitsandbytes, which is not installed here.",
            "Install it with: pip install bitsandbytes",
        )
    if method.startswith("onnx"):
        return _no_graph(method, name, contract)
    return None


def _no_graph(method: str, name: str, contract: Contract) -> tuple[str, str] | None:
    missing = [one for one in ("onnx", "onnxruntime") if find_spec(one) is None]
    if missing:
        packages = " and ".join(missing)
        return (
            f"{method} needs {packages}, which this machine does not have.",
            f"Install what is missing with: pip install {' '.join(missing)}",
        )
    if contract.kind == "image-text":
        return (
            f"'{name}' reads texts and pictures with two towers: one graph does not hold both.",
            "Choose bf16, fp16, int8 or nf4.",
        )
    if contract.architecture == "llm":
        return (
            f"'{name}' answers with one word of a language model: as a graph it would compute the "
            "whole vocabulary for every token.",
            "Choose bf16, int8 or nf4.",
        )
    return None


# What a smaller model or code costs: agreement, the bound, the Pareto front, what to take.
#
# Numpy only: used by the job, and tested without a model.

#: What is to be small: a model on disk; embeddings in memory, where they are searched.
WEIGHED = {"models": "bytes", "vectors": "memory"}
#: How far down two rankings are compared.
TOP = 10
#: A method may be slower than the original by this factor and still count as no slower.
_SLACK = 1.1
#: What would be shown as a loss of 0.000.
_NOTHING = 0.0005

Ranked = NDArray[np.int64]
Row = dict[str, Any]


def overlap(first: Ranked, second: Ranked, k: int = TOP) -> float:
    """The mean share of the first's top k that the second found too: rows (n, k'), -1 for none."""
    shares = []
    for one, other in zip(first[:, :k], second[:, :k], strict=True):
        wanted = one[one >= 0]
        if len(wanted):
            shares.append(np.isin(wanted, other).mean())
    return float(np.mean(shares)) if shares else 0.0


def rank_correlation(first: Ranked, second: Ranked) -> float:
    """The mean Spearman correlation over the first's documents; those the second lacks are last."""
    found = []
    for one, other in zip(first, second, strict=True):
        wanted = one[one >= 0]
        if len(wanted) < 2:
            continue
        places = {int(row): at for at, row in enumerate(other) if row >= 0}
        theirs = rankdata([places.get(int(row), len(other)) for row in wanted])
        spread = theirs.std()
        mine = rankdata(np.arange(len(wanted)))
        found.append(0.0 if spread == 0 else float(np.corrcoef(mine, theirs)[0, 1]))
    return float(np.mean(found)) if found else 0.0


def judged(row: Row, original: Row, metric: str = HEADLINE) -> Row:
    """The row with what it lost and whether that is within its bound."""
    lost = original[metric] - row[metric]
    return {**row, "lost": lost, "met": bool(lost <= row["bound"] + 1e-9)}


def on_front(rows: Sequence[Row], size: str = "bytes", metric: str = HEADLINE) -> list[bool]:
    """Which rows no other one beats: none is both as small and as good, and better in one."""
    return [
        not any(
            other[size] <= row[size]
            and other[metric] >= row[metric]
            and (other[size] < row[size] or other[metric] > row[metric])
            for other in rows
        )
        for row in rows
    ]


def recommended(
    rows: Sequence[Row], size: str = "bytes", metric: str = HEADLINE, quicker: str = ""
) -> tuple[str, str]:
    """The name of the row to take, and why in sentences. The first row is the original.

    Of those within their bounds and no slower than the original the smallest; where all are slower,
    the smallest of them; where none is within its bound, the original. ``quicker``: a method that
    was not measured and is often quicker here, to be named where all are slower.
    """
    original, *others = rows
    good = [row for row in others if row["met"] and row[size] < original[size]]
    if not good:
        return original["name"], "Nothing smaller is within its bound: the original stays."
    limit = _SLACK * original["milliseconds_per_query"]
    quick = [row for row in good if row["milliseconds_per_query"] <= limit]
    # Of equal sizes the better one.
    best = min(quick or good, key=lambda row: (row[size], -row[metric]))
    why = _why(best, original, size, metric, slower=not quick)
    if quicker and not quick:
        why += f" On a CPU {quicker} is often quicker, and it was not measured."
    return best["name"], why


def _why(best: Row, original: Row, size: str, metric: str, *, slower: bool) -> str:
    speed = original["milliseconds_per_query"] / best["milliseconds_per_query"]
    pace = f"a query takes {1 / speed:.1f} times as long" if slower else _pace(speed)
    which = (
        "All within their bounds are slower; the smallest"
        if slower
        else "The smallest within its bound that is no slower"
    )
    return (
        f"{which}: {_smaller(best, original, size)}, it "
        f"{_lost(best['lost'], label(metric))} ({best['bound']:g} is allowed), and {pace}."
    )


def _smaller(best: Row, original: Row, size: str) -> str:
    """How many times smaller, and where: what is small in memory can be larger on disk."""
    times = {where: original[where] / best[where] for where in ("bytes", "memory")}
    if size == "bytes":
        return f"{times['bytes']:.1f} times smaller on disk"
    return f"{times['memory']:.1f} times smaller in memory and {times['bytes']:.1f} times on disk"


def _lost(lost: float, metric: str) -> str:
    if abs(lost) < _NOTHING:
        return f"loses no {metric}"
    return f"loses {lost:.3f} {metric}" if lost > 0 else f"gains {-lost:.3f} {metric}"


def _pace(speed: float) -> str:
    return f"a query is {speed:.1f} times as fast" if speed >= 1.05 else "a query takes as long"
