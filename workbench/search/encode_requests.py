"""What the resident worker is asked besides searches: vectors of texts, scores of pairs.

Torch-free: both sides read and write the messages here. Vectors travel as base64 of little-endian
float32, which is a tenth of the work of writing each number out.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from workbench.errors import BadInput

Role = Literal["query", "document"]
Vectors = NDArray[np.float32]

#: In one message; who has more sends several.
MOST_TEXTS = 4096
MOST_PAIRS = 10_000
#: Pairs that a program sends at once: for each message there is a time limit, and a language model
#: on a CPU takes seconds for a pair.
PAIRS = 64


@dataclass(frozen=True, slots=True)
class Encoded:
    """Vectors (n, d), and how many tokens the model read of each text, prompt included."""

    vectors: Vectors
    tokens: list[int]

    def to_dict(self) -> dict[str, Any]:
        data = np.ascontiguousarray(self.vectors, dtype="<f4").tobytes()
        shape = list(self.vectors.shape)
        return {"data": base64.b64encode(data).decode(), "shape": shape, "tokens": self.tokens}

    @classmethod
    def from_dict(cls, said: dict[str, Any]) -> "Encoded":
        flat = np.frombuffer(base64.b64decode(said["data"]), dtype="<f4")
        return cls(flat.reshape(said["shape"]).astype(np.float32), said["tokens"])


@dataclass(frozen=True, slots=True)
class Scored:
    """The score of each pair (m,), higher is better, and how many tokens it has."""

    scores: Vectors
    tokens: list[int]

    def to_dict(self) -> dict[str, Any]:
        return {"scores": self.scores.tolist(), "tokens": self.tokens}

    @classmethod
    def from_dict(cls, said: dict[str, Any]) -> "Scored":
        return cls(np.array(said["scores"], dtype=np.float32), said["tokens"])


def embed_request(model: str, texts: Sequence[str], role: Role) -> dict[str, Any]:
    """Raises :class:`BadInput` for another role than two, and for too many texts."""
    if role not in ("query", "document"):
        raise BadInput(f"'{role}' is no role.", "A text is a query or a document.")
    if len(texts) > MOST_TEXTS:
        raise BadInput(
            f"{len(texts):,} texts are more than are encoded at once.",
            f"Send at most {MOST_TEXTS:,}, one call after the other.",
        )
    return {"do": "embed", "model": model, "texts": list(texts), "role": role}


def score_request(
    model: str, queries: Sequence[str], documents: Sequence[str], pairs: Sequence[Sequence[int]]
) -> dict[str, Any]:
    """``pairs``: rows of ``queries`` and ``documents``; raises :class:`BadInput` for too many."""
    if len(pairs) > MOST_PAIRS:
        raise BadInput(
            f"{len(pairs):,} pairs are more than are scored at once.",
            f"Send at most {MOST_PAIRS:,}, one call after the other.",
        )
    return {
        "do": "rerank",
        "model": model,
        "queries": list(queries),
        "documents": list(documents),
        "pairs": [list(pair) for pair in pairs],
    }
