"""The best rows of an exact index: by score, then by document id."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]
RowNumbers = NDArray[np.int64]

#: More are asked for than wanted, so that equal scores at the end can be told apart by id.
_SPARE = 16
#: Where very many documents score the same, their order is settled among this many.
_MOST = 20_000


def contenders(index: Any, vector: Scores, top_k: int) -> tuple[RowNumbers, Scores]:
    """The rows of ``index`` (FAISS) that can be among the ``top_k`` best for one query (d,).

    These are ``top_k`` rows, and those that score the same as the last of them.
    """
    scores, rows = _enough(index, vector[None, :], top_k)
    keep = scores >= scores[min(top_k, len(scores)) - 1]
    return rows[keep], scores[keep]


def order(ids: list[str], scores: Scores, top_k: int) -> list[int]:
    """Positions of the ``top_k`` best: highest score first, equal ones by id."""
    return sorted(range(len(ids)), key=lambda place: (-scores[place], ids[place]))[:top_k]


def _enough(index: Any, query: Scores, top_k: int) -> tuple[Scores, RowNumbers]:
    """The best rows, on until the score falls below that of the last one wanted."""
    want = min(top_k + _SPARE, index.ntotal)
    while True:
        scores, rows = (found[0] for found in index.search(query, want))
        tied = want > top_k and scores[-1] == scores[top_k - 1]
        if not tied or want >= min(index.ntotal, _MOST):
            return scores, rows
        want = min(want * 4, index.ntotal, _MOST)
