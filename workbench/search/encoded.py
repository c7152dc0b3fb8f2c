"""What the search process answers to :class:`Embed` and :class:`Score`. Torch-free.

Vectors travel as base64 of little-endian float32, which is a tenth of the work of writing each
number out.
"""

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


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
