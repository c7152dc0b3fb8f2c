"""The recipe of models of pictures and texts (CLIP and its relatives)."""

from functools import partial
from typing import Any, ClassVar, Literal

from workbench.recipes.base import advanced, setting
from workbench.recipes.data import SMALL_CLIP
from workbench.recipes.train import TrainRecipe

_objective = partial(advanced, group="objective")


class TrainImageTextRecipe(TrainRecipe):
    """Fine-tune a CLIP-like model: each caption shall find its picture, and the reverse."""

    task: ClassVar[str] = "train-image-text"
    kind: ClassVar[str] = "image-text"
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
    dev_queries: int = advanced(
        500, help="Dev evaluations use at most this many captions.", group="evaluation", ge=1
    )
