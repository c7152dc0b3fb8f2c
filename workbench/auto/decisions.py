"""What a run's settings are to be, each with its reason. Torch-free.

Rules where experience is better than measuring once more: how long to train, in which batches, at
which rate. Their constants were found on public sets (docs/experiments.md), and on no person's own.
"""

import json
import math
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from workbench.models.contract import Contract
from workbench.recipes.decided import Schedule
from workbench.recipes.objectives import using

#: A recipe of a kind whose settings can be decided.
R = TypeVar("R", bound=Any)

#: By what a decision was made: a measurement on the data, a rule, or the person.
By = Literal["measured", "rule", "you"]


@dataclass(frozen=True, slots=True)
class Decision:
    """A setting, its value, and the reason in one sentence (or its part, without a full stop)."""

    name: str
    value: int | float | str | bool
    reason: str
    by: By

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


#: In a job's folder while it runs: what it has looked at and decided, as its result will say it.
SO_FAR = Path("output") / "auto" / "so_far.json"


def so_far(folder: Path) -> dict[str, Any]:
    """Of the job in this folder; nothing where it has decided nothing yet, or never does."""
    try:
        return dict(json.loads((folder / SO_FAR).read_text(encoding="utf-8")))
    except OSError:
        return {}


#: How long, and in which batches: of kinds that say nothing else.
USUAL = Schedule()
#: Width of the model's layers, up to which a rate holds for all of its weights.
RATES = ((512, 5e-5), (896, 2e-5))
WIDE_RATE = 1e-5
#: An adapter's optimum lies about ten times higher (Biderman et al. 2024; Schulman 2025).
ADAPTER = 10
#: Decoders, whose adapters are trained far below a width's rate times ten.
DECODER_ADAPTER_RATE = 1e-4
#: The rate of full fine-tuning of decoders.
DECODER_RATE = 1e-5

#: After so many tokens passages are cut in training, though more of them are read later: twice the
#: length takes twice the time, and the folds need that more.
TRAINED_LENGTH = 256

#: Queries below which a difference between models cannot be told from luck.
JUDGED = 20
#: Below so many training queries models are trained without a third of them each, in so many folds.
FOLDED, FOLDS = 2_000, 3
#: Queries that judge where one split is held out: this share, within these bounds.
HELD_OUT, FEWEST_HELD, MOST_HELD = 0.1, 200, 500
#: Shares of the trained weights, the rest being the base's, that are compared: 1 is the trained
#: model itself.
BLENDS = (1.0, 0.5)


def steps(queries: int, batch: int, schedule: Schedule = USUAL) -> int:
    """Optimizer steps of a run over so many training queries, ``batch`` of them to a step."""
    wanted = round(schedule.passes * queries / batch)
    return int(min(schedule.most, max(schedule.fewest, wanted)))


def max_steps(queries: int, batch: int, schedule: Schedule = USUAL) -> Decision:
    """Of the run that trains on everything."""
    found, passes = steps(queries, batch, schedule), schedule.passes * queries / batch
    if found > math.ceil(passes):
        why = f"at least so many, however few the training queries: {queries:,}, by {batch} a step"
    elif found < math.floor(passes):
        why = f"at most so many, however many the training queries: {queries:,}, by {batch} a step"
    else:
        why = (
            f"about {schedule.passes:g} passes over the training queries: {queries:,}, by {batch} "
            "a step"
        )
    return Decision("max_steps", found, why, "rule")


def batch_size(queries: int, schedule: Schedule = USUAL) -> Decision:
    """Small sets learn more from more steps, large ones from more in-batch negatives."""
    size = schedule.batch(queries)
    if not schedule.batches:
        why = "each query comes with documents of its own: more steps of fewer queries"
    elif size < schedule.largest:
        why = f"smaller batches make more steps of {queries:,} training queries"
    else:
        why = f"a larger batch has more in-batch negatives (training queries: {queries:,})"
    return Decision("batch_size", size, why, "rule")


def learning_rate(width: int, *, adapter: bool, decoder: bool) -> Decision:
    """``width``: of the model's layers."""
    if decoder and adapter:
        return Decision("learning_rate", DECODER_ADAPTER_RATE, "for a decoder's adapter", "rule")
    if decoder:
        return Decision("learning_rate", DECODER_RATE, "for all weights of a decoder", "rule")
    value = next((rate for most, rate in RATES if width <= most), WIDE_RATE)
    if adapter:
        why = f"for an adapter, {ADAPTER} times the rate of all weights of a model {width:,} wide"
        return Decision("learning_rate", round(value * ADAPTER, 10), why, "rule")
    return Decision("learning_rate", value, f"for all weights of a model {width:,} wide", "rule")


def negatives(given: int, asked: int) -> Decision:
    """``given``: training queries that bring documents which do not answer them; ``asked``: how
    many a recipe takes of them where it says nothing."""
    if given:
        why = f"training queries that bring documents which do not answer them: {given:,}"
        return Decision("negatives", max(1, asked), why, "rule")
    why = "the data gives none: the other documents of a batch are enough"
    return Decision("negatives", 0, why, "rule")


def found_negatives(given: int, asked: int) -> Decision:
    """Of a kind that needs some, which a first stage finds where the data gives none."""
    if given:
        return negatives(given, asked)
    why = "the data gives none: so many that the first stage finds for each query"
    return Decision("negatives", asked, why, "rule")


def temperature(recipe: Any, contract: Any) -> Decision | None:
    """Of kinds that decide it, where the objective has one: inner products of vectors that keep
    their length are not divided by it, unless a person asks for that."""
    of, objectives = using(recipe.objectives_of, "temperature")
    divides = "temperature" in recipe.decidable and getattr(recipe, of) in objectives()
    if not divides or not contract.normalize:
        return None
    why = "the usual one where texts are compared by cosine"
    return Decision("temperature", recipe.temperature, why, "rule")


def shorter_in_training(found: Decision, serving: int) -> Decision:
    """``found``: what the lengths of the texts ask for, below the ``serving`` length."""
    if int(found.value) <= TRAINED_LENGTH:
        return found
    why = (
        f"read at {serving} later, cut at {TRAINED_LENGTH} in training: that takes half the time "
        "or less, and what is learnt holds for longer texts"
    )
    return Decision(found.name, TRAINED_LENGTH, why, "rule")


def by_rules(recipe: Any, queries: int, contract: Any, *, width: int = 0) -> dict[str, Any]:
    """What the rules alone say of a recipe's fields, before the data is looked at: ``queries`` to
    train on, the base's ``contract``, and its ``width`` as :func:`scheduled` takes it."""
    names = [name for name in RULED if name in recipe.decides and name != "negatives"]
    _, ruled = scheduled(recipe, contract, queries, 0, names, width=width)
    found: dict[str, Any] = {one.name: one.value for one in ruled}
    if "passage_max_len" in recipe.decides:
        found["passage_max_len"] = min(recipe.passage_max_len, contract.passage_max_len)
    return found


def held_out(queries: int) -> int:
    """Queries that judge where one split is held out of so many."""
    return int(min(MOST_HELD, max(FEWEST_HELD, round(HELD_OUT * queries))))


# Within the time that a person gives.


@dataclass(frozen=True, slots=True)
class Effort:
    """How a run is to be carried out: ``folds`` models that are measured (1: one split is held
    out; 0: nothing is measured), and its steps as a share of what the rule wants. ``spare``:
    seconds that are left when all of it is done; ``per_step``: those that a step takes (0 where
    there is no limit, and nothing was timed)."""

    folds: int
    share: float
    spare: float = 0.0
    per_step: float = 0.0


#: Measuring a fold, as a share of the time of its training.
MEASURING = 0.4
#: Measuring the trained model on a general data set takes at most this share of the whole work.
GENERAL = 0.1
#: Steps are cut to this share before folds are given up.
LEAST_SHARE = 0.5


def effort(seconds: float | None, per_step: float, final: int, fold: int, folds: int) -> Effort:
    """``seconds`` are left (None: no limit), ``per_step`` is what a step takes; ``final`` and
    ``fold`` are the steps of the last training and of each fold's."""

    if seconds is None:
        return Effort(folds, 1.0)

    def work(measured: int) -> float:
        return (final + measured * fold * (1 + MEASURING)) * per_step

    def share(measured: int) -> float:
        return min(1.0, seconds / max(work(measured), 1e-9))

    if share(folds) >= LEAST_SHARE or not folds:
        spare = max(0.0, seconds - work(folds) * (1 + GENERAL))
        return Effort(folds, share(folds), spare, per_step)
    # With fewer steps still nothing is measured: something may be learnt all the same.
    measured = 1 if share(1) >= LEAST_SHARE / 2 else 0
    return Effort(measured, share(measured))


# A run's settings by the rules alone, where nothing is measured to decide them.

#: What the rules say something of.
RULED = ("max_steps", "batch_size", "learning_rate", "negatives", "temperature")


def scheduled(
    recipe: R,
    base: Contract,
    queries: int,
    given: int,
    names: Collection[str] = RULED,
    *,
    width: int = 0,
) -> tuple[R, list[Decision]]:
    """The recipe with these settings as the rules have them for so many training queries.
    ``given``: those that bring documents which do not answer them; ``width``: of the base's layers,
    where its contract's vectors are others."""
    schedule = recipe.schedule
    batch = batch_size(queries, schedule)
    size = int(batch.value) if batch.name in names else recipe.batch_size
    wide = width or base.dimensions
    found = [
        max_steps(queries, size * recipe.gradient_accumulation, schedule),
        batch,
        learning_rate(wide, adapter=recipe.method != "full", decoder=base.causal),
    ]
    if recipe.chosen_objective.rows != "teacher":
        # Else it learns the scores of the documents that the data gives.
        rule = found_negatives if recipe.finds_negatives else negatives
        found.append(rule(given, recipe.negatives))
    if divided := temperature(recipe, base):
        found.append(divided)
    ruled = [one for one in found if one.name in names]
    return recipe.model_copy(update={one.name: one.value for one in ruled}), ruled
