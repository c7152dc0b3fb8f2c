"""What a training run decides before it trains the model that is kept: a look at the data, the
schedule's rules, models trained without some queries and measured on them, and the choice.

Each part leaves its result in the job's folder, so that a job that is resumed goes on where it
stood. Worker processes only.
"""

import gc
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from workbench.auto import decisions
from workbench.auto.choice import Choice, choose
from workbench.auto.decisions import Decision, Effort
from workbench.auto.fit import Floats, Judged, Part, Values, fit, judge
from workbench.auto.folds import Material, Round, dealt, groups_of, judges, room, rounds
from workbench.auto.forecast import expectation
from workbench.auto.look import Look, lengths_ahead, serving_length, training_length, warnings
from workbench.auto.take import taken
from workbench.comparison import trained
from workbench.errors import BadInput
from workbench.mining.rules import MARGIN
from workbench.models.contract import Contract
from workbench.recipes.decided import DECISIONS
from workbench.training.dev import BASELINE_FILE, ORIGINAL
from workbench.training.loop import with_dev
from workbench.training.run import Outcome, Run, Tested, Training, write_json

#: In the run's output folder: what was looked at and measured.
FOLDER, LOOK, EFFORT = "auto", "look", "effort.json"
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

    def result(self) -> dict[str, Any]:
        """What of it stands in the run's result."""
        found = self.look
        about = {**found.summary(), "warnings": warnings(found)} if found else None
        return {
            "decisions": [one.to_dict() for one in self.decisions],
            **({"look": about} if about else {}),
            **({"forecast": self.forecast} if self.forecast else {}),
            **({"seeds": self.seeds} if self.seeds else {}),
        }


def decide(run: Run, training: Training) -> Decided:
    """Carry out what the recipe leaves to be decided. ``run`` measures nothing yet; the one that
    is returned is ready to be trained. Raises :class:`JobCancelled`."""
    wanted = run.recipe.decides
    if not wanted:
        return Decided(run)
    began = time.monotonic()
    look = look_of(run, training)
    start = training.start(run.recipe, run.base)
    serving = _serving(look, start, wanted)
    served = start.model_copy(update={"passage_max_len": int(serving.value)})
    run = replace(run, base=replace(run.base, contract=served))
    for said in warnings(look):
        run.context.note(said)
    forecast = _forecast(run, look)
    so_far = Decided(run, (serving,), look, notes=tuple(warnings(look)), forecast=forecast)
    _write(so_far)
    if "max_steps" not in wanted:
        return replace(so_far, run=with_dev(run, training))
    found = _Deciding(run, training, look, serving, began).decided(so_far)
    return replace(found, forecast=forecast)


def _write(so_far: Decided) -> None:
    """For the page, while the job runs."""
    if so_far.run.group.leads:
        write_json(so_far.run.context.folder / decisions.SO_FAR, so_far.result())


def _forecast(run: Run, look: Look) -> dict[str, float] | None:
    """What the look makes one expect, said once: a job that is resumed keeps its forecast."""
    context = run.context
    if told := decisions.so_far(context.folder).get("forecast"):
        return dict(told)
    found = expectation(context.workspace, run.recipe, look.summary())
    if found:
        context.note(trained.expected({"forecast": found}))
    return found


def look_of(run: Run, training: Training) -> Look:
    """The look at the data: the job's own, one kept of an earlier job, or a new one."""
    context, recipe = run.context, run.recipe
    start = training.start(recipe, run.base)

    def progress(done: int, total: int, what: str) -> None:
        context.progress(done, total, "texts", f"Looking at the data: {what}")

    return taken(
        run.reader,
        lambda: run.load(run.base, start),
        run.base,
        start,
        home=context.workspace.home,
        dataset_id=context.workspace.datasets.get(recipe.dataset).id,
        folder=run.output / FOLDER / LOOK,
        seed=recipe.seed,
        exclude=recipe.exclude_query_document,
        progress=progress,
        stop=context.check_cancelled,
    )


def _serving(look: Look, start: Contract, wanted: tuple[str, ...]) -> Decision:
    if "serving_length" in wanted:
        return serving_length(look)
    why = "the model's own length"
    return Decision("serving_length", start.passage_max_len, why, "you")


@dataclass(frozen=True, slots=True)
class _Deciding:
    """What all steps of a decision need. ``began``: when, by the monotonic clock."""

    run: Run
    training: Training
    look: Look
    serving: Decision
    began: float

    def decided(self, so_far: Decided) -> Decided:
        material = Material.of(self.run.reader)
        queries = min(material.training, self.run.recipe.max_rows or material.training)
        settings = self._settings(material, queries)
        recipe = self._set(settings)
        said = _ordered([self.serving, *settings, *self._given(recipe, material)])
        _write(replace(so_far, decisions=said))
        folds = decisions.FOLDS if queries < decisions.FOLDED else 1
        planned = rounds(material, folds, recipe.seed)
        effort = self._effort(recipe, material, planned)
        if effort.folds != len(planned):
            planned = rounds(material, effort.folds, recipe.seed)
        judged, notes = self._judged(recipe, material, planned, effort.share)
        final = max(1, round(recipe.max_steps * effort.share))
        recipe = recipe.model_copy(update={"max_steps": final})
        after = sum(one.steps for one in judged)
        context = Part(self.run.context, ALL_QUERIES, after, quiet=False)
        everything = material.everything(self._mined(recipe, material))
        run = replace(self.run, recipe=recipe, reader=everything, context=context)
        made = [self.serving, *_shortened(settings, effort, final), *self._given(recipe, material)]
        notes += tuple(warnings(self.look))
        if not judged:
            return Decided(
                run, _ordered(made), self.look, Outcome.unmeasured(recipe.metric), 1.0, notes
            )
        chosen, outcome = _chosen(recipe, material, judged)
        self._on_record(outcome)
        blend, ratio = _blend(chosen, judged, recipe.metric, "blend" in recipe.decides)
        return Decided(run, _ordered([*made, *blend]), self.look, outcome, ratio, notes)

    def _settings(self, material: Material, queries: int) -> list[Decision]:
        """What the rules say, of what they are asked for."""
        recipe, base = self.run.recipe, self.run.base.contract
        wanted = recipe.decides
        _, found = decisions.scheduled(recipe, base, queries, material.with_negatives, wanted)
        if "passage_max_len" not in wanted:
            return found
        serving = int(self.serving.value)
        length = training_length(self.look, serving)
        return [decisions.shorter_in_training(length, serving), *found]

    def _set(self, settings: list[Decision]) -> Any:
        return self.run.recipe.model_copy(update={one.name: one.value for one in settings})

    def _given(self, recipe: Any, material: Material) -> list[Decision]:
        """What a person decides instead, in the list of decisions."""
        names = [name for name in DECISIONS if name not in recipe.decides and hasattr(recipe, name)]
        why = dict.fromkeys(names, "as you set it")
        if "negatives" in names and material.lacks_negatives(recipe):
            why["negatives"] = MINED_BY
        return [Decision(name, getattr(recipe, name), why[name], "you") for name in names]

    def _mined(self, recipe: Any, material: Material) -> Mapping[int, Any]:
        """Query -> negatives that the look found, where they are asked for and not given."""
        return self.look.mined if material.lacks_negatives(recipe) else {}

    def _effort(self, recipe: Any, material: Material, planned: list[Round]) -> Effort:
        """How much of what is planned there is time for; a job that is resumed does as it did."""
        path = self.run.output / FOLDER / EFFORT
        if recipe.minutes is None:
            return Effort(len(planned), 1.0)
        if path.is_file():
            return Effort(**json.loads(path.read_text(encoding="utf-8")))
        per_step = self._timed(recipe, material)
        left = recipe.minutes * 60 - (time.monotonic() - self.began)
        fold = max((_steps(recipe, one) for one in planned), default=0)
        found = decisions.effort(max(left, 0.0), per_step, recipe.max_steps, fold, len(planned))
        write_json(path, {"folds": found.folds, "share": found.share})
        return found

    def _timed(self, recipe: Any, material: Material) -> float:
        """Seconds that a step takes, by a few of them."""
        folder = self.run.output / FOLDER / "timed"
        context = Part(self.run.context, "Timing a few steps", 0)
        few = recipe.model_copy(update={"max_steps": TIMED})
        everything = material.everything(self._mined(few, material))
        run = replace(self.run, recipe=few, reader=everything, context=context, output=folder)
        fitted = fit(run, self.training, self.training.start(few, run.base))
        self.run.context.forget_metrics_after(-1)
        seconds = fitted.seconds / fitted.steps
        del fitted
        # The trainer and its model stand in circles of references.
        gc.collect()
        return seconds

    def _judged(
        self, recipe: Any, material: Material, planned: list[Round], share: float
    ) -> tuple[list[Judged], tuple[str, ...]]:
        """Each round's, from the job's folder where an earlier attempt has finished it."""
        found: list[Judged] = []
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
        asked = sum(
            len(judges(material, one, self._room(recipe, one, share), recipe.seed))
            for one in planned
        )
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
                    kept = self._judge(recipe, material, planned, at, share, found)
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

    def _judge(
        self,
        recipe: Any,
        material: Material,
        planned: list[Round],
        at: int,
        share: float,
        before: list[Judged],
    ) -> Judged:
        one = planned[at]
        steps = _part(recipe, one, share)
        most = self._room(recipe, one, share)
        mined = self._mined(recipe, material)
        view, documents = dealt(material, one, self.look.words, most, recipe.seed, mined)
        name = f"Fold {at + 1} of {len(planned)}" if len(planned) > 1 else "Measuring on a part"
        after = sum(done.steps for done in before)
        context = Part(self.run.context, name, after)
        self.run.context.forget_metrics_after(after if before else -1)
        sized = recipe.model_copy(
            update={"max_steps": steps, "dev_queries": None, "dev_documents": documents}
        )
        output = self.run.output / FOLDER / f"round-{at + 1}"
        run = replace(self.run, recipe=sized, reader=view, context=context, output=output)
        return judge(run, self.training, _ratios(recipe), self._lengths())

    def _lengths(self) -> list[int]:
        """Where the base is measured beside the serving length."""
        return lengths_ahead(self.look, int(self.serving.value))

    def _room(self, recipe: Any, one: Round, share: float) -> int:
        """How many documents a round may search."""
        longer = int(self.serving.value) / max(recipe.passage_max_len, 1)
        steps, measured = _part(recipe, one, share), 1 + len(_ratios(recipe)) + len(self._lengths())
        return room(steps, recipe.batch_size * recipe.gradient_accumulation, longer, measured)


def _ratios(recipe: Any) -> tuple[float, ...]:
    return decisions.BLENDS if "blend" in recipe.decides else (1.0,)


def _part(recipe: Any, one: Round, share: float) -> int:
    """The round's steps, as far as there is time for them."""
    return max(1, round(_steps(recipe, one) * share))


def _steps(recipe: Any, one: Round) -> int:
    """Of a round's training, by the rule that the run's own steps follow."""
    queries = min(len(one.train), recipe.max_rows or len(one.train))
    return decisions.steps(queries, recipe.batch_size * recipe.gradient_accumulation)


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


#: The base at the length that is served, among what it is at others.
SERVED = "served"


def _bases(one: Judged) -> dict[str, Values]:
    return {SERVED: one.base, **{str(length): found for length, found in one.lengths.items()}}


def _pooled(judged: list[Judged], who: float | str, metric: str) -> Floats:
    """The values of the base at a length, or of a candidate, over all rounds' queries."""
    each = [_bases(one)[who] if isinstance(who, str) else one.candidates[who] for one in judged]
    found: Floats = np.concatenate([values[metric] for values in each])
    return found


def _chosen(recipe: Any, material: Material, judged: list[Judged]) -> tuple[Choice, Outcome]:
    """The candidate, and what the way of choosing it is worth on queries that it did not see."""
    metric = recipe.metric
    places = [np.searchsorted(material.queries, one.queries) for one in judged]
    ratios = list(judged[0].candidates)
    groups = groups_of(material, places, recipe.seed)
    clusters = material.clusters[np.concatenate(places)]
    chosen = choose(
        {name: _pooled(judged, name, metric) for name in _bases(judged[0])},
        {str(ratio): _pooled(judged, ratio, metric) for ratio in ratios},
        groups,
        clusters,
        seed=recipe.seed,
    )
    base = chosen.baseline
    before = {one: float(_pooled(judged, base, one).mean()) for one in judged[0].base}
    after = {one: _nested(judged, chosen, groups, one) for one in judged[0].base}
    tested = Tested(chosen.p_value, chosen.ci95, chosen.recommended, chosen.clusters, len(judged))
    queries, documents = len(groups), max(one.documents for one in judged)
    return chosen, Outcome(metric, before, before, after, ORIGINAL, queries, documents, tested)


def _nested(judged: list[Judged], chosen: Choice, groups: Any, metric: str) -> float:
    """The mean of a metric where each group has the candidate that was chosen without it."""
    values = np.zeros(len(groups))
    for group, candidate in chosen.chosen.items():
        values[groups == group] = _pooled(judged, float(candidate), metric)[groups == group]
    return float(values.mean())


def _blend(
    chosen: Choice, judged: list[Judged], metric: str, wanted: bool
) -> tuple[list[Decision], float]:
    ratio = float(chosen.candidate)
    if not wanted:
        return [], ratio
    tried = ", ".join(
        f"{_pooled(judged, one, metric).mean():.3f} at {one:g}" for one in judged[0].candidates
    )
    why = f"share of the trained weights, the rest being the base's: {metric} {tried}"
    return [Decision("blend", ratio, why, "measured")], ratio
