"""A late-interaction model in memory: a vector per token, compared by MaxSim (ColBERT, Khattab and
Zaharia 2020). Imports torch: workers only."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import MultiVectorEncoder

from workbench.models.contract import Contract
from workbench.models.inference import (
    Features,
    Progress,
    Stop,
    Vectors,
    inference,
    prompt_and_length,
    to_device,
    tokenized,
)
from workbench.models.precision import Precision

#: Documents compared with all queries at once.
_BLOCK = 64
#: Documents whose token vectors are held while pairs are scored: of 220 tokens in 128 dimensions
#: they take 230 MB.
_HELD = 2048


@dataclass(frozen=True)
class LoadedLateInteraction:
    """A late-interaction model and the contract it is used by."""

    model: MultiVectorEncoder
    contract: Contract
    device: str
    precision: Precision

    def with_contract(self, contract: Contract) -> "LoadedLateInteraction":
        """The same model in memory, used otherwise."""
        return replace(self, contract=contract)

    def encode(
        self,
        texts: Sequence[str],
        role: Any,
        *,
        batch_size: int | None = None,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> list[Vectors]:
        """Each text as (tokens, d) float32 vectors of length 1; masked tokens are left out."""
        found: list[Vectors] = [np.empty((0, 0), np.float32)] * len(texts)
        prompt, length = prompt_and_length(self.contract, role, self.model.config)
        how = {"prompt": prompt or None, "task": role, "max_length": length}
        options: dict[str, Any] = {"size": batch_size, "progress": progress, "stop": stop}
        characters = [len(text) for text in texts]
        for rows, features in tokenized(self.model, texts, characters, self.device, how, **options):
            vectors = self._batch(features, role)
            for row, one in zip(rows, vectors, strict=True):
                found[row] = one
        return found

    def score(
        self,
        queries: Sequence[str],
        documents: Sequence[str],
        pairs: NDArray[np.int64],
        *,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> Vectors:
        """MaxSim of pairs (m, 2) of rows of ``queries`` and ``documents``: (m,).

        Each text is encoded once, and the vectors of a block of documents are held at a time;
        ``progress`` gets texts done and in all.
        """
        total = len(queries) + len(documents)

        def after(before: int) -> Progress | None:
            return (lambda done, _: progress(before + done, total)) if progress else None

        asked = self.encode(queries, "query", progress=after(0), stop=stop)
        scores = np.zeros(len(pairs), dtype=np.float32)
        # Texts of like length together, long ones first: less is lost on padding.
        order = np.argsort([-len(text) for text in documents], kind="stable")
        place = np.argsort(order)[pairs[:, 1]]
        by_place = np.argsort(place, kind="stable")
        place = place[by_place]
        for start in range(0, len(order), _HELD):
            shown = [documents[at] for at in order[start : start + _HELD]]
            says = after(len(queries) + start)
            texts = self.encode(shown, "document", progress=says, stop=stop)
            first, last = np.searchsorted(place, [start, start + _HELD])
            for pair, at in zip(by_place[first:last], place[first:last], strict=True):
                scores[pair] = max_sim_pair(asked[pairs[pair, 0]], texts[at - start])
        return scores

    def max_sim(self, queries: Sequence[Vectors], documents: Sequence[Vectors]) -> Vectors:
        """Every query against every document: (queries, documents)."""
        return max_sim(queries, documents)

    def _batch(self, features: Features, role: str) -> list[Vectors]:
        with inference(self.model, self.device, self.precision):
            output = self.model(to_device(features, self.device), task=role)
            vectors = torch.nn.functional.normalize(output["token_embeddings"].float(), dim=-1)
            masks = output["attention_mask"].bool()
            return [one[mask].cpu().numpy() for one, mask in zip(vectors, masks, strict=True)]


def max_sim_pair(query: Vectors, document: Vectors) -> float:
    """The sum over the query's tokens of their best cosine with a token of the document."""
    if not len(document) or not len(query):
        return 0.0
    return float((query @ document.T).max(axis=1).sum())


def max_sim(queries: Sequence[Vectors], documents: Sequence[Vectors]) -> Vectors:
    """:func:`max_sim_pair` for all pairs: (queries, documents) float32.

    Tokens of a block of documents lie side by side, so that a query meets them in one product.
    """
    scores = np.zeros((len(queries), len(documents)), dtype=np.float32)
    for start in range(0, len(documents), _BLOCK):
        block = documents[start : start + _BLOCK]
        filled = [at for at, one in enumerate(block) if len(one)]
        if not filled:
            continue
        tokens = np.concatenate([block[at] for at in filled])
        starts = np.concatenate([[0], np.cumsum([len(block[at]) for at in filled])[:-1]])
        for row, query in enumerate(queries):
            if len(query):
                best = np.maximum.reduceat(query @ tokens.T, starts, axis=1)
                scores[row, start + np.array(filled)] = best.sum(axis=0)
    return scores
