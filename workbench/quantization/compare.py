"""What a smaller model or code costs: agreement, the bound, the Pareto front, what to take.

Numpy only: used by the job, and tested without a model.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.comparison.names import HEADLINE, label

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
        theirs = _ranks([places.get(int(row), len(other)) for row in wanted])
        spread = theirs.std()
        mine = np.arange(len(wanted))
        found.append(0.0 if spread == 0 else float(np.corrcoef(mine, theirs)[0, 1]))
    return float(np.mean(found)) if found else 0.0


def _ranks(places: Sequence[int]) -> NDArray[np.float64]:
    """From 1; equal places share the mean of theirs."""
    _, which, counts = np.unique(places, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (counts.cumsum() - (counts - 1) / 2)[which]
    return ranks


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
