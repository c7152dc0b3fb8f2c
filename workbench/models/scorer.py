"""What a second stage is to those who use one: a reranker or a late-interaction model, loaded."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.models.contract import Contract


class Scorer(Protocol):
    """What puts candidates in order: a reranker or a late-interaction model in memory."""

    @property
    def contract(self) -> Contract: ...

    def score(
        self,
        queries: Sequence[str],
        documents: Sequence[str],
        pairs: NDArray[np.int64],
        *,
        progress: Callable[[int, int], None] | None = None,
        stop: Callable[[], None] | None = None,
    ) -> NDArray[np.float32]:
        """``pairs`` (m, 2) of (query, document) indices -> scores (m,), higher is better."""
        ...
