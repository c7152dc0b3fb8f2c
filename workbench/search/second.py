"""The second stage of a search: a reranker or a late-interaction model orders anew what the index
found. Torch-free: the model is handed in, loaded.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import BadInput, ModelUnusable
from workbench.evaluation.texts import join_documents
from workbench.models.scorer import Scorer

#: Kinds of model that score a query together with a document.
KINDS = ("reranker", "late-interaction")
_DAMAGED = "Its weights may be damaged, or its training went wrong. Choose another second stage."


def check_kind(name: str, kind: str) -> None:
    """Raises :class:`ModelUnusable` for a model that cannot be a second stage."""
    if kind not in KINDS:
        raise ModelUnusable(
            f"'{name}' is an {kind} model and cannot be a second stage.",
            "Choose a reranker or a late-interaction model, or build an index with this one.",
        )


def no_encoder(name: str, kind: str) -> ModelUnusable:
    """A model that gives no vectors, where an index is to be built."""
    return ModelUnusable(
        f"'{name}' is a {kind} model; an index is built with an embedding model.",
        "It can order what an index finds: choose it as second stage of a search.",
    )


def check_candidates(candidates: int, top_k: int, most: int) -> None:
    """Raises :class:`BadInput` where the second stage would see fewer than are to be shown."""
    if not 1 <= candidates <= most:
        raise BadInput(f"candidates must be between 1 and {most}.", "50 is usual.")
    if candidates < top_k:
        raise BadInput(
            f"The second stage sees {candidates} documents, but {top_k} are asked for.",
            "Raise the candidates to at least top_k, or ask for fewer documents.",
        )


def score_documents(scorer: Scorer, name: str, query: str, documents: Any) -> NDArray[np.float32]:
    """How well each document of an Arrow table (n rows; title, text) answers the query: (n,).

    A document without any text is scored like the others. Raises :class:`ModelUnusable` where a
    score is not a finite number: there would be no order.
    """
    texts = join_documents(documents, scorer.contract).to_pylist()
    if not texts:
        return np.empty(0, dtype=np.float32)
    pairs = np.stack([np.zeros(len(texts), np.int64), np.arange(len(texts))], axis=1)
    scores = np.asarray(scorer.score([query], texts, pairs), dtype=np.float32)
    if wrong := int(np.count_nonzero(~np.isfinite(scores))):
        raise ModelUnusable(
            f"The second stage '{name}' gave {wrong} of {len(texts)} documents a score that is not"
            " a finite number.",
            _DAMAGED,
        )
    return scores
