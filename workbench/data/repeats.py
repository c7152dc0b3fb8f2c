"""What equal texts say differently: they become one, and what only one can have is counted.

A hash of each text's own columns is kept (8 bytes), and nothing of texts that never come again.
"""

import array
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.data import digests

Array = np.ndarray[Any, Any]


class Said:
    """Of the texts of one kind: what their first rows said, and how many others say otherwise."""

    def __init__(self) -> None:
        self._own = array.array("q")  # per text: a hash of its own columns; 0: none
        #: 'ids' and 'own': texts that come again with another id, or with other own columns.
        self.differing: Counter[str] = Counter()

    def extend(self, fields: Sequence[str | None] | None, count: int) -> None:
        """Texts come for the first time."""
        self._own.extend([hash(one) if one else 0 for one in fields or [None] * count])

    def again(
        self,
        rows: Array,
        ids: Sequence[str | None] | None,
        fields: Sequence[str | None] | None,
        known: digests.DigestRows,
    ) -> None:
        """Texts come again: ``rows`` are theirs, ``known`` the rows of the ids that are taken."""
        for row, one in zip(rows.tolist(), fields or (), strict=False):
            self.differing["own"] += bool(one) and self._own[row] != hash(one)
        given = [place for place, one in enumerate(ids or ()) if one is not None]
        if ids and given:
            keys = digests.of_bytes([str(ids[place]).encode() for place in given])
            self.differing["ids"] += int((known.find(keys) != rows[given]).sum())
