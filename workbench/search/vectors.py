"""Vectors on disk while an index is built: made once, read as often as needed, in little memory."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
#: Vectors read, trained or added at a time.
BLOCK = 20_000


class Spool:
    """A file of float32 vectors (n, d), filled from the front. ``remove`` when done."""

    def __init__(self, path: Path, rows: int, dimensions: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._vectors = np.memmap(path, np.float32, "w+", shape=(max(1, rows), dimensions))
        self.rows = 0

    @property
    def dimensions(self) -> int:
        return int(self._vectors.shape[1])

    def add(self, vectors: Vectors) -> None:
        self._vectors[self.rows : self.rows + len(vectors)] = vectors
        self.rows += len(vectors)

    def at(self, rows: NDArray[np.int64]) -> Vectors:
        """The vectors at these rows; ascending rows are read quickest."""
        return np.array(self._vectors[rows])

    def blocks(self, start: int = 0) -> Iterator[Vectors]:
        """All vectors from ``start`` on, in order."""
        for first in range(start, self.rows, BLOCK):
            yield np.array(self._vectors[first : min(self.rows, first + BLOCK)])

    def sample(self, count: int, seed: int) -> Vectors:
        """So many vectors chosen by chance (all, where there are fewer)."""
        if count >= self.rows:
            return np.array(self._vectors[: self.rows])
        chosen = np.random.default_rng(seed).choice(self.rows, count, replace=False)
        return self.at(np.sort(chosen))

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)
