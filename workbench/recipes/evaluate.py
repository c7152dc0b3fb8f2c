"""Recipes that measure and that make models usable: evaluation and index building."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, ValidationInfo, field_validator, model_validator

from workbench.errors import BadRecipe
from workbench.recipes.base import (
    DecidingMetric,
    QueryDocument,
    Recipe,
    checked_dimensions,
    query_document,
    setting,
)
from workbench.recipes.kinds import KINDS
from workbench.recipes.train import TrainRecipe


class EvaluateRecipe(Recipe):
    """Measure models on one split of a data set, side by side on the same queries."""

    task: ClassVar[str] = "evaluate"

    dataset: str = setting(help="The data set to measure on.", refers_to="dataset")
    split: Literal["test", "dev", "train"] = setting(
        "test", help="The split whose queries are asked.", widget="split"
    )
    models: list[str] = setting(
        help="The models to compare; the first is the one the others are compared with. 'bm25' is "
        "one too.",
        refers_to="model",
        min_length=1,
        max_length=12,
    )
    rerankers: list[str] = setting(
        [],
        help="Second stages: each puts the best documents of each first stage in a new order.",
        refers_to="model",
        max_length=6,
    )
    second_dataset: str = setting(
        "",
        help="A second data set on which the same models are measured: a check of whether training "
        "made them forget something; empty measures on one.",
        refers_to="dataset",
        advanced=True,
        max_length=200,
    )
    dimensions: Annotated[str, AfterValidator(checked_dimensions)] = setting(
        "",
        help="Also measure embedding models cut to their first dimensions, such as '64, 128, 256'; "
        "'auto' halves them down to 32; empty does not.",
        widget="numbers",
        advanced=True,
        max_length=200,
    )
    evaluation_mode: Literal["auto", "retrieval", "reranking", "pipeline"] = setting(
        "auto",
        help="'retrieval' searches all documents; 'reranking' lets every model, BM25 and embedding "
        "models too, order each query's own candidates; 'pipeline' measures second stages over "
        "what first stages find; 'auto' measures each model in the mode of its kind.",
        advanced=True,
    )
    candidates: int = setting(
        50,
        help="How many of a first stage's documents a second stage puts in order for each query; "
        "of the data's own candidates always all.",
        advanced=True,
        ge=2,
        le=1000,
    )
    first_stage: str = setting(
        "auto",
        help="Finds the candidates of second stages that stand among the models: 'given' (the "
        "data's own), 'bm25', or an embedding model; 'auto' takes the data's own where it has "
        "them, else BM25.",
        advanced=True,
        max_length=500,
        refers_to="model",
        widget="text",
    )
    exact_documents: int = setting(
        5000,
        help="A late-interaction model searches all documents of data sets of up to this size; in "
        "larger ones it orders candidates.",
        advanced=True,
        ge=0,
        le=1_000_000,
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
    top_k: int = setting(
        100, help="How many documents each query's run keeps.", advanced=True, ge=10, le=1000
    )
    exclude_query_document: QueryDocument = query_document()
    metric: DecidingMetric = setting(
        "map@100", help="The metric whose differences are tested for luck.", advanced=True
    )
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
        help="Texts that a model has encoded before, and pairs that a reranker has scored, in the "
        "same way, are read from disk; off computes everything anew and keeps nothing.",
        advanced=True,
    )
    seed: int = setting(
        7,
        help="Decides the bootstrap's and the randomization test's draws.",
        advanced=True,
        ge=0,
        le=2**31 - 1,
    )


class IndexRecipe(Recipe):
    """Build a FAISS index over a data set's documents with one model, and measure it."""

    task: ClassVar[str] = "index"

    dataset: str = setting(help="The data set whose documents are indexed.", refers_to="dataset")
    model: str = setting(
        "all-MiniLM-L6-v2", help="The model that encodes documents and queries.", refers_to="model"
    )
    name: str = setting(
        "",
        help="What the index is called; empty makes a name from data set and model.",
        max_length=200,
    )
    type: Literal["exact", "fast", "small"] = setting(
        "exact",
        help="'exact' compares the query with every document; 'fast' looks only where it is likely "
        "to find something; 'small' keeps each document in far fewer bytes. What the latter two "
        "miss is measured and shown.",
    )
    structure: Literal["auto", "flat", "hnsw", "ivf", "sq8", "pq", "ivfpq", "binary"] = setting(
        "auto",
        help="The kind of FAISS index; 'auto' goes by the type and the number of documents.",
        advanced=True,
    )
    truncate_dim: int | None = setting(
        None,
        help="Keep only the first dimensions of each vector, which suits models trained for it "
        "(Matryoshka); empty keeps all.",
        advanced=True,
        ge=8,
        le=16384,
    )
    rescore: int = setting(
        4,
        help="A binary index finds this many times the documents that are wanted and orders them "
        "anew by int8 vectors, which stay on disk; 0 keeps none and goes by the bits alone.",
        advanced=True,
        ge=0,
        le=100,
    )
    probes: int | None = setting(
        None,
        help="IVF: how many of its lists a query looks through; more finds more and takes longer. "
        "Empty takes a sixteenth of them, at least 8.",
        advanced=True,
        ge=1,
        le=65536,
    )
    code_bytes: int | None = setting(
        None,
        help="PQ and IVF-PQ: bytes per document; the number of dimensions must be a multiple of "
        "it. Empty takes a quarter of the dimensions.",
        advanced=True,
        ge=1,
        le=16384,
    )
    dataset_version: int | None = setting(
        None, help="The data set's version; empty takes the newest.", advanced=True, ge=1
    )
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
        help="Texts that this model has encoded before, in the same way, are read from disk; off "
        "encodes everything anew and keeps nothing.",
        advanced=True,
    )


# The recipe of a pipeline matrix: every retriever with every reranker, at every cutoff.


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


# The recipe of a measured check: a few steps of a training run, for its time and memory.

STEPS = 5


class MeasureRecipe(Recipe):
    """Train a few real steps of a run, measure time and memory, and keep nothing."""

    task: ClassVar[str] = "measure"

    kind: str = setting("embedding", help="The kind of model that the run trains.", max_length=40)
    values: dict[str, Any] = setting(help="The run's recipe, field by field.")
    steps: int = setting(
        STEPS,
        help="How many optimizer steps are trained; the first is not counted.",
        ge=2,
        le=100,
    )
    device: str = setting("auto", help="Where the run would train; taken from its recipe.")
    dataset: str = setting(
        "", help="The run's data set; taken from its recipe.", refers_to="dataset", widget="text"
    )
    model: str = setting(
        "", help="The run's base model; taken from its recipe.", refers_to="model", widget="text"
    )

    @classmethod
    def nested(cls, values: Mapping[str, Any]) -> Mapping[str, type[Recipe]]:
        kind = KINDS.get(str(values.get("kind", "embedding")))
        return {"values": kind} if kind else {}

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in KINDS:
            raise ValueError(f"Choose one of {', '.join(KINDS)}.")
        return kind

    @field_validator("values")
    @classmethod
    def _read(cls, values: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "kind" not in info.data:
            return values  # 'kind' has been refused already
        try:
            KINDS[info.data["kind"]].read(values)
        except BadRecipe as error:
            raise ValueError(error.message) from error
        return values

    @classmethod
    def of(cls, recipe: TrainRecipe, steps: int = STEPS) -> "MeasureRecipe":
        """A measured check of this run."""
        values = recipe.model_dump(mode="json")
        about = {name: values[name] for name in ("device", "dataset", "model")}
        return cls.read({"kind": recipe.kind, "values": values, "steps": steps, **about})

    def training(self) -> TrainRecipe:
        """The run that is measured."""
        return KINDS[self.kind].read(self.values)


# The recipe that brings an index up to date with its data set and its model.


class IndexUpdateRecipe(Recipe):
    """Bring an index up to date: add new documents, take out those that are gone; build it anew
    where its model has changed."""

    task: ClassVar[str] = "index-update"

    index: str = setting(
        help="The index that is brought up to date.",
        refers_to="index",
        min_length=1,
        max_length=200,
    )
    leave_out: list[str] = setting(
        [],
        help="Documents, by their ids, that the index is to be without from now on.",
        widget="lines",
        max_length=10_000,
    )
    take_back: list[str] = setting(
        [],
        help="Documents, by their ids, that were left out and are to be found again.",
        widget="lines",
        advanced=True,
        max_length=10_000,
    )
    rebuild: bool = setting(
        False,
        help="Build it anew with its own settings even where adding and removing would do.",
        advanced=True,
    )
