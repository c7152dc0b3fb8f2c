"""The ways to make embeddings smaller, and what each may cost. Torch-free."""

from dataclasses import dataclass
from typing import Literal, get_args

VectorMethod = Literal["float32", "int8", "uint8", "binary", "ubinary"]
VECTOR_METHODS: tuple[str, ...] = get_args(VectorMethod)

#: How much MAP@100 a format of embeddings may lose against full precision.
VECTOR_BOUNDS: dict[str, float] = {
    "float32": 0.03,
    "int8": 0.01,
    "uint8": 0.01,
    "binary": 0.03,
    "ubinary": 0.03,
}


@dataclass(frozen=True, slots=True)
class VectorFormat:
    """How embeddings are kept: cut to ``dimensions`` (0: all of them), then as ``method`` says."""

    method: str
    dimensions: int = 0

    @property
    def name(self) -> str:
        return f"{self.method} {self.dimensions}" if self.dimensions else self.method

    @property
    def bound(self) -> float:
        """Cut ones are allowed what binary ones are."""
        return VECTOR_BOUNDS["float32"] if self.dimensions else VECTOR_BOUNDS[self.method]


def signed(change: float) -> str:
    """With its sign and four places; what rounds to nothing has no minus."""
    return f"{round(change, 4) + 0.0:+.4f}"
