"""A recipe as the trainer's arguments. Every choice of ours that is not the library's has a why."""

import math
from pathlib import Path
from typing import Any, TypeVar

from sentence_transformers.base.training_args import BaseTrainingArguments

from workbench.recipes.train import TrainRecipe
from workbench.training.together import PATIENCE, Together

A = TypeVar("A", bound=BaseTrainingArguments)

SCHEDULERS = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}
#: ``warmup_steps`` below 1 is a share of all steps, from 1 on a number of steps.
ALL_OF_THEM = 0.999999


def training_arguments(
    kind: type[A],
    recipe: TrainRecipe,
    output: Path,
    *,
    device: str,
    precision: str,
    together: Together,
    steps: int | None = None,
    **more: Any,
) -> A:
    """``device`` is 'cpu' or 'cuda', ``precision`` 'fp32', 'bf16' or 'fp16': both decided.

    ``steps`` of the whole run, where they are known.
    """
    return kind(
        output_dir=str(output),
        num_train_epochs=recipe.epochs,
        max_steps=recipe.max_steps or -1,
        per_device_train_batch_size=recipe.batch_size,
        gradient_accumulation_steps=recipe.gradient_accumulation,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=SCHEDULERS[recipe.scheduler],
        warmup_steps=warmup_steps(recipe, steps),
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        # On a CPU bf16 is refused without it.
        use_cpu=device == "cpu",
        # Among several processes every batch must be whole: gathered tensors have one shape, and
        # a process with one batch more than the others would wait for them for ever.
        dataloader_drop_last=together.size > 1,
        ddp_timeout=int(PATIENCE.total_seconds()),
        dataloader_pin_memory=device != "cpu",
        seed=recipe.seed,
        data_seed=recipe.seed,
        # Each step is a row of the record. The library's filter would hide a NaN loss behind the
        # mean of the others; the guard must see it.
        logging_steps=1,
        logging_nan_inf_filter=False,
        # The cadence (see cadence.py) decides when to evaluate and when to save. A strategy must
        # be named all the same, else the library keeps no best checkpoint.
        eval_strategy="no",
        save_strategy="steps",
        save_steps=2**31 - 1,
        save_total_limit=recipe.checkpoints_kept,
        metric_for_best_model=f"eval_{recipe.metric}",
        greater_is_better=True,
        # It would swallow a failure to load the best one; checkpoints.py loads and checks it.
        load_best_model_at_end=False,
        report_to="none",
        disable_tqdm=True,
        gradient_checkpointing=recipe.gradient_checkpointing,
        # The other way loses the gradients of an adapter over a frozen base.
        gradient_checkpointing_kwargs={"use_reentrant": False},
        **more,
    )


def warmup_steps(recipe: TrainRecipe, steps: int | None) -> float:
    """Fewer than the run has: the learning rate would be 0 throughout a run of one step else."""
    if steps is None:
        return min(recipe.warmup, ALL_OF_THEM)
    return max(0, min(math.ceil(recipe.warmup * steps), steps - 1))
