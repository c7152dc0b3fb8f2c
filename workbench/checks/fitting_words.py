"""A suggestion's changes as one sentence: what is changed, and what it costs."""

from typing import Any

from workbench.checks.report import gigabytes
from workbench.recipes.train import TrainRecipe


def sentence(
    recipe: TrainRecipe, changes: dict[str, Any], memory: int | None, *, fits: bool | None
) -> str:
    """'Batches of 8, 4 to a step: the same effective batch of 32. About 1.2 GB (an estimate).'"""
    parts = [_SAYS[name](recipe, changes) for name in _SAYS if name in changes]
    said = "; ".join(parts)
    said = said[:1].upper() + said[1:] + "."
    if memory is None:
        return said
    still = "" if fits else ", still more than is free"
    return f"{said} About {gigabytes(memory)} (an estimate){still}."


def _method(_recipe: TrainRecipe, changes: dict[str, Any]) -> str:
    if changes["method"] == "qlora":
        return "the frozen weights are kept in 4 or 8 bits (QLoRA)"
    return (
        "a LoRA adapter is trained instead of all weights, which usually wants a learning rate "
        "about ten times as high"
    )


def _mini_batch(recipe: TrainRecipe, changes: dict[str, Any]) -> str:
    size = changes["mini_batch_size"]
    if changes["objective"] == getattr(recipe, "objective", ""):
        return f"{size} texts in memory at a time (mini_batch_size): the same batch, negatives kept"
    return (
        f"{changes['objective']} with {size} texts in memory at a time: the same batch of "
        f"{recipe.batch_size} with all its in-batch negatives, at about twice the time"
    )


def _batch(recipe: TrainRecipe, changes: dict[str, Any]) -> str:
    size, count = changes["batch_size"], changes["gradient_accumulation"]
    each = " on each device" if recipe.devices != "1" else ""
    said = f"batches of {size}, {count} to a step: the same effective batch of {size * count}{each}"
    if _loses_negatives(recipe):
        said += (
            f", but fewer in-batch negatives: those of {size} rows instead of {recipe.batch_size}"
        )
    return said


def _checkpointing(_recipe: TrainRecipe, _changes: dict[str, Any]) -> str:
    return "activations are computed again instead of kept (gradient_checkpointing), a third slower"


def _length(recipe: TrainRecipe, changes: dict[str, Any]) -> str:
    return (
        f"documents are cut at {changes['passage_max_len']} tokens instead of "
        f"{recipe.passage_max_len}"
    )


def _loses_negatives(recipe: TrainRecipe) -> bool:
    """Whether a query's loss sees the other rows of its batch."""
    if recipe.kind in ("late-interaction", "image-text"):
        return True
    objective = getattr(recipe, "objective", "")
    if recipe.kind != "embedding" or objective not in ("contrastive", "gist"):
        return False
    return objective == "gist" or bool(getattr(recipe, "in_batch_negatives", True))


#: Field -> its words, in the order in which they are said.
_SAYS = {
    "method": _method,
    "mini_batch_size": _mini_batch,
    "batch_size": _batch,
    "gradient_checkpointing": _checkpointing,
    "passage_max_len": _length,
}
