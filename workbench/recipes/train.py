"""The recipe of a training run: fields every kind has, and those of the embedding model.

The other kinds' are in train_kinds.py.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import model_validator

from workbench.comparison.names import deciding
from workbench.extensions import OneOf
from workbench.model_kinds import MODEL_KINDS, ModelKind
from workbench.recipes import objectives
from workbench.recipes.base import (
    AUTO,
    Devices,
    Fit,
    Numbers,
    OptionalPrompt,
    advanced,
    setting,
)
from workbench.recipes.decided import AUTO_PRESET, SERVING, DecidedFields
from workbench.recipes.fields import (
    AdapterFields,
    Device,
    Precision,
    QueryDocument,
    dataset_version,
    device,
    model_name,
    precision,
    query_document,
    seed,
    token_limit,
)
from workbench.recipes.objectives import OBJECTIVES, Loss, Objective

_schedule = partial(advanced, group="schedule")
_evaluation = partial(advanced, group="evaluation")
_objective = partial(advanced, group="objective")
_model = partial(advanced, group="model")

#: What scored pairs are judged by.
SPEARMAN = "spearman"


def _metrics() -> tuple[str, ...]:
    return *deciding(), "spearman"


Metric = Annotated[str, OneOf(_metrics)]


class TrainRecipe(AdapterFields):
    """What every training kind has in common."""

    #: Dev evaluations in training, and what they ask, where the recipe does not say and they come
    #: to no more than their share of the run (see ``workbench.training.budget``).
    evaluations: ClassVar[int] = 8
    most_dev_queries: ClassVar[int] = 200
    most_dev_documents: ClassVar[int] = 1000
    most_candidates: ClassVar[int] = 50
    #: What ``--kind`` calls it, and what the trained model's contract will say.
    kind: ClassVar[str]
    #: The kind whose objectives it offers: its own, or the one that its kind is a variant of.
    objectives_of: ClassVar[str] = ""

    dataset: str = setting(help="The data set to train and evaluate on.", refers_to="dataset")
    model: str = setting(
        "all-MiniLM-L6-v2",
        help="The base model: a name in the workspace, a local folder, or a Hub id.",
        refers_to="model",
    )
    name: str = model_name(
        "What the trained model is called; empty makes a name from model and data set."
    )
    method: Literal["full", "lora", "qlora"] = setting(
        "full",
        help="'full' updates all weights, 'lora' trains a small adapter, 'qlora' an adapter on "
        "top of weights in 4 or 8 bits.",
    )

    epochs: float = setting(1.0, help="Passes over all training rows.", gt=0, le=1000)
    batch_size: int = setting(
        32,
        help="Queries per step; larger batches give more in-batch negatives and take more memory.",
        ge=1,
        le=8192,
    )
    learning_rate: float = setting(
        5e-5,
        help="The optimizer's peak learning rate; if it is too high, the model forgets.",
        gt=0,
        le=1.0,
    )
    query_max_len: int = token_limit(64, "Queries are truncated after this many tokens.")
    passage_max_len: int = token_limit(128, "Documents are truncated after this many tokens.")

    dataset_version: int | None = dataset_version()
    max_steps: int | None = _schedule(
        None, help="Stop after this many optimizer steps, regardless of the epochs.", ge=1
    )
    max_rows: int | None = _schedule(
        None, help="Train on at most this many rows, chosen by the seed.", ge=1
    )
    gradient_accumulation: int = _schedule(
        1,
        help="Batches whose gradients are accumulated before a step; in-batch negatives stay "
        "within each batch.",
        ge=1,
        le=4096,
    )
    warmup: float = _schedule(
        0.1,
        help="The share of all steps in which the learning rate warms up from 0.",
        ge=0.0,
        le=1.0,
    )
    scheduler: Literal["linear", "cosine", "constant"] = _schedule(
        "linear", help="How the learning rate decays after warm-up."
    )
    weight_decay: float = _schedule(
        0.0, help="Strength of the decay of weights towards 0 at each step.", ge=0.0, le=1.0
    )
    max_grad_norm: float = _schedule(
        1.0, help="Gradients are clipped to this norm; 0 does not clip.", ge=0.0
    )
    dropout: float | None = _schedule(
        None,
        help="Dropout rate of the model's own layers while it is trained; empty keeps the model's. "
        "0 is faster on a CPU.",
        ge=0.0,
        lt=1.0,
    )
    freeze_word_embeddings: bool = _schedule(
        False,
        help="Leaves the table of word embeddings as it is: faster and less memory, above all "
        "where the vocabulary is large.",
        depends_on=("method", ("full",)),
    )
    precision: Precision = precision(
        "Floating-point format of the computation; 'auto' takes bf16 where the machine is "
        "fast at it.",
        "machine",
    )
    device: Device = device("Where to train; 'auto' takes a GPU if there is one.", "machine")
    devices: Devices = advanced(
        "1",
        help="The devices of data-parallel training, each with its own batches: a number, all, or "
        "GPUs by name (gpu:0,gpu:2); on a CPU, processes.",
        group="machine",
        max_length=200,
    )
    gradient_checkpointing: bool = advanced(
        False,
        help="Recomputes activations instead of storing them: less memory, about a third slower.",
        group="machine",
    )
    average_weights: float = _schedule(
        0.0,
        help="The share of the last steps whose weights are averaged into the trained model; 0 "
        "keeps the weights of one step.",
        ge=0.0,
        le=1.0,
    )
    seed: int = seed(
        42, "Decides the order of the rows and everything else that is random.", "schedule"
    )

    metric: Metric = _evaluation(
        "map@100",
        help="The dev metric by which the best checkpoint is selected; for scored pairs it is "
        "always Spearman's correlation.",
    )
    eval_steps: int | None = _evaluation(
        None,
        help="Evaluate on dev every this many steps; empty evaluates a few times per run, so that "
        "dev takes at most a fifth of it.",
        ge=1,
    )
    dev_queries: int | None = _evaluation(
        None,
        help="Dev evaluations use at most this many queries; empty uses as many as fit into a "
        "fifth of the run.",
        ge=1,
    )
    dev_documents: int | None = _evaluation(
        None,
        help="Dev evaluations search the relevant documents and others, up to this many in all; "
        "empty searches as many as fit into a fifth of the run.",
        ge=10,
    )
    exclude_query_document: QueryDocument = query_document("evaluation")
    early_stopping: int = _evaluation(
        0,
        help="Stop after this many dev evaluations without a new best; 0 never stops early.",
        ge=0,
    )
    save_steps: int | None = advanced(
        None,
        help="Write a checkpoint every this many steps; empty saves one at each dev evaluation.",
        group="checkpoints",
        ge=1,
    )
    checkpoints_kept: int = advanced(
        2,
        help="How many checkpoints are kept on disk; the best and the last always are.",
        group="checkpoints",
        ge=2,
        le=1000,
    )

    @property
    def default_name(self) -> str:
        base = re.sub(r"[^\w.-]+", "-", Path(self.model).name) or "model"
        return f"{base}-{self.dataset}"[:100]

    @property
    def model_kind(self) -> ModelKind:
        """The kind of model that it trains."""
        return MODEL_KINDS.get(self.kind)

    @property
    def decides(self) -> tuple[str, ...]:
        """What the run is to decide by measuring (:mod:`workbench.recipes.decided`)."""
        return tuple(filter(None, str(getattr(self, "auto", "")).split(",")))

    @property
    def quantizable(self) -> bool:
        """Whether models of its kind are trained by QLoRA."""
        return "qlora" in get_args(type(self).model_fields["method"].annotation)

    @property
    def in_batch(self) -> bool:
        """Whether a row's right document is told from the documents of the batch's other rows."""
        return True

    def needs_other_rows(self, negatives: int) -> bool:
        """Whether a batch of one row, with so many negatives, would teach nothing."""
        return self.in_batch and negatives == 0

    @property
    def chosen_objective(self) -> Objective:
        """What it is trained for; kinds that offer no choice are trained contrastively."""
        return OBJECTIVES.get(getattr(self, "objective", "contrastive"))

    def loss(self, across: bool = False) -> Loss:
        """The chosen objective's loss. ``across``: documents of other devices are negatives too."""
        return self.chosen_objective.losses[self.objectives_of](self, across)

    @property
    def on_pairs(self) -> bool:
        """Whether it learns scored pairs instead of queries and their documents."""
        return self.chosen_objective.rows == "pairs"

    @model_validator(mode="before")
    @classmethod
    def _metric_of_objective(cls, values: Any) -> Any:
        """Pairs are never judged by MAP, nor rankings by a correlation of scores."""
        if not isinstance(values, dict):
            return values
        chosen = values.get("objective")
        on_pairs = chosen in OBJECTIVES and OBJECTIVES.get(str(chosen)).rows == "pairs"
        if on_pairs != (values.get("metric") == SPEARMAN):
            default = cls.model_fields["metric"].default
            return {**values, "metric": SPEARMAN if on_pairs else default}
        return values


class TrainEmbeddingRecipe(DecidedFields, TrainRecipe):
    """Fine-tune an embedding model (bi-encoder) with in-batch and given negatives."""

    task: ClassVar[str] = "train-embedding"
    kind: ClassVar[str] = "embedding"
    objectives_of: ClassVar[str] = "embedding"
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "auto": AUTO_PRESET,
        "quick": {
            **SERVING,
            "epochs": 1.0,
            "batch_size": 32,
            "learning_rate": 1e-4,
            "negatives": 0,
        },
        "balanced": {
            **SERVING,
            "epochs": 2.0,
            "batch_size": 32,
            "learning_rate": 5e-5,
            "negatives": 1,
        },
        "thorough": {
            **SERVING,
            "epochs": 5.0,
            "batch_size": 64,
            "learning_rate": 3e-5,
            "negatives": 3,
            "passage_max_len": 256,
            "early_stopping": 3,
        },
    }

    seeds: int = _schedule(
        1,
        help="Train so many times, with this seed and the ones after it, to see what is luck; the "
        "average of the models' weights is measured beside them, and kept where it is as good.",
        ge=1,
        le=20,
    )
    general: str = _evaluation(
        AUTO,
        help="A general data set on which the trained model is measured beside its base, to show "
        "what it forgot and how much a smaller share of the trained weights would keep; 'auto' "
        "takes the sample if it is there and not what is trained on, 'none' measures nothing.",
        refers_to="dataset",
        needs="queries",
        max_length=200,
    )
    negatives: int = setting(
        1,
        help="Hard negatives per query, from the data; where it gives none, a run that decides its "
        "steps mines as many as you set. 0 uses only in-batch negatives.",
        ge=0,
        le=100,
    )
    objective: Annotated[str, objectives.choice("embedding")] = _objective(
        "contrastive",
        help="'contrastive' suits pairs and triplets; 'cached-...' fits a large batch into little "
        "memory (at twice the time); 'gist' leaves out negatives that a guide model scores above "
        "the positive; 'distill-kl' and 'margin-mse' learn a teacher's scores in the data; "
        "'cosent' (by order) and 'cosine' (by value) learn scored text pairs.",
    )
    in_batch_negatives: bool = _objective(
        True,
        help="Use the other rows' documents as negatives; off, a query sees only its own "
        "candidates.",
        depends_on=objectives.using("embedding", "in_batch_negatives"),
    )
    negatives_cross_device: bool = _objective(
        False,
        help="Also use the documents of the other devices' batches as negatives; needs devices.",
        depends_on=objectives.using("embedding", "negatives_cross_device"),
    )
    symmetric: bool = _objective(
        False,
        help="Add the loss of the reverse direction, from each document to its query.",
        depends_on=objectives.using("embedding", "symmetric"),
    )
    guide_model: str = _objective(
        "",
        help="The embedding model that detects false negatives; empty takes the base model as it "
        "was before training.",
        depends_on=objectives.using("embedding", "guide_model"),
        refers_to="model",
        fits=Fit(),
    )
    guide_margin: float = _objective(
        0.0,
        help="A negative is left out if the guide scores it above the positive's score minus this "
        "margin; below 0 keeps some that score higher than the positive.",
        depends_on=objectives.using("embedding", "guide_margin"),
        ge=-100.0,
        le=100.0,
    )
    mini_batch_size: int = _objective(
        16,
        help="How many of a batch's longest texts a cached objective (GradCache) holds in memory "
        "at once; of shorter ones as many as have so many tokens together. It does not change the "
        "result.",
        depends_on=objectives.using("embedding", "mini_batch_size"),
        ge=1,
        le=8192,
    )
    matryoshka_dims: Numbers = _objective(
        "",
        help="Also train these shorter embeddings, such as 256, 128, 64; empty trains full ones "
        "only (Kusupati et al. 2022).",
        widget="numbers",
    )
    temperature: float = _objective(
        0.05,
        help="Scores are divided by this before the softmax; smaller values penalize errors "
        "harder. Inner products of vectors that are not normalized are divided by it only if it "
        "is set to another value than the default.",
        depends_on=objectives.using("embedding", "temperature"),
        gt=0,
        le=10,
    )
    teacher_temperature: float | None = _objective(
        None,
        help="A teacher's scores are divided by this before they are learned; empty chooses a "
        "value that brings their typical spread into the range of the model's scores.",
        depends_on=objectives.using("embedding", "teacher_temperature"),
        gt=0,
        le=10000,
    )
    pooling: Literal["auto", "mean", "cls", "lasttoken"] = _model(
        "auto",
        help="How token embeddings are pooled into one vector; 'auto' keeps the base model's "
        "pooling.",
    )
    query_prompt: OptionalPrompt = _model(
        None,
        help="Prefix of every query, in training and afterwards; empty keeps the base model's, "
        'two quotation marks ("") use none.',
    )
    document_prompt: OptionalPrompt = _model(
        None,
        help="Prefix of every document, in training and afterwards; empty keeps the base model's, "
        'two quotation marks ("") use none.',
    )

    @property
    def in_batch(self) -> bool:
        chosen = self.chosen_objective
        return chosen.in_batch and (
            self.in_batch_negatives or "in_batch_negatives" not in chosen.fields
        )

    def needs_other_rows(self, negatives: int) -> bool:
        return self.chosen_objective.compares_rows or super().needs_other_rows(negatives)


# The recipes that train, by the name that ``--kind`` and the contract give the kind of model.


class _Recipes(Mapping[str, type[TrainRecipe]]):
    """Read anew at each look: kinds may be added."""

    def __getitem__(self, kind: str) -> type[TrainRecipe]:
        if kind not in MODEL_KINDS:
            raise KeyError(kind)
        recipe: type[TrainRecipe] = MODEL_KINDS.get(kind).recipe
        return recipe

    def __iter__(self) -> Iterator[str]:
        return iter(MODEL_KINDS.names())

    def __len__(self) -> int:
        return len(MODEL_KINDS.names())


#: Kind -> recipe; the first is what ``train`` takes when nothing is said.
KINDS = _Recipes()
