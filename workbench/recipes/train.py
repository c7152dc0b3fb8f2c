"""The recipe of a training run: fields every kind has, and those of the embedding model."""

from typing import Any, ClassVar, Literal

from workbench.recipes.base import Recipe, setting


class TrainRecipe(Recipe):
    """What every training kind has in common."""

    dataset: str = setting(help="The data set to train and evaluate on.", widget="dataset")
    model: str = setting(
        "all-MiniLM-L6-v2",
        help="The base model: a name in the workspace, a local folder, or a hub id.",
        widget="model",
    )
    name: str = setting(
        "",
        help="What the trained model is called; empty makes a name from model and data set.",
        max_length=120,
    )
    method: Literal["full"] = setting("full", help="Full fine-tuning changes every weight.")

    epochs: float = setting(
        1.0, help="How often the run goes through all training rows.", gt=0, le=1000
    )
    batch_size: int = setting(
        32,
        help="Queries per step; larger batches give more in-batch negatives and take more memory.",
        ge=1,
        le=8192,
    )
    learning_rate: float = setting(
        5e-5,
        help="The highest step size of the optimizer; too high and the model forgets.",
        gt=0,
        le=1.0,
    )
    query_max_len: int = setting(64, help="Queries are cut after this many tokens.", ge=4, le=32768)
    passage_max_len: int = setting(
        128, help="Documents are cut after this many tokens.", ge=4, le=32768
    )

    dataset_version: int | None = setting(
        None, help="The data set's version; empty takes the newest.", advanced=True, ge=1
    )
    max_steps: int | None = setting(
        None,
        help="Stop after this many optimizer steps, whatever the epochs say.",
        group="schedule",
        advanced=True,
        ge=1,
    )
    max_rows: int | None = setting(
        None,
        help="Train on at most this many rows, chosen by the seed.",
        group="schedule",
        advanced=True,
        ge=1,
    )
    gradient_accumulation: int = setting(
        1,
        help="Batches whose gradients are summed before a step; in-batch negatives stay per batch.",
        group="schedule",
        advanced=True,
        ge=1,
        le=4096,
    )
    warmup: float = setting(
        0.1,
        help="Share of all steps in which the learning rate rises from 0.",
        group="schedule",
        advanced=True,
        ge=0.0,
        le=1.0,
    )
    scheduler: Literal["linear", "cosine", "constant"] = setting(
        "linear",
        help="How the learning rate falls after warm-up.",
        group="schedule",
        advanced=True,
    )
    weight_decay: float = setting(
        0.0,
        help="Pulls weights towards 0 a little at each step.",
        group="schedule",
        advanced=True,
        ge=0.0,
        le=1.0,
    )
    max_grad_norm: float = setting(
        1.0,
        help="Gradients longer than this are shortened to it; 0 leaves them as they are.",
        group="schedule",
        advanced=True,
        ge=0.0,
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = setting(
        "auto",
        help="Number format of the computation; 'auto' takes bf16 where the machine is fast at it.",
        group="machine",
        advanced=True,
    )
    device: Literal["auto", "cpu", "cuda"] = setting(
        "auto",
        help="Where to train; 'auto' takes a GPU if there is one.",
        group="machine",
        advanced=True,
    )
    seed: int = setting(
        42,
        help="Decides the order of the rows and every other chance.",
        group="schedule",
        advanced=True,
        ge=0,
        le=2**31 - 1,
    )

    metric: Literal["map@100", "mrr@10", "ndcg@10", "recall@100"] = setting(
        "map@100",
        help="The dev metric that decides which checkpoint is best.",
        group="evaluation",
        advanced=True,
    )
    eval_steps: int | None = setting(
        None,
        help="Evaluate on dev every so many steps; empty evaluates about eight times a run.",
        group="evaluation",
        advanced=True,
        ge=1,
    )
    dev_queries: int = setting(
        200,
        help="Dev evaluations use at most this many queries.",
        group="evaluation",
        advanced=True,
        ge=1,
    )
    dev_documents: int = setting(
        1000,
        help="Dev evaluations search the relevant documents and others, up to this many in all.",
        group="evaluation",
        advanced=True,
        ge=10,
    )
    early_stopping: int = setting(
        0,
        help="Stop after this many dev evaluations without a new best; 0 never stops early.",
        group="evaluation",
        advanced=True,
        ge=0,
    )
    save_steps: int | None = setting(
        None,
        help="Write a checkpoint every so many steps; empty saves at each dev evaluation.",
        group="checkpoints",
        advanced=True,
        ge=1,
    )
    checkpoints_kept: int = setting(
        2,
        help="How many checkpoints stay on disk; best and last always do.",
        group="checkpoints",
        advanced=True,
        ge=2,
        le=1000,
    )


class TrainEmbeddingRecipe(TrainRecipe):
    """Fine-tune an embedding model (bi-encoder) with in-batch and given negatives."""

    task: ClassVar[str] = "train-embedding"
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "quick": {"epochs": 1.0, "batch_size": 32, "learning_rate": 1e-4, "negatives": 0},
        "balanced": {"epochs": 2.0, "batch_size": 32, "learning_rate": 5e-5, "negatives": 1},
        "thorough": {
            "epochs": 5.0,
            "batch_size": 64,
            "learning_rate": 3e-5,
            "negatives": 3,
            "passage_max_len": 256,
            "early_stopping": 3,
        },
    }

    negatives: int = setting(
        1,
        help="Given hard negatives per query; 0 uses the other rows of the batch alone.",
        ge=0,
        le=100,
    )
    temperature: float = setting(
        0.05,
        help="Scores are divided by this before the softmax; smaller presses harder on mistakes.",
        group="model",
        advanced=True,
        gt=0,
        le=10,
    )
    pooling: Literal["auto", "mean", "cls", "lasttoken"] = setting(
        "auto",
        help="How token vectors become one; 'auto' keeps what the base model was made with.",
        group="model",
        advanced=True,
    )
    query_prompt: str | None = setting(
        None,
        help="Put before every query, in training and ever after; empty keeps the base model's.",
        group="model",
        advanced=True,
    )
    document_prompt: str | None = setting(
        None,
        help="Put before every document, in training and ever after; empty keeps the base model's.",
        group="model",
        advanced=True,
    )
