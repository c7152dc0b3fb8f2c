"""The recipe of a pipeline matrix: every retriever with every reranker, at every cutoff."""

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from workbench.recipes.base import Recipe, setting
from workbench.recipes.query_document import QueryDocument, query_document


class MatrixRecipe(Recipe):
    """Measure pipelines: each retriever alone and with each reranker, cut at each top k."""

    task: ClassVar[str] = "matrix"

    dataset: str = setting(help="The data set to measure on.", refers_to="dataset")
    split: Literal["test", "dev", "train"] = setting(
        "test", help="The split whose queries are asked.", widget="split"
    )
    retrievers: list[str] = setting(
        help="What searches all documents: embedding models, and 'bm25'.",
        refers_to="model",
        min_length=1,
        max_length=6,
    )
    rerankers: list[str] = setting(
        [],
        help="What puts each retriever's best documents in a new order: rerankers and "
        "late-interaction models. Every retriever is measured without one too.",
        refers_to="model",
        max_length=6,
    )
    top_k: int = setting(
        5,
        help="A pipeline hands over its best 1, 2 ... up to this many documents; each cutoff is "
        "measured.",
        ge=1,
        le=50,
    )
    candidates: int = setting(
        50,
        help="How many of a retriever's documents a reranker scores for each query; at least the "
        "highest top k.",
        ge=2,
        le=1000,
    )
    dataset_version: int | None = setting(
        None, help="The data set's version; empty takes the newest.", advanced=True, ge=1
    )
    max_queries: int | None = setting(
        None,
        help="Ask at most this many queries, chosen by the seed; empty asks all.",
        advanced=True,
        ge=1,
    )
    exclude_query_document: QueryDocument = query_document()
    precision: Literal["auto", "fp32", "bf16", "fp16"] = setting(
        "auto",
        help="Number format while encoding; 'auto' takes bf16 where this machine is fast at it.",
        advanced=True,
    )
    device: Literal["auto", "cpu", "cuda"] = setting(
        "auto", help="Where to encode; 'auto' takes a GPU if there is one.", advanced=True
    )
    use_cache: bool = setting(
        True,
        help="Documents that a retriever has encoded before, in the same way, are read from disk. "
        "Queries are always encoded anew, for their time is measured.",
        advanced=True,
    )
    seed: int = setting(7, help="Chooses queries.", advanced=True, ge=0, le=2**31 - 1)

    @model_validator(mode="after")
    def _deep_enough(self) -> Self:
        if self.candidates < self.top_k:
            raise ValueError(
                f"{self.candidates} candidates are fewer than the {self.top_k} documents handed "
                "over; name at least as many"
            )
        return self
