"""Settings that are found by trying them, where a person gives a run time. Torch-free.

Successive halving: every trial is measured early, and of those that got so far the better half is
trained on (Jamieson & Talwalkar, AISTATS 2016; one trial after the other, as in Li et al., MLSys
2020, by Optuna's pruner). The first trial has the rules' settings and is trained to the end.

Two queries must not be mixed up: those by which settings are chosen, and those by which the run
judges whether the model is better than the base. Settings are chosen by a part of the *training*
queries, which no trial is trained on. So what judges is new to the model that was chosen, and the
test holds as it is. That takes enough queries for both and for training, which is where one split
judges (2,000 training queries). With fewer there are folds, each of which would have to choose
for itself by the few queries that it trains on: three times the trials, to tell by a third of the
queries what cannot be told by all.

What a person set is never tried; nor is what changes what a person gets, or what a base is: a
whole model or an adapter, pooling, prompts.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from workbench.auto import decisions
from workbench.auto.decisions import Decision, Effort
from workbench.auto.folds import Material, Round, choosing
from workbench.errors import BadInput, TrainingDiverged
from workbench.jobs.files import write_json

#: In the job's folder of what is measured: the trials.
FILE = "halving.json"
#: Shares of a trial's steps after which it is measured, each twice the one before: the pruner's own
#: rungs.
RUNGS = (0.25, 0.5, 1.0)
#: One of so many trials goes on to the next rung.
FACTOR = 2
#: Queries by which settings are chosen: below the first number no difference can be told.
CHOOSING, MOST_CHOOSING = 300, 500
#: Trials that are worth beginning, and how many there are at most.
FEWEST, MOST = 4, 18
#: Times the rule's learning rate, the likelier one first.
RATES = (2.0, 0.5)
TEMPERATURES = (0.02, 0.1)
#: Other settings are taken if they are ahead of the rules' by so much: the rules were found on
#: several public sets, and these on one part of one.
AHEAD = 0.005

Value = int | float
Settings = dict[str, Value]
#: For each setting the values that are tried, the rule's first.
Space = Mapping[str, tuple[Value, ...]]
#: Is told what a trial is worth after a rung, and says whether it is trained on.
GoesOn = Callable[[float], bool]
#: Trains with these settings; measures after each of these steps; says by this name how far it is.
Trains = Callable[[Settings, tuple[int, ...], str, GoesOn], None]


@dataclass(frozen=True, slots=True)
class Tried:
    """A trial: what it was worth after each rung that it reached, and how long it took."""

    settings: Settings
    values: tuple[float, ...]
    seconds: float
    #: Why its training failed.
    failed: str = ""

    @property
    def ended(self) -> bool:
        return len(self.values) == len(RUNGS) and not self.failed


@dataclass(frozen=True, slots=True)
class Plan:
    """``trials`` at most, in so many ``seconds`` in all; each of so many ``steps``."""

    trials: int
    seconds: float
    #: What a trial that is trained to the end is thought to take.
    whole: float
    steps: int

    @property
    def rungs(self) -> tuple[int, ...]:
        return tuple(max(1, round(self.steps * share)) for share in RUNGS)


def space(recipe: Any, settings: Sequence[Decision]) -> dict[str, tuple[Value, ...]]:
    """What is tried of what rules say of ``settings``."""
    found: dict[str, tuple[Value, ...]] = {}
    for one in settings:
        if one.by != "rule" or isinstance(one.value, str | bool):
            continue
        value = one.value
        if one.name == "learning_rate":
            found[one.name] = (value, *(float(f"{value * times:.3g}") for times in RATES))
        elif one.name == "temperature":
            found[one.name] = (value, *(other for other in TEMPERATURES if other != value))
        elif one.name == "negatives" and value and recipe.in_batch:
            found[one.name] = (value, 0)
    return found


def planned(effort: Effort, steps: int, tried: Space) -> Plan | None:
    """What the time that is left pays for; None where that is too little to find anything.

    About half of the trials go on from each rung, so that each takes about half of a whole one.
    """
    whole = steps * effort.per_step * (1 + decisions.MEASURING)
    different = int(np.prod([len(values) for values in tried.values()]))
    if whole <= 0 or effort.spare < whole:
        return None
    each = RUNGS[0] + sum(
        (after - before) / FACTOR**at for at, (before, after) in enumerate(pairwise(RUNGS), start=1)
    )
    paid = 1 + int((effort.spare - whole) / (each * whole))
    trials = min(paid, different, MOST)
    return Plan(trials, effort.spare, whole, steps) if trials >= FEWEST else None


def upcoming(tried: Space, before: Sequence[Tried], seed: int) -> Settings:
    """The next trial's: the rules', each change alone, all changes together that were ahead of the
    rules after the first rung, then the others by chance. ``before``: the trials so far."""
    rules = {name: values[0] for name, values in tried.items()}
    alone = [{**rules, name: value} for name, values in tried.items() for value in values[1:]]
    first = [rules, *alone]
    if len(before) < len(first):
        return first[len(before)]
    done = [one.settings for one in before]
    every = [dict(zip(tried, values, strict=True)) for values in product(*tried.values())]
    others = [every[at] for at in np.random.default_rng(seed).permutation(len(every))]
    together = _together(rules, before[: len(first)])
    return next(one for one in (together, *others) if one not in done)


def _together(rules: Settings, alone: Sequence[Tried]) -> Settings:
    """The best change of each setting, where it was ahead of the rules after the first rung."""
    found, best = dict(rules), dict[str, float]()
    early = [-np.inf if one.failed else one.values[0] for one in alone]
    for one, worth in zip(alone[1:], early[1:], strict=True):
        ((name, value),) = one.settings.items() - rules.items()
        if worth > best.get(name, early[0]):
            found[name], best[name] = value, worth
    return found


@dataclass(frozen=True, slots=True)
class Search:
    """Trials one after the other. What is finished is handed to ``keep``, and what an earlier
    attempt ``kept`` is not trained again: everything comes out as it did there."""

    space: Space
    plan: Plan
    seed: int
    kept: Sequence[Tried]
    keep: Callable[[Sequence[Tried]], None]
    clock: Callable[[], float] = time.monotonic

    def run(self, trains: Trains) -> list[Tried]:
        """Raises :class:`JobCancelled`, and what training raises beside not learning."""
        study, found = _study(self.seed), list[Tried]()
        while len(found) < self.plan.trials and self._pays(found):
            settings = upcoming(self.space, found, self.seed)
            kept = self.kept[len(found)] if len(found) < len(self.kept) else None
            study.enqueue_trial(settings)
            trial = study.ask(
                {
                    name: optuna.distributions.CategoricalDistribution(values)
                    for name, values in self.space.items()
                }
            )
            if kept and kept.settings == settings:
                _again(trial, kept)
                found.append(kept)
            else:
                found.append(self._try(trial, settings, len(found) + 1, trains))
                self.keep(found)
            _tell(study, trial, found[-1])
        return found

    def _pays(self, found: Sequence[Tried]) -> bool:
        """Whether a trial can be trained to the end in the time that is left, by what those before
        it took."""
        left = self.plan.seconds - sum(one.seconds for one in found)
        steps = sum(RUNGS[len(one.values) - 1] for one in found if one.values)
        took = sum(one.seconds for one in found if one.values)
        return left >= (took / steps if steps else self.plan.whole)

    def _try(self, trial: optuna.Trial, settings: Settings, number: int, trains: Trains) -> Tried:
        values: list[float] = []

        def goes_on(value: float) -> bool:
            values.append(value)
            return _goes_on(trial, values)

        name = f"Trying settings: {number} of {self.plan.trials}"
        began, failed = self.clock(), ""
        try:
            trains(settings, self.plan.rungs, name, goes_on)
        except (TrainingDiverged, BadInput) as error:
            failed = error.message
        return Tried(settings, tuple(values), self.clock() - began, failed)


def _study(seed: int) -> optuna.Study:
    # What it has to say goes into the job's log with everything else, and only if it is a warning.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=FACTOR)
    # Which settings come next is decided above; the sampler has nothing to draw.
    sampler = optuna.samplers.RandomSampler(seed)
    return optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)


def _goes_on(trial: optuna.Trial, values: Sequence[float]) -> bool:
    """Tell the study what the trial is worth by now; whether it is among the better half."""
    trial.report(values[-1], FACTOR ** (len(values) - 1))
    return len(values) == len(RUNGS) or not trial.should_prune()


def _again(trial: optuna.Trial, kept: Tried) -> None:
    for at in range(len(kept.values)):
        _goes_on(trial, kept.values[: at + 1])


def _tell(study: optuna.Study, trial: optuna.Trial, one: Tried) -> None:
    if one.ended:
        study.tell(trial, one.values[-1])
        return
    state = optuna.trial.TrialState.FAIL if one.failed else optuna.trial.TrialState.PRUNED
    study.tell(trial, state=state)


def best(tried: Sequence[Tried]) -> Tried | None:
    """Of the trials that were trained to the end: the rules', which is the first, unless another is
    ahead of it by more than a little. None where none was."""
    ended = [one for one in tried if one.ended]
    if not ended:
        return None
    found = max(ended, key=lambda one: one.values[-1])
    rules = tried[0]
    if rules.ended and found.values[-1] < rules.values[-1] + AHEAD:
        return rules
    return found


def decided(
    settings: Sequence[Decision], tried: Sequence[Tried], metric: str, queries: int
) -> list[Decision]:
    """The settings, with what the trials say of those that were tried."""
    found = best(tried)
    if found is None:
        return list(settings)
    rules = tried[0]
    ended = sum(one.ended for one in tried)
    trials = f"{len(tried)} trials, {ended} trained to the end"
    reached = f"{metric} {found.values[-1]:.3f} on {queries}"
    changed = {name for name, value in found.settings.items() if value != rules.settings[name]}

    def why(one: Decision) -> str:
        if not changed:
            return (
                f"{reached} queries with the rules' settings; none was ahead by {AHEAD:g}; {trials}"
            )
        if one.name not in changed:
            return f"{reached} queries with this one as the rule has it, others changed; {trials}"
        if not rules.ended:
            return f"{reached} queries; with {one.value:g} nothing was learnt; {trials}"
        against = f"{rules.values[-1]:.3f} with {one.value:g}"
        if len(changed) > 1:
            return f"{reached} queries against {against} and the rules' other settings; {trials}"
        return f"{reached} queries against {against}; {trials}"

    return [
        replace(one, value=found.settings[one.name], reason=why(one), by="measured")
        if one.name in found.settings
        else one
        for one in settings
    ]


# Within a run: by which queries, and where it is kept.


@dataclass(frozen=True, slots=True)
class Halving:
    """What a run has decided by rules, and what it decides by: its rounds (``planned``), and of a
    round how many ``steps`` it takes, how many of its queries can be judged, and what trains on it,
    in so many steps. ``folder``: where trials are kept."""

    recipe: Any
    settings: Sequence[Decision]
    material: Material
    planned: Sequence[Round]
    effort: Effort
    folder: Path
    steps: Callable[[Round], int]
    judges: Callable[[Round], int]
    trains_on: Callable[[Round, int], Trains]
    clock: Callable[[], float] = time.monotonic

    def decided(self) -> list[Decision]:
        """The settings, found by trying where there are time and queries for it; else as they were.
        Raises as :meth:`Search.run`."""
        tried = space(self.recipe, self.settings)
        if len(self.planned) != 1 or not tried or not self.effort.spare:
            return list(self.settings)
        (judging,), seed = self.planned, self.recipe.seed
        wanted = np.clip(decisions.HELD_OUT * len(judging.train), CHOOSING, MOST_CHOOSING)
        part = choosing(self.material, judging, int(wanted), seed)
        queries = self.judges(part)
        plan = planned(self.effort, self.steps(part), tried)
        if plan is None or queries < CHOOSING:
            return list(self.settings)
        path = self.folder / FILE
        plan, kept = _kept(path) or (plan, ())

        def keep(trials: Sequence[Tried]) -> None:
            each = [asdict(one) for one in trials]
            write_json(path, {"plan": asdict(plan), "queries": queries, "trials": each})

        search = Search(tried, plan, seed, kept, keep, self.clock)
        found = search.run(self.trains_on(part, plan.steps))
        return decided(self.settings, found, self.recipe.metric, queries)


def _kept(path: Path) -> tuple[Plan, list[Tried]] | None:
    """What an earlier attempt planned, and its finished trials."""
    if not path.is_file():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    trials = [Tried(**{**one, "values": tuple(one["values"])}) for one in content["trials"]]
    return Plan(**content["plan"]), trials
