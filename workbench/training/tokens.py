"""Texts as tokens, each tokenized once in a run and kept while there is room."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

#: Bytes that tokens may take: 60 million of them.
ROOM = 240 << 20
#: What every batch of texts is made of; where a model reads more, nothing is kept.
_KNOWN = frozenset({"input_ids", "attention_mask", "token_type_ids"})

Ids = NDArray[np.int32]


class Tokens:
    """The tokens of one role's texts, by their row in the data set.

    ``preprocess`` makes the features of a batch of texts, padded by ``tokenizer``. ``room``: bytes
    that may be kept; full, it keeps what it has: a run goes through its texts in a new order each
    time, where the latest are worth no more than others.
    """

    def __init__(
        self,
        preprocess: Callable[[list[str]], dict[str, Any]],
        get: Callable[[Sequence[int]], list[str]],
        tokenizer: Any,
        room: int = ROOM,
    ) -> None:
        self.preprocess = preprocess
        self.get = get
        self.tokenizer = tokenizer
        self.room = room
        self._kept: dict[int, Ids] = {}
        #: What a batch has besides its tokens, and whether it has their segments.
        self._about: dict[str, Any] | None = None
        self._segments = False

    def features(self, rows: Sequence[int]) -> dict[str, Any]:
        """What the model reads of these rows' texts, as a batch in their order."""
        if self._about is not None and all(row in self._kept for row in rows):
            return self._batch([self._kept[row] for row in rows])
        found = self.preprocess(self.get(rows))
        if self.room > 0:
            self._keep(rows, found)
        return found

    def _keep(self, rows: Sequence[int], found: dict[str, Any]) -> None:
        """Keep the tokens of a batch, if it can be made of them again just so."""
        tensors = {name: one for name, one in found.items() if isinstance(one, torch.Tensor)}
        mask = tensors.get("attention_mask")
        if mask is None or mask.ndim != 2 or not _KNOWN >= set(tensors) >= {"input_ids"}:
            self.room = 0
            return
        about = {name: one for name, one in found.items() if name not in tensors}
        if self._about is None:
            self._about, self._segments = about, "token_type_ids" in tensors
        read = mask.numpy().astype(bool)
        ids = tensors["input_ids"].numpy().astype(np.int32)
        texts = [line[kept] for line, kept in zip(ids, read, strict=True)]
        again = self._batch(texts)
        if about != self._about or not all(
            torch.equal(again[name], tensors[name]) for name in tensors
        ):
            self.room = 0
            self._about = None
            self._kept.clear()
            return
        for row, one in zip(rows, texts, strict=True):
            if row not in self._kept and one.nbytes <= self.room:
                self._kept[row] = one
                self.room -= one.nbytes

    def _batch(self, texts: list[Ids]) -> dict[str, Any]:
        width = max(map(len, texts), default=0)
        front = self.tokenizer.padding_side == "left"
        ids = np.full((len(texts), width), self.tokenizer.pad_token_id or 0, dtype=np.int64)
        mask = np.zeros((len(texts), width), dtype=np.int64)
        for at, one in enumerate(texts):
            place = slice(width - len(one), width) if front else slice(0, len(one))
            ids[at, place], mask[at, place] = one, 1
        made = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
        if self._segments:
            made["token_type_ids"] = torch.zeros_like(made["input_ids"])
        return {**(self._about or {}), **made}
