"""Which training rows may not meet in a batch: rows of one query, and a row with a document that is
relevant to another row's query. Torch-free."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RowTexts:
    """Training rows as numbers that are equal where the texts are equal.

    ``queries`` is (n,); ``documents`` is (n, 1 + m), the positive first; ``relevant`` is (k, 2):
    query and a document judged relevant to it.
    """

    queries: Numbers
    documents: Numbers
    relevant: Numbers

    def __len__(self) -> int:
        return len(self.queries)

    @classmethod
    def unrelated(cls, count: int) -> "RowTexts":
        """Rows that may all meet: each is learnt from its own documents alone."""
        numbers = np.arange(count, dtype=np.int64)
        return cls(numbers, np.empty((count, 0), np.int64), np.empty((0, 2), np.int64))


@dataclass(frozen=True)
class Links:
    """What keeps rows apart: their query, and documents that one row uses and another row's query
    finds relevant."""

    queries: Numbers
    #: Each row's positive where other rows have it, too; else a number of its own.
    positives: Numbers
    #: Row -> such documents that it uses; query -> such documents that are relevant to it.
    uses: dict[int, list[int]] = field(repr=False)
    claims: dict[int, list[int]] = field(repr=False)
    #: (n,): whether a row has to be kept apart from any.
    bound: NDArray[np.bool_] = field(repr=False)

    @classmethod
    def of(cls, rows: RowTexts) -> "Links":
        count, width = rows.documents.shape
        users = np.repeat(np.arange(count), width)
        used = rows.documents.ravel()
        asked = rows.relevant[np.isin(rows.relevant[:, 0], rows.queries)]
        shared = _shared(used, rows.queries[users], asked[:, 1], asked[:, 0])
        meets, wants = np.isin(used, shared), np.isin(asked[:, 1], shared)
        uses = _lists(users[meets], used[meets])
        claims = _lists(asked[wants, 0], asked[wants, 1])
        _, inverse, counts = np.unique(rows.queries, return_inverse=True, return_counts=True)
        bound = counts[inverse] > 1
        bound[users[meets]] = True
        bound |= np.isin(rows.queries, asked[wants, 0])
        return cls(rows.queries, _positives(rows), uses, claims, bound)


def _positives(rows: RowTexts) -> Numbers:
    if rows.documents.shape[1] == 0:
        return np.arange(len(rows), dtype=np.int64)
    return rows.documents[:, 0]


def _shared(used: Numbers, users: Numbers, claimed: Numbers, claimers: Numbers) -> Numbers:
    """Documents that a row of one query uses and another query finds relevant."""
    both = np.intersect1d(used, claimed)
    documents = np.concatenate([used, claimed])
    queries = np.concatenate([users, claimers])
    keep = np.isin(documents, both)
    documents, queries = documents[keep], queries[keep]
    order = np.argsort(documents, kind="stable")
    documents, queries = documents[order], queries[order]
    found, starts = np.unique(documents, return_index=True)
    if not len(found):
        return found
    several = np.minimum.reduceat(queries, starts) != np.maximum.reduceat(queries, starts)
    return found[several]


def _lists(keys: Numbers, values: Numbers) -> dict[int, list[int]]:
    """Key -> its values, each once."""
    order = np.lexsort((values, keys))
    keys, values = keys[order], values[order]
    again = np.zeros(len(keys), bool)
    again[1:] = (keys[1:] == keys[:-1]) & (values[1:] == values[:-1])
    keys, values = keys[~again], values[~again]
    found, starts = np.unique(keys, return_index=True)
    ends = [*starts[1:].tolist(), len(values)]
    whole = values.tolist()
    return {
        key: whole[start:end]
        for key, start, end in zip(found.tolist(), starts.tolist(), ends, strict=False)
    }
