"""A type of index: the vectors as numpy saves them, all compared by a matrix product."""

from pathlib import Path

import numpy as np

from workbench.search.index_types import INDEX_TYPES, IndexType, Mask, Nearest, Plan, Vectors

FILE = "plain.npy"


class PlainIndex:
    def __init__(self, plan: Plan, vectors: Vectors | None = None) -> None:
        empty = np.empty((0, plan.dimensions), np.float32)
        self.vectors = empty if vectors is None else vectors

    @classmethod
    def read(cls, plan: Plan, folder: Path, mapped: bool) -> "PlainIndex":
        return cls(plan, np.load(folder / FILE, mmap_mode="r" if mapped else None))

    def __len__(self) -> int:
        return len(self.vectors)

    def train(self, sample: Vectors) -> None:
        raise AssertionError("It learns nothing.")

    def add(self, vectors: Vectors) -> None:
        self.vectors = np.concatenate([self.vectors, vectors])

    def remove(self, gone: Mask) -> None:
        self.vectors = self.vectors[~gone]

    def write(self, folder: Path) -> None:
        np.save(folder / FILE, self.vectors)

    def search(self, query: Vectors, want: int, mask: Mask | None = None) -> Nearest:
        scores = self.vectors @ query
        if mask is not None:
            scores = np.where(mask, scores, -np.inf)
        best = np.argsort(-scores, kind="stable")[:want]
        return scores[best], best


PLAIN = IndexType(
    "plain",
    "Plain matrix",
    "Multiplies the query with all vectors, by numpy.",
    PlainIndex,
    bytes_per_vector=lambda plan: 4 * plan.dimensions,
)

INDEX_TYPES.register(PLAIN)
