"""The best documents of an index: by score, then by document id."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]
Positions = NDArray[np.int64]
Mask = NDArray[np.bool_]

#: More are asked for than wanted, so that equal scores at the end can be told apart by id.
_SPARE = 16
#: Where very many documents score the same, their order is settled among this many.
_MOST = 20_000


class Asked(Protocol):
    """What is asked (:class:`workbench.search.searcher.Searcher`)."""

    @property
    def ntotal(self) -> int: ...

    def search(
        self, vector: Scores, want: int, mask: Mask | None = None
    ) -> tuple[Scores, Positions]:
        """The best ``want`` for one query (d,), best first; fewer where there are no more."""
        ...


def contenders(
    index: Asked, vector: Scores, top_k: int, mask: Mask | None = None
) -> tuple[Positions, Scores]:
    """The documents that can be among the ``top_k`` best for one query (d,), of those in ``mask``.

    These are ``top_k``, and those that score the same as the last of them.
    """
    want = min(top_k + _SPARE, index.ntotal)
    while True:
        scores, positions = index.search(vector, want, mask)
        if not len(scores):
            return positions, scores
        tied = len(scores) == want > top_k and scores[-1] == scores[top_k - 1]
        if not tied or want >= min(index.ntotal, _MOST):
            keep = scores >= scores[min(top_k, len(scores)) - 1]
            return positions[keep], scores[keep]
        want = min(want * 4, index.ntotal, _MOST)


def order(ids: list[str], scores: Scores, top_k: int) -> list[int]:
    """Positions of the ``top_k`` best: highest score first, equal ones by id."""
    return sorted(range(len(ids)), key=lambda place: (-scores[place], ids[place]))[:top_k]
