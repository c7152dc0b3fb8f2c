"""Encodes and scores what others send, with a model in memory. Imports torch: the resident worker
only.

In fp32 where the weights are: in half precision a text's vector depends, in its third decimal, on
the texts that happen to stand beside it in a batch, and who asks over the network cannot know them.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.errors import ModelUnusable
from workbench.models.load import Embeddings, Loaded, LoadedEmbedding, Role
from workbench.models.scorer import Scorer
from workbench.search.encoded import Encoded, Scored

_BATCH = 64


class Encodes(Protocol):
    """What gives each text one vector: an embedding model in memory."""

    def encode(self, texts: Sequence[str], role: Role) -> Embeddings: ...


def embed(loaded: Loaded, name: str, texts: Sequence[str], role: Role) -> Encoded:
    """Vectors of ``texts`` in their order; raises :class:`ModelUnusable` for another kind, or where
    a vector is not made of finite numbers."""
    if not loaded.contract.model_kind.encodes:
        raise ModelUnusable(
            f"'{name}' is a {loaded.contract.kind} model and gives no vector of a text.",
            "Choose an embedding model, or ask this one to rerank.",
        )
    steady = _steady(loaded)
    # Nothing to encode still tells how long vectors are.
    vectors = cast(Encodes, steady).encode(list(texts), role)
    if not np.isfinite(vectors).all():
        raise ModelUnusable(
            f"The model '{name}' gave vectors that are not finite numbers.",
            "Its weights may be damaged, or its training went wrong.",
        )
    return Encoded(vectors, _tokens(steady, texts, role))


def score(
    scorer: Scorer, name: str, queries: Sequence[str], documents: Sequence[str], pairs: Any
) -> Scored:
    """Scores of ``pairs`` (m, 2), rows of both; raises :class:`ModelUnusable` where one is not a
    finite number."""
    if not len(pairs):
        return Scored(np.empty(0, np.float32), [])
    asked: NDArray[np.int64] = np.asarray(pairs, dtype=np.int64)
    scores = cast(Scorer, _steady(cast(Loaded, scorer))).score(queries, documents, asked)
    if not np.isfinite(scores).all():
        raise ModelUnusable(
            f"The model '{name}' gave scores that are not finite numbers.",
            "Its weights may be damaged, or its training went wrong.",
        )
    lengths = [_lengths(scorer, texts) for texts in (queries, documents)]
    tokens = [lengths[0][query] + lengths[1][document] for query, document in asked.tolist()]
    return Scored(np.asarray(scores, dtype=np.float32), tokens)


def _steady(loaded: Any) -> Any:
    """The same model without autocast, where all its weights are fp32."""
    if isinstance(loaded, LoadedEmbedding):
        return loaded.steady()
    model = loaded.model
    if getattr(loaded, "precision", "fp32") == "fp32" or not isinstance(model, torch.nn.Module):
        return loaded
    floats = {one.dtype for one in model.parameters() if one.is_floating_point()}
    return replace(loaded, precision="fp32") if floats == {torch.float32} else loaded


def _tokens(loaded: Any, texts: Sequence[str], role: Role) -> list[int]:
    """Tokens of each text as the model reads it: with prompt and special tokens, once cut."""
    contract = loaded.contract
    query = role == "query"
    prompt = contract.query_prompt if query else contract.document_prompt
    most = contract.query_max_len if query else contract.passage_max_len
    found = _lengths(loaded, [prompt + text for text in texts], special=True)
    return [min(count, most) for count in found]


def _lengths(loaded: Any, texts: Sequence[str], special: bool = False) -> list[int]:
    """How many tokens each text has; words, for a model that keeps its tokenizer to itself."""
    tokenizer = getattr(loaded.model, "tokenizer", None)
    # A model of texts and pictures has one for both, with that of texts inside.
    tokenizer = getattr(tokenizer, "tokenizer", tokenizer)
    if tokenizer is None:
        return [len(text.split()) for text in texts]
    found: list[int] = []
    for start in range(0, len(texts), _BATCH):
        batch = list(texts[start : start + _BATCH])
        if hasattr(tokenizer, "encode_batch"):
            lines = tokenizer.encode_batch(batch, add_special_tokens=special)
            found += [len(line.ids) for line in lines]
        else:
            lines = tokenizer(batch, add_special_tokens=special, verbose=False)
            found += [len(ids) for ids in lines["input_ids"]]
    return found
