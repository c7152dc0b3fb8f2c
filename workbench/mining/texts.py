"""When two documents say the same: a number for each text, spaces and case aside. Torch-free."""

import numpy as np
import xxhash
from numpy.typing import NDArray

from workbench.data.reader import DatasetReader

Rows = NDArray[np.int64]
Keys = NDArray[np.uint64]
#: Documents read at a time.
BLOCK = 10_000


class TextKeys:
    """Document rows -> numbers, equal where the texts are.

    The text decides: the same text under another title answers the same question. A document
    without words (a picture) equals none but itself.
    """

    def __init__(self, reader: DatasetReader, rows: Rows) -> None:
        """``rows``: all that will be asked for."""
        self.rows = np.unique(rows)
        parts = [np.zeros(0, np.uint64)]
        for start in range(0, len(self.rows), BLOCK):
            block = self.rows[start : start + BLOCK]
            table = reader.documents_at(block.tolist())
            columns = (table[name].to_pylist() for name in ("title", "text"))
            words = zip(block.tolist(), *columns, strict=True)
            parts.append(np.array([_key(*one) for one in words], np.uint64))
        self.keys = np.concatenate(parts)

    def __call__(self, rows: Rows) -> Keys:
        return self.keys[np.searchsorted(self.rows, rows)]


def _key(row: int, title: str | None, text: str | None) -> int:
    words = " ".join((text or "").split()) or " ".join((title or "").split())
    return xxhash.xxh3_64_intdigest(words.casefold().encode() if words else b"\0%d" % row)
