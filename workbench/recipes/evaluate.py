"""Recipes that measure and that make models usable: evaluation and index building."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, ValidationInfo, field_validator, model_validator

from workbench.errors import BadRecipe
from workbench.extensions import OneOf
from workbench.recipes.base import Fit, Recipe, advanced, checked_dimensions, setting
from workbench.recipes.fields import (
    DecidingMetric,
    Device,
    Precision,
    QueryDocument,
    candidates_of_first_stage,
    dataset_version,
    device,
    dimensions,
    max_queries,
    precision,
    query_document,
    seed,
    use_cache,
)
from workbench.recipes.train import KINDS, TrainRecipe
from workbench.search.index_types import INDEX_TYPES, structures

_SECOND_STAGE = Fit("scores", "workbench.evaluation.named:no_second_stage")


class EvaluateRecipe(Recipe):
    """Measure models on one split of a data set, side by side on the same queries."""

    task: ClassVar[str] = "evaluate"

    dataset: str = setting(help="The data set to measure on.", refers_to="dataset", needs="judged")
    split: Literal["test", "dev", "train"] = setting(
        "test", help="The split whose queries are used.", widget="split"
    )
    models: list[str] = setting(
        help="The models to compare; the first is the baseline. 'bm25' counts as a model too.",
        refers_to="model",
        min_length=1,
        max_length=12,
    )
    rerankers: list[str] = setting(
        [],
        help="Rerankers or late-interaction models: each re-ranks the top documents of every "
        "model.",
        refers_to="model",
        fits=_SECOND_STAGE,
        max_length=6,
    )
    second_dataset: str = advanced(
        "",
        help="A second data set on which the same models are measured, to check whether training "
        "made them forget something; empty measures on one data set.",
        refers_to="dataset",
        max_length=200,
    )
    dimensions: Annotated[str, AfterValidator(checked_dimensions)] = dimensions(
        "Also measure embedding models truncated to their first dimensions, such as '64, "
        "128, 256'; 'auto' halves them down to 32; empty does not.",
        advanced=True,
    )
    evaluation_mode: Literal["auto", "retrieval", "reranking", "pipeline"] = advanced(
        "auto",
        help="'retrieval' searches all documents; 'reranking' lets every model, including BM25 "
        "and embedding models, rank each query's own candidates; 'pipeline' measures rerankers "
        "over what first stages retrieve; 'auto' measures each model in the mode of its kind.",
    )
    candidates: int = candidates_of_first_stage(
        "How many of a first stage's documents are reranked for each query; of the data's "
        "own candidates always all."
    )
    first_stage: str = advanced(
        "auto",
        help="What retrieves the candidates for rerankers that are listed among the models: "
        "'given' (the data's own), 'bm25', or an embedding model; 'auto' takes the data's own if "
        "it has them, else BM25.",
        max_length=500,
        refers_to="model",
        fits=Fit("first_stage", "workbench.evaluation.named:no_first_stage"),
        widget="text",
    )
    exact_documents: int = advanced(
        5000,
        help="A late-interaction model searches all documents of data sets of up to this size; in "
        "larger ones it reranks candidates.",
        ge=0,
        le=1_000_000,
    )
    query_max_len: int | None = advanced(
        None,
        help="Truncate queries after this many tokens, for every model; empty keeps each model's "
        "own length.",
        ge=4,
        le=32768,
    )
    passage_max_len: int | None = advanced(
        None,
        help="Truncate documents after this many tokens, for every model; empty keeps each "
        "model's own length.",
        ge=4,
        le=32768,
    )
    bases_at_length_of: list[str] = advanced(
        [],
        help="Trained models whose base is measured as well, truncating texts where the trained "
        "model does: the difference is then what training did, and not the length.",
        refers_to="model",
        max_length=12,
    )
    dataset_version: int | None = dataset_version()
    max_queries: int | None = max_queries()
    top_k: int = advanced(100, help="How many documents each query's run keeps.", ge=10, le=1000)
    exclude_query_document: QueryDocument = query_document()
    metric: DecidingMetric = advanced(
        "map@100", help="The metric whose differences are tested for significance."
    )
    precision: Precision = precision()
    device: Device = device("Where to encode; 'auto' takes a GPU if there is one.")
    use_cache: bool = use_cache()
    seed: int = seed(7, "Seed of the bootstrap and the randomization test.")


class IndexRecipe(Recipe):
    """Build a FAISS index over a data set's documents with one model, and measure it."""

    task: ClassVar[str] = "index"

    dataset: str = setting(help="The data set whose documents are indexed.", refers_to="dataset")
    model: str = setting(
        "all-MiniLM-L6-v2", help="The model that encodes documents and queries.", refers_to="model"
    )
    name: str = setting(
        "",
        help="The name of the index; empty generates one from data set and model.",
        max_length=200,
        names="index",
    )
    type: Literal["exact", "fast", "small"] = setting(
        "exact",
        help="'exact' compares the query with every document; 'fast' searches approximately; "
        "'small' stores each document in far fewer bytes. What the latter two miss is measured "
        "and shown.",
    )
    structure: Annotated[str, OneOf(structures, INDEX_TYPES.all)] = advanced(
        "auto",
        help="The FAISS index structure; 'auto' chooses it by the type and the number of "
        "documents.",
    )
    truncate_dim: int | None = advanced(
        None,
        help="Keep only the first dimensions of each vector, for models trained for it "
        "(Matryoshka); empty keeps all.",
        ge=8,
        le=16384,
    )
    rescore: int = advanced(
        4,
        help="A binary index retrieves this many times the requested documents and rescores them "
        "with int8 vectors, which stay on disk; 0 stores none and uses the binary codes alone.",
        ge=0,
        le=100,
    )
    probes: int | None = advanced(
        None,
        help="IVF: how many lists a query probes; more finds more and takes longer. Empty takes a "
        "sixteenth of them, at least 8.",
        ge=1,
        le=65536,
    )
    code_bytes: int | None = advanced(
        None,
        help="PQ and IVF-PQ: bytes per document; the number of dimensions must be a multiple of "
        "it. Empty takes a quarter of the dimensions.",
        ge=1,
        le=16384,
    )
    dataset_version: int | None = dataset_version()
    precision: Precision = precision()
    device: Device = device("Where to encode; 'auto' takes a GPU if there is one.")
    use_cache: bool = use_cache(
        "Reuse cached embeddings that this model computed with the same settings; off "
        "encodes everything again and caches nothing."
    )


# The recipe of a pipeline matrix: every retriever with every reranker, at every cutoff.


class MatrixRecipe(Recipe):
    """Measure pipelines: each retriever alone and with each reranker, cut at each top k."""

    task: ClassVar[str] = "matrix"

    dataset: str = setting(help="The data set to measure on.", refers_to="dataset", needs="queries")
    split: Literal["test", "dev", "train"] = setting(
        "test", help="The split whose queries are used.", widget="split"
    )
    retrievers: list[str] = setting(
        help="The models that search all documents: embedding models and 'bm25'.",
        refers_to="model",
        fits=Fit("first_stage", "workbench.evaluation.named:no_retriever"),
        min_length=1,
        max_length=6,
    )
    rerankers: list[str] = setting(
        [],
        help="The models that re-rank each retriever's top documents: rerankers and "
        "late-interaction models. Every retriever is also measured without one.",
        refers_to="model",
        fits=_SECOND_STAGE,
        max_length=6,
    )
    top_k: int = setting(
        5,
        help="A pipeline returns its top 1, 2 ... up to this many documents; each cutoff is "
        "measured.",
        ge=1,
        le=50,
    )
    candidates: int = candidates_of_first_stage(
        "How many of a retriever's documents a reranker scores for each query; at least the "
        "highest top k.",
        advanced=False,
    )
    dataset_version: int | None = dataset_version()
    max_queries: int | None = max_queries()
    exclude_query_document: QueryDocument = query_document()
    precision: Precision = precision()
    device: Device = device("Where to encode; 'auto' takes a GPU if there is one.")
    use_cache: bool = use_cache(
        "Reuse cached document embeddings that a retriever computed with the same settings. "
        "Queries are always encoded again, because their time is measured."
    )
    seed: int = seed(7, "Decides which queries are used.")

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
        STEPS, help="How many optimizer steps are trained; the first is not counted.", ge=2, le=100
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
        help="The index to update.", refers_to="index", min_length=1, max_length=200
    )
    leave_out: list[str] = setting(
        [],
        help="The ids of documents to exclude from the index.",
        widget="lines",
        max_length=10_000,
    )
    take_back: list[str] = advanced(
        [], help="The ids of excluded documents to restore.", widget="lines", max_length=10_000
    )
    rebuild: bool = advanced(
        False,
        help="Rebuild the index with its own settings even if adding and removing documents would "
        "do.",
    )
