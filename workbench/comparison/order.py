"""The queries of a pairing in the order a person asks for: by any column, all or some of them."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.comparison.explore import SAME, Change, Pairing
from workbench.comparison.table import (
    AFTER,
    ALL,
    BEFORE,
    CHANGE,
    GAINED,
    LENGTH,
    LOST,
    QUERY,
    UNCHANGED,
)

Places = NDArray[np.int64]


def ordered(
    pair: Pairing,
    every: Sequence[Change],
    which: str = ALL,
    by: str = CHANGE,
    down: bool = True,
) -> Places:
    """Places of the queries in the pairing. ``every``: all its queries as ``changes`` gives them.
    Equal ones stay in the data's order, whichever way."""
    keys: dict[str, Callable[[], Sequence[float]]] = {
        CHANGE: lambda: pair.deltas.round(9).tolist(),
        BEFORE: lambda: pair.against.tolist(),
        AFTER: lambda: pair.values.tolist(),
        LENGTH: lambda: [len(one.text) for one in every],
        QUERY: lambda: _ranks([one.text.casefold() for one in every]),
    }
    values = np.asarray(keys[by](), np.float64)
    places = np.flatnonzero(_chosen(pair, which))
    return np.asarray(
        places[np.argsort(-values[places] if down else values[places], kind="stable")]
    )


def _chosen(pair: Pairing, which: str) -> NDArray[np.bool_]:
    deltas = pair.deltas
    chosen = {
        ALL: np.ones(len(deltas), bool),
        GAINED: deltas > SAME,
        LOST: deltas < -SAME,
        UNCHANGED: np.abs(deltas) <= SAME,
    }
    return chosen[which]


def _ranks(texts: Sequence[str]) -> list[float]:
    """Each text's place among the different ones."""
    place = {text: float(at) for at, text in enumerate(sorted(set(texts)))}
    return [place[text] for text in texts]
