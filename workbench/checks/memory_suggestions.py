"""Settings with which a run that ran out of memory would fit, by ``memory_estimate``.

Each keeps the effective batch (batch_size x gradient_accumulation). Those that change least of
what the model learns come first.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from storage.records import Job
from workbench.checks import by_rules
from workbench.checks.report import gigabytes
from workbench.checks.run_facts import RunFacts, free_memory, is_cached, look
from workbench.errors import WorkbenchError
from workbench.recipes.base import Recipe
from workbench.recipes.evaluate import MeasureRecipe
from workbench.recipes.objectives import names
from workbench.recipes.train import TrainRecipe
from workbench.tasks import read_recipe
from workbench.workspace import Workspace

# A suggestion's changes as one sentence: what is changed, and what it costs.


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
        return "the frozen weights are stored in 4 or 8 bits (QLoRA)"
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


def _checkpointing_sentence(_recipe: TrainRecipe, _changes: dict[str, Any]) -> str:
    return "activations are computed again instead of kept (gradient_checkpointing), a third slower"


def _length(recipe: TrainRecipe, changes: dict[str, Any]) -> str:
    return (
        f"documents are cut at {changes['passage_max_len']} tokens instead of "
        f"{recipe.passage_max_len}"
    )


def _loses_negatives(recipe: TrainRecipe) -> bool:
    """Whether a query's loss sees the other rows of its batch."""
    return recipe.in_batch and not is_cached(recipe)


#: Field -> its words, in the order in which they are said.
_SAYS = {
    "method": _method,
    "mini_batch_size": _mini_batch,
    "batch_size": _batch,
    "gradient_checkpointing": _checkpointing_sentence,
    "passage_max_len": _length,
}


MOST = 3
#: Suggest more than one setting, if only by changing two at once.
ENOUGH = 2
#: Of the free memory; the rest is for what the estimate leaves out.
ROOM = 0.9
#: Of the estimate for the settings that did not fit: where that was below the free memory, the
#: estimate was too low, and what is to fit must be clearly smaller.
LESS = 0.7
#: No shorter than this: a document of a few words says little.
SHORTEST = 64
_ACCUMULATION = 4096

Changes = dict[str, Any]
#: The changes that one setting can bring, the mildest first.
Lever = Callable[[TrainRecipe, RunFacts], Iterator[Changes]]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Changes of a recipe, in one sentence."""

    changes: Changes
    sentence: str
    #: Bytes, an estimate; None where the model's files do not say.
    memory: int | None
    #: Whether that would fit; None: not known.
    fits: bool | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def suggest(
    recipe: TrainRecipe, facts: RunFacts, available: int | None, *, adapter: bool = False
) -> list[Suggestion]:
    """Two or three ways to fit ``available`` bytes, best first; fewer where there are no more.

    ``adapter``: the base model is one, so that no other can be put on it.
    """
    levers = [_cached, _batches, _checkpointing, _shorter]
    combined: list[tuple[Lever, ...]] = [(_checkpointing, _batches)]
    if not adapter:
        levers.append(_adapter)
        combined += [(_adapter, _cached), (_adapter, _batches), (_adapter, _checkpointing)]
        combined += [(_adapter, _checkpointing, _batches), (_adapter, _checkpointing, _shorter)]
    budget = _budget(recipe, facts, available)
    found: list[Suggestion] = []
    for ways in [*((lever,) for lever in levers), *combined]:
        if len(found) >= (MOST if len(ways) == 1 else ENOUGH):
            break
        suggested = _mildest(recipe, facts, ways, budget)
        if suggested is not None:
            found.append(suggested)
    return found or _smallest(recipe, facts, [*((lever,) for lever in levers), *combined])


def _budget(recipe: TrainRecipe, facts: RunFacts, available: int | None) -> float | None:
    """Bytes within which a suggestion shall stay; None where nothing can be estimated."""
    failed = facts.memory(recipe)
    if failed is None:
        return None
    below = LESS * failed.total
    return below if available is None else min(below, ROOM * available)


def _mildest(
    recipe: TrainRecipe, facts: RunFacts, ways: tuple[Lever, ...], budget: float | None
) -> Suggestion | None:
    """The first combination that fits; the first of all where nothing can be estimated."""
    for changes in _combinations(recipe, facts, ways):
        total = _total(recipe, facts, changes)
        if total is None or budget is None:
            return Suggestion(changes, sentence(recipe, changes, None, fits=None), None, None)
        if total <= budget:
            return Suggestion(changes, sentence(recipe, changes, total, fits=True), total, True)
    return None


def _smallest(
    recipe: TrainRecipe, facts: RunFacts, all_ways: list[tuple[Lever, ...]]
) -> list[Suggestion]:
    """Where nothing fits by the estimate: what comes nearest."""
    tried: list[tuple[int, Changes]] = []
    for ways in all_ways:
        # A lever's last change is its strongest.
        strongest = deque(_combinations(recipe, facts, ways), maxlen=1)
        for changes in strongest:
            total = _total(recipe, facts, changes)
            if total is not None:
                tried.append((total, changes))
    tried.sort(key=lambda one: one[0])
    return [
        Suggestion(changes, sentence(recipe, changes, total, fits=False), total, False)
        for total, changes in tried[:ENOUGH]
    ]


def _total(recipe: TrainRecipe, facts: RunFacts, changes: Changes) -> int | None:
    memory = facts.memory(recipe.model_copy(update=changes))
    return None if memory is None else memory.total


def _combinations(
    recipe: TrainRecipe, facts: RunFacts, ways: tuple[Lever, ...]
) -> Iterator[Changes]:
    """The first lever's changes with each of the next ones'; none where one cannot be pulled."""
    first, rest = ways[0], ways[1:]
    for changes in first(recipe, facts):
        if not rest:
            yield changes
            continue
        changed = recipe.model_copy(update=changes)
        for more in _combinations(changed, facts, rest):
            yield {**changes, **more}


def _cached(recipe: TrainRecipe, _facts: RunFacts) -> Iterator[Changes]:
    """GradCache: the batch in parts, with the gradients and the negatives of the whole."""
    objective, size = recipe.chosen_objective, recipe.batch_size
    cached = objective.name
    if is_cached(recipe):
        # A mini-batch beyond the batch is the batch.
        size = min(size, int(getattr(recipe, "mini_batch_size", size)))
    elif objective.cached in names(recipe.objectives_of) and recipe.in_batch:
        cached = objective.cached
    else:
        return
    while size > 1:
        size = _power_below(size)
        yield {"objective": cached, "mini_batch_size": size}


def _batches(recipe: TrainRecipe, _facts: RunFacts) -> Iterator[Changes]:
    """Smaller batches, more of them to a step. A cached objective's batch takes no memory."""
    if is_cached(recipe):
        return
    effective = recipe.batch_size * recipe.gradient_accumulation
    for size in range(recipe.batch_size - 1, 0, -1):
        count, rest = divmod(effective, size)
        if count > _ACCUMULATION:
            return
        if not rest:
            yield {"batch_size": size, "gradient_accumulation": count}


def _checkpointing(recipe: TrainRecipe, _facts: RunFacts) -> Iterator[Changes]:
    # A cached objective computes everything twice as it is.
    if not recipe.gradient_checkpointing and not is_cached(recipe):
        yield {"gradient_checkpointing": True}


def _shorter(recipe: TrainRecipe, facts: RunFacts) -> Iterator[Changes]:
    """Only lengths that really cut something of the sample's longest document."""
    longest = recipe.passage_max_len
    if recipe.model_kind.reads_pictures:
        return  # What takes memory there is pictures.
    if facts.longest is not None:
        longest = min(longest, facts.longest[1])
    for length in range((longest - 1) // 32 * 32, SHORTEST - 1, -32):
        yield {"passage_max_len": length}


def _adapter(recipe: TrainRecipe, _facts: RunFacts) -> Iterator[Changes]:
    if recipe.method == "full":
        yield {"method": "lora"}
    elif recipe.method == "lora" and recipe.quantizable:
        yield {"method": "qlora"}


def _power_below(number: int) -> int:
    """The largest power of two below a number of at least 2."""
    return 1 << ((number - 1).bit_length() - 1)


# What to change in a run that ran out of memory. Kept with its error: ``jobs/suggested.py``.

logger = logging.getLogger(__name__)


def advice(job: Job, workspace: Workspace) -> list[dict[str, Any]]:
    """Suggestions for a training run or measured check that ran out of memory; none where its data
    set or model is gone."""
    try:
        recipe = _training(read_recipe(job.task, job.recipe))
        # Its own name may be taken by now; what is suggested has nothing to do with it.
        recipe, *_ = by_rules(workspace, recipe.model_copy(update={"name": ""}))
        looked = look(workspace, recipe)
    except WorkbenchError as error:
        logger.warning("No settings can be suggested for job %s: %s", job.id, error)
        return []
    found = suggest(
        recipe,
        looked.facts,
        free_memory(looked.facts.gpu),
        adapter=looked.model.base is not None,
    )
    return [one.to_dict() for one in found]


def _training(recipe: Recipe) -> TrainRecipe:
    if isinstance(recipe, MeasureRecipe):
        return recipe.training()
    assert isinstance(recipe, TrainRecipe), f"{recipe.task} trains nothing"
    return recipe
