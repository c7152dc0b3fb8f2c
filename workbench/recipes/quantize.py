"""Recipes that make a model smaller, and that measure what that costs."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import AfterValidator

from workbench.extensions import OneOf
from workbench.models.contract import name_from
from workbench.models.quantized import QUANTIZATION_METHODS
from workbench.recipes.base import Recipe, checked_dimensions, setting
from workbench.recipes.fields import (
    Device,
    QueryDocument,
    candidates_of_first_stage,
    dataset_version,
    device,
    dimensions,
    max_queries,
    model_name,
    query_document,
    seed,
)

#: The ways to make embeddings smaller.
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


Method = Annotated[str, OneOf(QUANTIZATION_METHODS.names, QUANTIZATION_METHODS.all)]


def _once(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


class QuantizeRecipe(Recipe):
    """Keep a model in a smaller or faster format, as a model of its own."""

    task: ClassVar[str] = "quantize"

    model: str = setting(
        help="The model to quantize: a name in the workspace, a folder or a Hub id.",
        refers_to="model",
        min_length=1,
    )
    method: Method = setting(
        "bf16",
        help="The format of its weights: bf16 and fp16 in 16 bits; int8, nf4 and fp4 by "
        "bitsandbytes; onnx in full precision and onnx-int8 in 8 bits for CPUs, by ONNX Runtime.",
    )
    name: str = model_name(
        "What the quantized model is called; empty adds the method to the model's name."
    )
    device: Device = device()

    @property
    def default_name(self) -> str:
        return f"{name_from(self.model)[:100]}-{self.method}"


class QuantizeLabRecipe(Recipe):
    """Measure ways to make a model and its embeddings smaller, against the original."""

    task: ClassVar[str] = "quantize-lab"

    model: str = setting(
        "all-MiniLM-L6-v2", help="The model to quantize.", refers_to="model", min_length=1
    )
    dataset: str = setting(
        help="The data set to measure on.", refers_to="dataset", needs="choosing or test"
    )
    methods: Annotated[list[Method], AfterValidator(_once)] = setting(
        ["bf16", "onnx-int8", "nf4"], help="The weight formats to measure."
    )
    vectors: Annotated[list[VectorMethod], AfterValidator(_once)] = setting(
        ["int8", "binary"],
        help="The embedding formats to measure; for embedding models.",
        max_length=5,
    )
    dimensions: Annotated[str, AfterValidator(checked_dimensions)] = dimensions(
        "Also measure the embeddings truncated to their first dimensions, in each format, "
        "such as '128, 256'; 'auto' halves them down to 32; empty does not."
    )
    rescore: int = setting(
        4,
        help="For binary embeddings: this many times the requested documents are retrieved by "
        "binary codes and rescored with 8 bits per dimension; 0 does not rescore.",
        ge=0,
        le=100,
    )
    split: Literal["auto", "dev", "train", "test"] = setting(
        "auto",
        help="The split whose queries are used and by which a format is recommended; 'auto' takes "
        "dev if there is one, else train.",
        widget="split",
    )
    max_queries: int | None = max_queries()
    candidates: int = candidates_of_first_stage()
    device: Device = device()
    exclude_query_document: QueryDocument = query_document()
    dataset_version: int | None = dataset_version()
    seed: int = seed(7, "Decides which queries are used.")
