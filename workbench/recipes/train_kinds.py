"""The training recipes of the kinds besides the embedding model: rerankers, late interaction, and
models of pictures and texts (CLIP and its relatives)."""

from functools import partial
from typing import Annotated, Any, ClassVar, Literal

from pydantic import field_validator

from workbench.recipes import objectives
from workbench.recipes.base import MODEL_FREE, Fit, OptionalPrompt, advanced, setting
from workbench.recipes.data import SMALL_CLIP
from workbench.recipes.decided import AUTO_PRESET, DECISIONS, DecidedFields, Schedule
from workbench.recipes.train import TrainRecipe

_objective = partial(advanced, group="objective")
_model = partial(advanced, group="model")


class TrainCandidatesRecipe(DecidedFields, TrainRecipe):
    """What both kinds have: they are trained and judged on the candidates of a first stage."""

    #: They read as much as their contract says: no index is made that a length could be told by.
    #: Nor is it known which temperatures are worth trying for scores that are no cosines.
    decidable: ClassVar[tuple[str, ...]] = tuple(
        one for one in DECISIONS if one not in ("serving_length", "temperature")
    )
    #: Reading 50 candidates for each of 100 queries takes minutes on a CPU.
    evaluations: ClassVar[int] = 4
    most_dev_queries: ClassVar[int] = 100

    negatives: int = setting(
        4,
        help="Negatives per query: those of the data, else found by the first stage.",
        ge=1,
        le=100,
    )
    first_stage: str = advanced(
        "auto",
        help="What retrieves the candidates: 'given' (the data's own), 'bm25', or an embedding "
        "model; 'auto' takes the data's own if it has them, else BM25.",
        group="evaluation",
        max_length=500,
        refers_to="model",
        fits=Fit(),
        widget="text",
    )
    candidates: int | None = advanced(
        None,
        help="How many of the first stage's documents are reranked for each dev query; empty "
        "takes as many as fit into a fifth of the run.",
        group="evaluation",
        ge=2,
        le=1000,
    )


class TrainRerankerRecipe(TrainCandidatesRecipe):
    """Fine-tune a reranker: a cross-encoder, or a causal language model that answers yes or no."""

    task: ClassVar[str] = "train-reranker"
    kind: ClassVar[str] = "reranker"
    objectives_of: ClassVar[str] = "reranker"
    #: A query with its documents is as many texts as several of another kind's, and a head of
    #: chance needs more steps than what was trained before.
    schedule: ClassVar[Schedule] = Schedule(fewest=120, batches=(), largest=8)
    finds_negatives: ClassVar[bool] = True
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "auto": AUTO_PRESET,
        "quick": {"epochs": 1.0, "batch_size": 8, "learning_rate": 1e-4, "negatives": 4},
        "balanced": {"epochs": 2.0, "batch_size": 8, "learning_rate": 5e-5, "negatives": 4},
        "thorough": {
            "epochs": 4.0,
            "batch_size": 16,
            "learning_rate": 2e-5,
            "negatives": 7,
            "passage_max_len": 256,
            "early_stopping": 3,
        },
    }

    batch_size: int = setting(
        8,
        help="Queries per step, each with its relevant document and its negatives.",
        ge=1,
        le=8192,
    )
    objective: Annotated[str, objectives.choice("reranker")] = _objective(
        "bce",
        help="'bce' (binary cross-entropy) judges each pair on its own and is a good start; "
        "'contrastive' contrasts the relevant document with the others; 'listnet' suits several "
        "negatives per query, 'lambda' (LambdaLoss) the top of the list.",
    )
    temperature: float = _objective(
        1.0,
        help="The contrastive objective divides scores by this before the softmax.",
        depends_on=objectives.using("reranker", "temperature"),
        gt=0,
        le=100,
    )
    architecture: Literal["auto", "cross-encoder", "llm"] = _model(
        "auto",
        help="'auto' makes a causal language model an LLM reranker that answers yes or no, and "
        "any other model a cross-encoder.",
    )
    teacher: str = advanced(
        "auto",
        help="The embedding model that checks the negatives that the first stage finds: what it "
        "scores within 5% of the relevant document, or higher, is probably an answer that nobody "
        "judged, and is left out. 'auto' takes the first stage where it is a model, else the "
        "packaged model; 'none' keeps all.",
        group="objective",
        max_length=500,
        refers_to="model",
        fits=Fit("first_stage", "workbench.mining.mine:no_miner"),
        widget="text",
    )
    head_first: float = advanced(
        0.1,
        help="The share of the steps in which a head that the base does not bring is trained "
        "alone; then all weights are.",
        group="schedule",
        ge=0.0,
        lt=1.0,
    )
    yes_token: str = _model(
        "",
        help="The token with which an LLM reranker calls a document relevant; empty takes the "
        "model's own, else yes.",
        max_length=50,
    )
    no_token: str = _model(
        "",
        help="The token with which an LLM reranker calls a document not relevant; empty takes the "
        "model's own, else no.",
        max_length=50,
    )
    instruction: str = _model(
        "",
        help="The instruction that tells an LLM reranker what counts as relevant, part of every "
        "prompt.",
        max_length=2000,
    )
    prompt_template: str = _model(
        "",
        help="An LLM reranker's prompt, with {query} and {document}, and {instruction}, {yes}, "
        "{no} where wanted; empty takes the model's own.",
        max_length=8000,
    )

    @field_validator("teacher")
    @classmethod
    def _scores_alike(cls, word: str) -> str:
        """'none' is kept as no name at all, which no model can have."""
        plain = word.strip().lower()
        if plain in MODEL_FREE and plain != "auto":
            raise ValueError("choose 'auto', 'none', or an embedding model")
        return {"none": "", "auto": "auto"}.get(plain, word)

    @property
    def in_batch(self) -> bool:
        return False


class TrainLateInteractionRecipe(TrainCandidatesRecipe):
    """Fine-tune a late-interaction model (ColBERT): a vector per token, compared by MaxSim."""

    task: ClassVar[str] = "train-late-interaction"
    kind: ClassVar[str] = "late-interaction"
    schedule: ClassVar[Schedule] = Schedule(batches=((2_000, 16),), largest=32)
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "auto": AUTO_PRESET,
        "quick": {"epochs": 1.0, "batch_size": 16, "learning_rate": 1e-4, "negatives": 1},
        "balanced": {"epochs": 2.0, "batch_size": 16, "learning_rate": 5e-5, "negatives": 2},
        "thorough": {
            "epochs": 4.0,
            "batch_size": 32,
            "learning_rate": 3e-5,
            "negatives": 4,
            "passage_max_len": 256,
            "early_stopping": 3,
        },
    }

    method: Literal["full", "lora"] = setting(
        "full",
        help="'full' updates all weights; 'lora' trains a small adapter next to the frozen "
        "weights.",
    )
    batch_size: int = setting(
        16,
        help="Queries per step; the other queries' documents serve as negatives too.",
        ge=1,
        le=8192,
    )
    negatives: int = setting(
        1,
        help="Negatives per query besides the in-batch ones; 0 uses only in-batch negatives.",
        ge=0,
        le=100,
    )
    temperature: float = _objective(
        1.0, help="MaxSim sums are divided by this before the softmax.", gt=0, le=100
    )
    negatives_cross_device: bool = _objective(
        False,
        help="Also use the documents of the other devices' batches as negatives; needs devices.",
    )
    token_dimensions: int = _model(
        128,
        help="Dimensions of a token's vector if the model has no projection layer of its own.",
        ge=8,
        le=4096,
    )
    query_prompt: OptionalPrompt = _model(
        None,
        help='Prefix of every query; empty keeps the base model\'s, two quotation marks ("") use '
        "none.",
    )
    document_prompt: OptionalPrompt = _model(
        None,
        help='Prefix of every document; empty keeps the base model\'s, two quotation marks ("") '
        "use none.",
    )


# The recipe of models of pictures and texts (CLIP and its relatives).


class TrainImageTextRecipe(TrainRecipe):
    """Fine-tune a CLIP-like model: each caption shall find its picture, and the reverse."""

    task: ClassVar[str] = "train-image-text"
    kind: ClassVar[str] = "image-text"
    most_dev_queries: ClassVar[int] = 500
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "quick": {"epochs": 1.0, "batch_size": 32, "learning_rate": 2e-5},
        "balanced": {"epochs": 3.0, "batch_size": 64, "learning_rate": 1e-5},
        "thorough": {
            "epochs": 10.0,
            "batch_size": 128,
            "learning_rate": 1e-5,
            "early_stopping": 3,
        },
        # For a model of random weights: all of it is learnt from these pictures.
        "scratch": {
            "epochs": 20.0,
            "batch_size": 64,
            "learning_rate": 2e-3,
            "temperature": 0.07,
            # Casting costs more than it saves in a model of this size.
            "precision": "fp32",
        },
    }

    model: str = setting(
        SMALL_CLIP,
        help="The base model: a CLIP-like one of the workspace, a local folder, or a Hub id.",
        refers_to="model",
    )
    method: Literal["full", "lora"] = setting(
        "full", help="'full' updates all weights, 'lora' trains a small adapter in both towers."
    )
    batch_size: int = setting(
        64,
        help="Captions and pictures per step; each is contrasted with all others of its batch.",
        ge=1,
        le=8192,
    )
    learning_rate: float = setting(
        1e-5,
        help="The optimizer's peak learning rate; a well-trained CLIP forgets quickly.",
        gt=0,
        le=1.0,
    )
    negatives: int = _objective(
        0,
        help="Hard negative pictures per caption, from the data; 0 uses only in-batch negatives.",
        ge=0,
        le=100,
    )
    temperature: float = _objective(
        0.02,
        help="Scores are divided by this before the softmax; smaller values penalize errors "
        "harder.",
        gt=0,
        le=10,
    )
    negatives_cross_device: bool = _objective(
        False,
        help="Also use the pictures of the other devices' batches as negatives; needs devices.",
    )
    dev_queries: int | None = advanced(
        None,
        help="Dev evaluations use at most this many captions; empty uses as many as fit into a "
        "fifth of the run.",
        group="evaluation",
        ge=1,
    )
