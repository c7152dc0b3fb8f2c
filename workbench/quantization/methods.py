"""The ways to make a model or its embeddings smaller, and what each may cost. Torch-free."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal, get_args

from workbench.models.contract import Contract

ModelMethod = Literal["bf16", "fp16", "int8", "nf4", "fp4", "onnx", "onnx-int8"]
VectorMethod = Literal["float32", "int8", "uint8", "binary", "ubinary"]
MODEL_METHODS: tuple[str, ...] = get_args(ModelMethod)
VECTOR_METHODS: tuple[str, ...] = get_args(VectorMethod)

#: How much MAP@100 a method may lose against full precision.
BOUNDS: dict[str, float] = {
    "bf16": 0.005,
    "fp16": 0.005,
    "onnx": 0.005,
    "int8": 0.01,
    "onnx-int8": 0.01,
    "nf4": 0.03,
    "fp4": 0.03,
}
VECTOR_BOUNDS: dict[str, float] = {
    "float32": 0.03,
    "int8": 0.01,
    "uint8": 0.01,
    "binary": 0.03,
    "ubinary": 0.03,
}

_BITSANDBYTES = ("int8", "nf4", "fp4")


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


def refusal(method: str, name: str, contract: Contract) -> tuple[str, str] | None:
    """Why a model cannot be kept like this here, and what to do; None where it can."""
    if contract.weights:
        return (
            f"The weights of '{name}' are already stored in {contract.weights}.",
            "Quantize the original model.",
        )
    if contract.pictures_by:
        return (
            f"'{name}' reads texts and pictures with two models, which are not quantized here.",
            "Its embeddings can be: build an index of the type small.",
        )
    if method in _BITSANDBYTES and find_spec("bitsandbytes") is None:
        return (
            f"{method} needs bitsandbytes, which is not installed here.",
            "Install it with: pip install bitsandbytes",
        )
    if method.startswith("onnx"):
        return _no_graph(method, name, contract)
    return None


def _no_graph(method: str, name: str, contract: Contract) -> tuple[str, str] | None:
    missing = [one for one in ("onnx", "onnxruntime") if find_spec(one) is None]
    if missing:
        packages = " and ".join(missing)
        return (
            f"{method} needs {packages}, which this machine does not have.",
            f"Install what is missing with: pip install {' '.join(missing)}",
        )
    if contract.model_kind.reads_pictures:
        return (
            f"'{name}' reads texts and pictures with two towers: one graph does not hold both.",
            "Choose bf16, fp16, int8 or nf4.",
        )
    if contract.architecture == "llm":
        return (
            f"'{name}' answers with one word of a language model: as a graph it would compute the "
            "whole vocabulary for every token.",
            "Choose bf16, int8 or nf4.",
        )
    return None
