"""Settings that were given and do nothing in a run. Torch-free.

The page hides most of them; a command, a file or an imported recipe can give them all the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from workbench.recipes.describe import describe
from workbench.recipes.train import TrainRecipe


@dataclass(frozen=True, slots=True)
class Idle:
    """A setting without effect: why, and what to do."""

    message: str
    mend: str


def idle(recipe: TrainRecipe, devices: int) -> list[Idle]:
    """What has no effect; ``devices`` is how many train together."""
    return [*_hidden(recipe), *_own_candidates(recipe), *_alone(recipe, devices)]


def _given(recipe: TrainRecipe, name: str) -> bool:
    field = type(recipe).model_fields.get(name)
    return field is not None and getattr(recipe, name) != field.default


def _hidden(recipe: TrainRecipe) -> Iterator[Idle]:
    """Fields that depend on another which has a different value."""
    for spec in describe(type(recipe)):
        if spec.depends_on is None or not _given(recipe, spec.name):
            continue
        name, (source, wanted) = spec.name, spec.depends_on
        is_now = getattr(recipe, source)
        if is_now not in wanted:
            yield Idle(
                f"{name} has no effect with {source} {is_now}.",
                f"Leave it out, or set {source} to {' or '.join(map(str, wanted))}.",
            )


def _own_candidates(recipe: TrainRecipe) -> Iterator[Idle]:
    """Without the batch's other rows there is nothing to cache, to turn round or to gather."""
    objective = recipe.chosen_objective
    if "in_batch_negatives" not in objective.fields or recipe.in_batch:
        return
    names = [name for name in ("symmetric", "negatives_cross_device") if _given(recipe, name)]
    if objective.in_parts:
        names.insert(0, "The cached objective")
    for name in names:
        yield Idle(
            f"{name} has no effect without in-batch negatives.",
            "Leave it out, or switch in_batch_negatives on.",
        )


def _alone(recipe: TrainRecipe, devices: int) -> Iterator[Idle]:
    if getattr(recipe, "negatives_cross_device", False) and devices == 1:
        yield Idle(
            "negatives_cross_device has no effect on one device.",
            "Set devices to 2 or more, or leave it out.",
        )


def early_stopping(recipe: TrainRecipe, steps: int, *, dev: bool) -> list[Idle]:
    """That a run of so many steps cannot stop early although it was asked to."""
    if not recipe.early_stopping:
        return []
    if not dev:
        return [
            Idle(
                "early_stopping has no effect without dev queries.",
                "Import the data with a dev part, or leave it out.",
            )
        ]
    measured = -(-steps // eval_steps(recipe, steps))
    if measured > recipe.early_stopping:
        return []
    return [
        Idle(
            f"early_stopping {recipe.early_stopping} has no effect: the run is measured on dev "
            f"{measured} times.",
            "Lower eval_steps or early_stopping, or train longer.",
        )
    ]


def eval_steps(recipe: TrainRecipe, steps: int) -> int:
    """Steps between two dev evaluations in a run of so many."""
    return recipe.eval_steps or max(1, round(steps / recipe.evaluations))
