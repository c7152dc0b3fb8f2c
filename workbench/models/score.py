"""A reranker in memory: scores pairs of query and document. Imports torch: workers only."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import CrossEncoder

from workbench.models.architecture import position_limit
from workbench.models.autocast import autocast, to_device
from workbench.models.contract import Contract
from workbench.models.precision import Precision

Scores = NDArray[np.float32]
Progress = Callable[[int, int], None]
Stop = Callable[[], None]

#: Pairs per batch.
_BATCH = {"cpu": 32, "cuda": 128}
#: The least that is left for a document when a template is long.
_LEAST = 8


@dataclass(frozen=True)
class LoadedReranker:
    """A reranker and the contract it is used by."""

    model: CrossEncoder
    contract: Contract
    device: str
    precision: Precision

    def with_contract(self, contract: Contract) -> "LoadedReranker":
        """The same model in memory, used otherwise."""
        return replace(self, contract=contract)

    def score(
        self,
        queries: Sequence[str],
        documents: Sequence[str],
        pairs: NDArray[np.int64],
        *,
        batch_size: int | None = None,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> Scores:
        """How well documents answer queries: logits, higher is better.

        ``pairs`` is (m, 2), rows of ``queries`` and ``documents``; the result is (m,).
        ``progress`` gets pairs done and in all; ``stop`` is called before each batch and may raise.
        """
        asked = cut(self.model.tokenizer, queries, self.contract.query_max_len)
        size = batch_size or _BATCH[self.device.partition(":")[0]]
        lengths = np.array([len(text) for text in documents])
        # Pairs of like length in one batch waste less on padding; long ones first.
        order = np.argsort(-lengths[pairs[:, 1]], kind="stable")
        scores = np.empty(len(pairs), dtype=np.float32)
        training = self.model.training
        self.model.eval()
        try:
            for start in range(0, len(pairs), size):
                if stop:
                    stop()
                rows = order[start : start + size]
                batch = [(asked[query], documents[document]) for query, document in pairs[rows]]
                scores[rows] = self._batch(batch)
                if progress:
                    progress(start + len(rows), len(pairs))
        finally:
            self.model.train(training)
        return scores

    def _batch(self, pairs: list[tuple[str, str]]) -> Scores:
        with torch.inference_mode(), autocast(self.device, self.precision):
            features = self.model.preprocess(pairs, max_length=self._length())
            output = self.model(to_device(features, self.device))
            scores: Scores = output["scores"].float().reshape(-1).cpu().numpy()
            return scores

    def _length(self) -> int:
        """Tokens of a pair; never more than the model has positions for."""
        config: Any = self.model.config
        limit = position_limit(config.to_dict(), {}) if config is not None else None
        return min(pair_length(self.contract), limit or sys.maxsize)


def pair_length(contract: Contract) -> int:
    """The most tokens of a pair: the query is cut first, then the pair at the lengths' sum."""
    return contract.query_max_len + contract.passage_max_len


def cut(tokenizer: Any, texts: Sequence[str], length: int) -> list[str]:
    """Texts without what follows their first ``length`` tokens, special tokens not counted."""
    if not texts:
        return []
    found = tokenizer(
        list(texts),
        add_special_tokens=False,
        truncation=True,
        max_length=max(length, _LEAST),
        return_offsets_mapping=True,
    )
    ends = [offsets[-1][1] if offsets else 0 for offsets in found["offset_mapping"]]
    return [
        # Where nothing was cut, the text stays as it is, with any space at its end.
        text if len(offsets) < max(length, _LEAST) else text[:end]
        for text, offsets, end in zip(texts, found["offset_mapping"], ends, strict=True)
    ]
