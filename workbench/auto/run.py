"""What a training run decides before it trains the model that is kept: a look at the data, the
schedule's rules, models trained without some queries and measured on them, and the choice.

Each part leaves its result in the job's folder, so that a job that is resumed goes on where it
stood. Worker processes only.
"""

import gc
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from workbench.auto import decisions
from workbench.auto.asked import FOLDER, Asked, Plan, asking, ratios, steps
from workbench.auto.choice import Choice, choose
from workbench.auto.decisions import Decision, Effort
from workbench.auto.fit import Candidate, Floats, Judged, Part, Values, fit, judge, trier
from workbench.auto.folds import Material, Round, groups_of, rounds
from workbench.auto.forecast import expectation
from workbench.auto.halving import Halving, Trains
from workbench.auto.look import Look, warnings
from workbench.comparison import trained
from workbench.comparison.trained import ORIGINAL
from workbench.errors import BadInput
from workbench.mining.rules import MARGIN
from workbench.recipes.decided import DECISIONS, decidable
from workbench.training.dev import BASELINE_FILE
from workbench.training.loop import with_dev
from workbench.training.run import Outcome, Run, Tested, Training, write_json

#: In the run's folder: how much there was time for.
EFFORT = "effort.json"
#: Steps by which the time of one is told, where a person says how long the run may take.
TIMED = 4
ALL_QUERIES = "Training on all queries"
#: Of negatives that a person asks for and the data does not bring.
MINED_BY = (
    "as you set it; the data gives none, so they are mined: documents that the base ranks first, "
    f"at least {MARGIN:.0%} below the relevant ones"
)


@dataclass(frozen=True, slots=True)
class Decided:
    """How to train the model that is kept, and what is known of it by then."""

    run: Run
    decisions: tuple[Decision, ...] = ()
    look: Look | None = None
    #: What the rounds say; None where the run is measured on dev while it trains, or not at all.
    outcome: Outcome | None = None
    #: The share of the trained weights; the rest are the base's.
    blend: float = 1.0
    notes: tuple[str, ...] = ()
    #: What several seeds say together, where there are several.
    seeds: dict[str, Any] | None = None
    #: What the look made one expect (:func:`expectation`).
    forecast: dict[str, float] | None = None
    #: Share of the trained weights (0: the base) -> the metric on the rounds' queries.
    own: Mapping[float, float] = field(default_factory=dict)
    #: What the model is worth on a general data set (:mod:`workbench.auto.forgetting`).
    forgetting: dict[str, Any] | None = None

    def result(self) -> dict[str, Any]:
        """What of it stands in the run's result."""
        found = self.look
        about = {**found.summary(), "warnings": warnings(found)} if found else None
        return {
            "decisions": [one.to_dict() for one in self.decisions],
            **({"look": about} if about else {}),
            **({"forecast": self.forecast} if self.forecast else {}),
            **({"seeds": self.seeds} if self.seeds else {}),
            **({"forgetting": self.forgetting} if self.forgetting else {}),
        }


def decide(run: Run, training: Training) -> Decided:
    """Carry out what the recipe leaves to be decided. ``run`` measures nothing yet; the one that
    is returned is ready to be trained. Raises :class:`JobCancelled`."""
    wanted = run.recipe.decides
    if not wanted:
        return Decided(run)
    began = time.monotonic()
    asked = asking(run, training)
    run = asked.run
    for said in asked.warnings:
        run.context.note(said)
    forecast = _forecast(run, asked.look) if asked.look else None
    ready = _ordered(asked.decisions)
    so_far = Decided(run, ready, asked.look, notes=asked.warnings, forecast=forecast)
    _write(so_far)
    if "max_steps" not in wanted:
        return replace(so_far, run=with_dev(run, training))
    found = _Deciding(run, training, asked, began).decided(so_far)
    return replace(found, forecast=forecast)


def _write(so_far: Decided) -> None:
    """For the page, while the job runs."""
    if so_far.run.group.leads:
        path = so_far.run.context.folder / decisions.SO_FAR
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, so_far.result())


def _forecast(run: Run, look: Look) -> dict[str, float] | None:
    """What the look makes one expect, said once: a job that is resumed keeps its forecast."""
    context = run.context
    if told := decisions.so_far(context.folder).get("forecast"):
        return dict(told)
    found = expectation(context.workspace, run.recipe, look.summary())
    if found:
        context.note(trained.expected({"forecast": found}))
    return found


@dataclass(frozen=True, slots=True)
class _Deciding:
    """What all steps of a decision need. ``began``: when, by the monotonic clock."""

    run: Run
    training: Training
    asked: Asked
    began: float

    def decided(self, so_far: Decided) -> Decided:
        material = Material.of(self.run.reader)
        queries = min(material.training, self.run.recipe.max_rows or material.training)
        settings = self._settings(material, queries)
        recipe = self._set(settings)
        said = _ordered([*self.asked.decisions, *settings, *self._given(recipe, material)])
        _write(replace(so_far, decisions=said))
        folds = decisions.FOLDS if queries < decisions.FOLDED else 1
        planned = rounds(material, folds, recipe.seed)
        effort = self._effort(recipe, material, planned)
        if effort.folds != len(planned):
            planned = rounds(material, effort.folds, recipe.seed)
        settings = self._tried(Plan(recipe, material, planned, effort.share), settings, effort)
        recipe = self._set(settings)
        said = _ordered([*self.asked.decisions, *settings, *self._given(recipe, material)])
        _write(replace(so_far, decisions=said))
        judged, notes = self._judged(Plan(recipe, material, planned, effort.share))
        final = max(1, round(recipe.max_steps * effort.share))
        recipe = recipe.model_copy(update={"max_steps": final})
        after = sum(one.steps for one in judged)
        context = Part(self.run.context, ALL_QUERIES, after, quiet=False, mark=(0, 0))
        everything = material.everything(self.asked.mined(recipe, material))
        run = replace(self.run, recipe=recipe, reader=everything, context=context)
        shortened = _shortened(settings, effort, final)
        made = [*self.asked.decisions, *shortened, *self._given(recipe, material)]
        notes += self.asked.warnings
        look = self.asked.look
        if not judged:
            return Decided(run, _ordered(made), look, self.asked.unmeasured(), 1.0, notes)
        chosen, outcome = _chosen(recipe, material, judged)
        self._on_record(outcome)
        kept, means = Candidate.named(chosen.candidate), _pooled_means(judged, recipe.metric)
        measured = [*self._serving(kept, means), *self._blend(kept, means)]
        ready = [one for one in made if one.name not in {other.name for other in measured}]
        shares = {one.ratio: mean for one, mean in means.items() if one.length == kept.length}
        own = {0.0: outcome.baseline[recipe.metric], **shares}
        contract = run.base.contract.model_copy(update={"passage_max_len": kept.length})
        run = replace(run, base=replace(run.base, contract=contract))
        said = _ordered([*ready, *measured])
        return Decided(run, said, look, outcome, kept.ratio, notes, own=own)

    def _settings(self, material: Material, queries: int) -> list[Decision]:
        """What the rules say, of what they are asked for."""
        recipe, base = self.run.recipe, self.run.base.contract
        wanted = recipe.decides
        given, width = material.with_negatives, self.asked.width
        _, found = decisions.scheduled(recipe, base, queries, given, wanted, width=width)
        if "passage_max_len" not in wanted:
            return found
        return [self.asked.training_length(), *found]

    def _tried(self, plan: Plan, settings: list[Decision], effort: Effort) -> list[Decision]:
        """The same settings, or what trials found, where there is time for them."""
        recipe, folder = plan.recipe, self.run.output / FOLDER

        def judges(part: Round) -> int:
            return self.asked.judges(replace(plan, rounds=[part]), part)

        def trains_on(part: Round, number: int) -> Trains:
            view, sizes = self.asked.view(replace(plan, rounds=[part]), part)
            sized = recipe.model_copy(update={"max_steps": number, **sizes})
            run = replace(self.run, recipe=sized, reader=view, output=folder / "trials")
            return trier(run, self.training)

        halving = Halving(
            recipe,
            settings,
            plan.material,
            plan.rounds,
            effort,
            folder,
            steps=partial(steps, recipe),
            judges=judges,
            trains_on=trains_on,
        )
        return halving.decided()

    def _set(self, settings: list[Decision]) -> Any:
        return self.run.recipe.model_copy(update={one.name: one.value for one in settings})

    def _given(self, recipe: Any, material: Material) -> list[Decision]:
        """What a person decides instead, in the list of decisions."""
        can = decidable(type(recipe))
        names = [name for name in can if name not in recipe.decides and hasattr(recipe, name)]
        why = dict.fromkeys(names, "as you set it")
        if "negatives" in names and material.lacks_negatives(recipe):
            why["negatives"] = MINED_BY
        return [Decision(name, getattr(recipe, name), why[name], "you") for name in names]

    def _effort(self, recipe: Any, material: Material, planned: list[Round]) -> Effort:
        """How much of what is planned there is time for; a job that is resumed does as it did."""
        path = self.run.output / FOLDER / EFFORT
        if recipe.minutes is None:
            return Effort(len(planned), 1.0)
        if path.is_file():
            return Effort(**json.loads(path.read_text(encoding="utf-8")))
        per_step = self._timed(recipe, material)
        left = recipe.minutes * 60 - (time.monotonic() - self.began)
        fold = max((steps(recipe, one) for one in planned), default=0)
        found = decisions.effort(max(left, 0.0), per_step, recipe.max_steps, fold, len(planned))
        write_json(path, asdict(found))
        return found

    def _timed(self, recipe: Any, material: Material) -> float:
        """Seconds that a step takes, by a few of them."""
        folder = self.run.output / FOLDER / "timed"
        context = Part(self.run.context, "Timing a few steps", 0)
        few = recipe.model_copy(update={"max_steps": TIMED})
        everything = material.everything(self.asked.mined(few, material))
        run = replace(self.run, recipe=few, reader=everything, context=context, output=folder)
        fitted = fit(run, self.training, self.training.start(few, run.base))
        self.run.context.forget_metrics_after(-1)
        seconds = fitted.seconds / fitted.steps
        del fitted
        # The trainer and its model stand in circles of references.
        gc.collect()
        return seconds

    def _judged(self, plan: Plan) -> tuple[list[Judged], tuple[str, ...]]:
        """Each round's, from the job's folder where an earlier attempt has finished it."""
        found: list[Judged] = []
        planned, material = plan.rounds, plan.material
        if not planned and len(material.queries) >= decisions.JUDGED:
            return found, self._unmeasured(
                "There is no time to measure within the minutes that you give, so it is not known "
                "whether the trained model is better."
            )
        if not planned:
            return found, self._unmeasured(
                f"With {len(material.queries):,} judged queries outside of test nothing can be "
                "measured, so it is not known whether the trained model is better."
            )
        asked = sum(self.asked.judges(plan, one) for one in planned)
        if asked < decisions.JUDGED:
            return found, self._unmeasured(
                f"Only {asked} judged queries have so few relevant documents that they can be "
                "measured on, so it is not known whether the trained model is better."
            )
        for at in range(len(planned)):
            path = self.run.output / FOLDER / f"round-{at + 1}.npz"
            kept = Judged.read(path)
            if kept is None:
                try:
                    kept = self._judge(plan, at, found)
                except BadInput as error:
                    # A part of the data may be too small for what the whole can be trained on.
                    return [], self._unmeasured(f"Nothing was measured: {error.message}")
                kept.write(path)
                gc.collect()
            found.append(kept)
        return found, ()

    def _on_record(self, outcome: Outcome) -> None:
        """The base's values on the chart: once, however often the job is resumed after this."""
        mark = self.run.output / FOLDER / BASELINE_FILE
        if not mark.is_file():
            self.run.context.metrics(0, "baseline", outcome.baseline)
            write_json(mark, {"baseline": outcome.baseline})

    def _unmeasured(self, why: str) -> tuple[str, ...]:
        self.run.context.note(why)
        return (why,)

    def _judge(self, plan: Plan, at: int, before: list[Judged]) -> Judged:
        one, planned = plan.rounds[at], plan.rounds
        view, sizes = self.asked.view(plan, one)
        name = f"Fold {at + 1} of {len(planned)}" if len(planned) > 1 else "Measuring on a part"
        after = sum(done.steps for done in before)
        context = Part(self.run.context, name, after, mark=(at + 1, len(planned)))
        self.run.context.forget_metrics_after(after if before else -1)
        recipe = plan.recipe.model_copy(update={"max_steps": plan.steps(one), **sizes})
        output = self.run.output / FOLDER / f"round-{at + 1}"
        run = replace(self.run, recipe=recipe, reader=view, context=context, output=output)
        asked = self.asked
        return judge(run, self.training, ratios(asked, recipe), asked.lengths, serves=asked.serves)

    def _serving(self, kept: Candidate, means: Mapping[Candidate, float]) -> list[Decision]:
        """The length that the trained models read best at, where several were compared."""
        lengths = self.asked.serves
        if len(lengths) < 2:
            return []
        tried = ", ".join(
            f"{means[one]:.3f} at {one.length} tokens" for one in means if one.ratio == kept.ratio
        )
        why = f"the trained models' {self.run.recipe.metric} on your queries: {tried}"
        return [Decision("serving_length", kept.length, why, "measured")]

    def _blend(self, kept: Candidate, means: Mapping[Candidate, float]) -> list[Decision]:
        ratio, metric = kept.ratio, self.run.recipe.metric
        if "blend" not in self.run.recipe.decides:
            return []
        if not self.asked.blends:
            why = "the base lacks a part that the trained model has: there is nothing to blend with"
            return [Decision("blend", ratio, why, "rule")]
        tried = ", ".join(
            f"{mean:.3f} at {one.ratio:g}"
            for one, mean in means.items()
            if one.length == kept.length
        )
        why = f"share of the trained weights, the rest being the base's: {metric} {tried}"
        return [Decision("blend", ratio, why, "measured")]


def _shortened(settings: list[Decision], effort: Effort, final: int) -> list[Decision]:
    """The decisions, with the steps that there is time for."""
    if effort.share >= 1.0:
        return settings
    part = f"{effort.share:.0%}"
    why = {
        0: f"{part} of the steps fit into the minutes that you give; nothing is measured",
        1: f"{part} of the steps fit into the minutes that you give; one part is measured on",
    }.get(effort.folds, f"{part} of the steps fit into the minutes that you give")
    return [
        replace(one, value=final, reason=why) if one.name == "max_steps" else one
        for one in settings
    ]


def _ordered(found: list[Decision]) -> tuple[Decision, ...]:
    return tuple(sorted(found, key=lambda one: DECISIONS.index(one.name)))


#: The base at the length that is served, among what has to be beaten.
SERVED = "served"


def _bases(one: Judged) -> dict[str, Values]:
    """What a candidate has to beat: every order that is there without it."""
    base = {SERVED: one.base} if one.base else {}
    lengths = {str(length): found for length, found in one.lengths.items()}
    return {**base, **lengths, **one.orders}


def _pooled(judged: list[Judged], who: Candidate | str, metric: str) -> Floats:
    """The values of the base at a length, or of a candidate, over all rounds' queries."""
    each = [_bases(one)[who] if isinstance(who, str) else one.candidates[who] for one in judged]
    found: Floats = np.concatenate([values[metric] for values in each])
    return found


def _pooled_means(judged: list[Judged], metric: str) -> dict[Candidate, float]:
    """The mean of each candidate over all rounds' queries."""
    return {one: float(_pooled(judged, one, metric).mean()) for one in judged[0].candidates}


def _chosen(recipe: Any, material: Material, judged: list[Judged]) -> tuple[Choice, Outcome]:
    """The candidate, and what the way of choosing it is worth on queries that it did not see."""
    metric = recipe.metric
    places = [np.searchsorted(material.queries, one.queries) for one in judged]
    candidates = judged[0].candidates
    groups = groups_of(material, places, recipe.seed)
    clusters = material.clusters[np.concatenate(places)]
    chosen = choose(
        {name: _pooled(judged, name, metric) for name in _bases(judged[0])},
        {str(one): _pooled(judged, one, metric) for one in candidates},
        groups,
        clusters,
        seed=recipe.seed,
    )
    base = chosen.baseline
    metrics = list(next(iter(candidates.values())))
    before = _means(judged, base, metrics)
    # What is held against other orders has a value of its own, where it could be measured.
    own = base if base not in judged[0].orders else SERVED
    untrained = _means(judged, own, metrics) if judged[0].base else {}
    after = {one: _nested(judged, chosen, groups, one) for one in metrics}
    tested = Tested(chosen.p_value, chosen.ci95, chosen.recommended, chosen.clusters, len(judged))
    queries, documents = len(groups), max(one.documents for one in judged)
    against = base if base in judged[0].orders else ORIGINAL
    return chosen, Outcome(metric, before, untrained, after, against, queries, documents, tested)


def _means(judged: list[Judged], who: str, metrics: list[str]) -> dict[str, float]:
    return {one: float(_pooled(judged, who, one).mean()) for one in metrics}


def _nested(judged: list[Judged], chosen: Choice, groups: Any, metric: str) -> float:
    """The mean of a metric where each group has the candidate that was chosen without it."""
    values = np.zeros(len(groups))
    for group, candidate in chosen.chosen.items():
        values[groups == group] = _pooled(judged, Candidate.named(candidate), metric)[
            groups == group
        ]
    return float(values.mean())
