"""Settings with which a run that ran out of memory would fit, by the estimates of ``memory.py``.

Each keeps the effective batch (batch_size x gradient_accumulation). Those that change least of
what the model learns come first.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from workbench.checks.fitting_words import sentence
from workbench.checks.footing import Footing, is_cached
from workbench.recipes.train import TrainRecipe

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
_CACHED = {"contrastive": "cached-contrastive", "gist": "cached-gist"}

Changes = dict[str, Any]
#: The changes that one setting can bring, the mildest first.
Lever = Callable[[TrainRecipe, Footing], Iterator[Changes]]


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
    recipe: TrainRecipe, footing: Footing, available: int | None, *, adapter: bool = False
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
    budget = _budget(recipe, footing, available)
    found: list[Suggestion] = []
    for ways in [*((lever,) for lever in levers), *combined]:
        if len(found) >= (MOST if len(ways) == 1 else ENOUGH):
            break
        suggested = _mildest(recipe, footing, ways, budget)
        if suggested is not None:
            found.append(suggested)
    return found or _smallest(recipe, footing, [*((lever,) for lever in levers), *combined])


def _budget(recipe: TrainRecipe, footing: Footing, available: int | None) -> float | None:
    """Bytes within which a suggestion shall stay; None where nothing can be estimated."""
    failed = footing.memory(recipe)
    if failed is None:
        return None
    below = LESS * failed.total
    return below if available is None else min(below, ROOM * available)


def _mildest(
    recipe: TrainRecipe, footing: Footing, ways: tuple[Lever, ...], budget: float | None
) -> Suggestion | None:
    """The first combination that fits; the first of all where nothing can be estimated."""
    for changes in _combinations(recipe, footing, ways):
        total = _total(recipe, footing, changes)
        if total is None or budget is None:
            return Suggestion(changes, sentence(recipe, changes, None, fits=None), None, None)
        if total <= budget:
            return Suggestion(changes, sentence(recipe, changes, total, fits=True), total, True)
    return None


def _smallest(
    recipe: TrainRecipe, footing: Footing, all_ways: list[tuple[Lever, ...]]
) -> list[Suggestion]:
    """Where nothing fits by the estimate: what comes nearest."""
    tried: list[tuple[int, Changes]] = []
    for ways in all_ways:
        # A lever's last change is its strongest.
        strongest = deque(_combinations(recipe, footing, ways), maxlen=1)
        for changes in strongest:
            total = _total(recipe, footing, changes)
            if total is not None:
                tried.append((total, changes))
    tried.sort(key=lambda one: one[0])
    return [
        Suggestion(changes, sentence(recipe, changes, total, fits=False), total, False)
        for total, changes in tried[:ENOUGH]
    ]


def _total(recipe: TrainRecipe, footing: Footing, changes: Changes) -> int | None:
    memory = footing.memory(recipe.model_copy(update=changes))
    return None if memory is None else memory.total


def _combinations(
    recipe: TrainRecipe, footing: Footing, ways: tuple[Lever, ...]
) -> Iterator[Changes]:
    """The first lever's changes with each of the next ones'; none where one cannot be pulled."""
    first, rest = ways[0], ways[1:]
    for changes in first(recipe, footing):
        if not rest:
            yield changes
            continue
        changed = recipe.model_copy(update=changes)
        for more in _combinations(changed, footing, rest):
            yield {**changes, **more}


def _cached(recipe: TrainRecipe, _footing: Footing) -> Iterator[Changes]:
    """GradCache: the batch in parts, with the gradients and the negatives of the whole."""
    objective = getattr(recipe, "objective", "")
    size = recipe.batch_size
    if is_cached(recipe):
        # A mini-batch beyond the batch is the batch.
        size = min(size, int(getattr(recipe, "mini_batch_size", size)))
    elif objective not in _CACHED or not getattr(recipe, "in_batch_negatives", True):
        return
    while size > 1:
        size = _power_below(size)
        yield {"objective": _CACHED.get(objective, objective), "mini_batch_size": size}


def _batches(recipe: TrainRecipe, _footing: Footing) -> Iterator[Changes]:
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


def _checkpointing(recipe: TrainRecipe, _footing: Footing) -> Iterator[Changes]:
    # A cached objective computes everything twice as it is.
    if not recipe.gradient_checkpointing and not is_cached(recipe):
        yield {"gradient_checkpointing": True}


def _shorter(recipe: TrainRecipe, footing: Footing) -> Iterator[Changes]:
    """Only lengths that really cut something of the sample's longest document."""
    longest = recipe.passage_max_len
    if recipe.kind == "image-text":
        return  # What takes memory there is pictures.
    if footing.longest is not None:
        longest = min(longest, footing.longest[1])
    for length in range((longest - 1) // 32 * 32, SHORTEST - 1, -32):
        yield {"passage_max_len": length}


def _adapter(recipe: TrainRecipe, _footing: Footing) -> Iterator[Changes]:
    if recipe.method == "full":
        yield {"method": "lora"}
    elif recipe.method == "lora" and recipe.quantizable:
        yield {"method": "qlora"}


def _power_below(number: int) -> int:
    """The largest power of two below a number of at least 2."""
    return 1 << ((number - 1).bit_length() - 1)
