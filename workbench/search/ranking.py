"""The best rows of an exact index: by score, then by document id."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: More are asked for than wanted, so that equal scores at the end can be told apart by id.
_SPARE = 16
#: Where very many documents score the same, their order is settled among this many.
_MOST = 20_000


def best(
    index: Any, vector: NDArray[np.float32], top_k: int, ids_of: Callable[[list[int]], list[str]]
) -> list[tuple[int, str, float]]:
    """Row, id and score of the ``top_k`` best of ``index`` (FAISS) for one query vector (d,)."""
    scores, rows = _enough(index, vector[None, :], top_k)
    keep = scores >= scores[min(top_k, len(scores)) - 1] if len(scores) else scores > 0
    found = [int(row) for row in rows[keep]]
    ranked = sorted(
        zip(found, ids_of(found), scores[keep].tolist(), strict=True),
        key=lambda hit: (-hit[2], hit[1]),
    )
    return ranked[:top_k]


def _enough(
    index: Any, query: NDArray[np.float32], top_k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The best rows, on until the score falls below that of the last one wanted."""
    want = min(top_k + _SPARE, index.ntotal)
    while True:
        scores, rows = (found[0] for found in index.search(query, want))
        tied = want > top_k and scores[-1] == scores[top_k - 1]
        if not tied or want >= min(index.ntotal, _MOST):
            return scores, rows
        want = min(want * 4, index.ntotal, _MOST)
