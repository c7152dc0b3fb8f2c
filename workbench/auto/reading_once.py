"""An encoder that reads no text twice while several lengths are tried. Torch-free.

A passage of 100 tokens is the same to a model that reads 128, 256 or 512 of them: only those that
are cut otherwise are encoded anew. Queries are the same at every length of passages.
"""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.data_check.lengths import TokenCounter
from workbench.evaluation.measure import Encoder, Progress, Stop, device_of
from workbench.models.contract import Contract

Vectors = NDArray[np.float32]


class AtLengths(Encoder, Protocol):
    """An encoder that can be used at another length."""

    def with_contract(self, contract: Contract) -> Any:
        """The same model, used otherwise."""
        ...


@dataclass
class Memory:
    """What was encoded, by role, text and how many tokens of it were read."""

    counter: TokenCounter | None
    vectors: dict[tuple[str, str, int], NDArray[np.float32]] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)

    def read(self, texts: list[str], prompt: str, length: int) -> list[int]:
        """How many tokens of each document are read at a length."""
        if self.counter is None:
            return [length] * len(texts)
        fresh = [text for text in dict.fromkeys(texts) if text not in self.tokens]
        counts = self.counter.count([prompt + text for text in fresh])
        self.tokens.update(zip(fresh, counts, strict=True))
        return [min(length, self.tokens[text]) for text in texts]


@dataclass(frozen=True)
class ReadingOnce:
    """The encoder with a memory that its other lengths share."""

    encoder: AtLengths
    memory: Memory

    @property
    def contract(self) -> Contract:
        return self.encoder.contract

    @property
    def device(self) -> str:
        return device_of(self.encoder)

    def at(self, length: int) -> "ReadingOnce":
        """The same with passages cut at a length."""
        contract = self.contract.model_copy(update={"passage_max_len": length})
        return ReadingOnce(self.encoder.with_contract(contract), self.memory)

    def encode(
        self,
        texts: list[str],
        role: Any,
        *,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> Vectors:
        """As :meth:`workbench.evaluation.measure.Encoder.encode`."""
        known, contract = self.memory.vectors, self.contract
        read = [contract.query_max_len] * len(texts)
        if role != "query":
            read = self.memory.read(texts, contract.document_prompt, contract.passage_max_len)
        keys = [(str(role), text, length) for text, length in zip(texts, read, strict=True)]
        fresh = [key for key in dict.fromkeys(keys) if key not in known]
        before = len(texts) - len(fresh)

        def says(done: int, _total: int) -> None:
            if progress:
                progress(before + done, len(texts))

        if fresh:
            asked = [text for _, text, _ in fresh]
            found = self.encoder.encode(asked, role, progress=says, stop=stop)
            known.update(zip(fresh, found, strict=True))
        elif progress:
            progress(len(texts), len(texts))
        return np.stack([known[key] for key in keys])
