"""What a run's rounds ask, and of what: where kinds of models differ in what they decide by.

Kinds that find documents by themselves are looked at first, search a few hundred documents, and
have to beat the base at its best length. Kinds that put candidates in order are judged on what the
first stage finds for the very same queries, frozen before anything is trained. They have to beat
its order, and the base where that is a model of their kind already.

Worker processes only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from workbench.auto import decisions
from workbench.auto.decisions import Decision
from workbench.auto.folds import (
    MEASURED,
    TRAINED,
    Dealt,
    Ints,
    Material,
    Round,
    dealt,
    judges,
    room,
)
from workbench.auto.look import (
    Look,
    length_for,
    lengths_ahead,
    serving_length,
    training_length,
    warnings,
)
from workbench.auto.outlook import Outlook, outlook
from workbench.auto.take import taken
from workbench.checks.memory_estimate import read_shape
from workbench.models.contract import Contract
from workbench.training.budget import LEAST_CANDIDATES
from workbench.training.run import Outcome, Run, Training

#: In the run's output folder: what was looked at and measured.
FOLDER, LOOK = "auto", "look"
#: What is used instead of a model that orders candidates and could not be measured.
FIRST_STAGE = "the first stage"


@dataclass(frozen=True, slots=True)
class Plan:
    """The rounds of a run, what the model is trained by, and how much of a round's steps there is
    time for."""

    recipe: Any
    material: Material
    rounds: list[Round]
    share: float = 1.0

    def steps(self, one: Round) -> int:
        """Of a round's training."""
        return max(1, round(steps(self.recipe, one) * self.share))

    @property
    def batch(self) -> int:
        """Training rows to a step."""
        return int(self.recipe.batch_size * self.recipe.gradient_accumulation)


def steps(recipe: Any, one: Round) -> int:
    """Of a round's training, by the rule that the run's own steps follow."""
    queries = min(len(one.train), recipe.max_rows or len(one.train))
    batch = recipe.batch_size * recipe.gradient_accumulation
    return decisions.steps(queries, batch, recipe.schedule)


class Asked(Protocol):
    """What one kind brings."""

    @property
    def run(self) -> Run:
        """The run as it goes on: its base may be used otherwise than it was."""
        ...

    @property
    def look(self) -> Look | None:
        """None of kinds that are not looked at."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences that a person should know before training."""
        ...

    @property
    def decisions(self) -> list[Decision]:
        """What is decided before anything is trained."""
        ...

    @property
    def width(self) -> int:
        """Of the base's layers, where its contract does not say it; else 0."""
        ...

    @property
    def lengths(self) -> list[int]:
        """Other lengths of passages at which the base has to be beaten."""
        ...

    @property
    def serves(self) -> list[int]:
        """Lengths of passages that the trained model may be served at, the present one first."""
        ...

    @property
    def blends(self) -> bool:
        """Whether a share of the base's weights means anything: it has all that the trained model
        has."""
        ...

    def training_length(self) -> Decision:
        """After how many tokens passages are cut in training."""
        ...

    def judges(self, plan: Plan, one: Round) -> int:
        """How many of a round's queries judge."""
        ...

    def view(self, plan: Plan, one: Round) -> tuple[Dealt, dict[str, Any]]:
        """The data set as a round sees it, and the recipe's fields that say how much is asked."""
        ...

    def mined(self, recipe: Any, material: Material) -> Mapping[int, Ints]:
        """Query -> negatives that the look found, where they are asked for and not given."""
        ...

    def unmeasured(self) -> Outcome:
        """Of a run without queries to judge by."""
        ...


def asking(run: Run, training: Training) -> Asked:
    """What the run's kind asks; the look is taken here. Raises :class:`JobCancelled`."""
    if run.recipe.model_kind.first_stage:
        return Searching(run, training)
    return Ordering(run, training)


def look_of(run: Run, training: Training) -> Look:
    """The look at the data: the job's own, one kept of an earlier job, or a new one."""
    context, recipe = run.context, run.recipe
    start = training.start(recipe, run.base)

    def progress(done: int, total: int, what: str) -> None:
        context.progress(done, total, "texts", f"Looking at the data: {what}")

    def look() -> Look:
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

    # One of several processes takes and writes it, for all.
    return run.group.tell(look)


class Searching:
    """Kinds that find documents by themselves."""

    width = 0
    blends = True

    def __init__(self, run: Run, training: Training) -> None:
        self.look = look_of(run, training)
        start = training.start(run.recipe, run.base)
        serving = _serving(self.look, start, run.recipe.decides)
        self.serving = int(serving.value)
        served = start.model_copy(update={"passage_max_len": self.serving})
        self.run = replace(run, base=replace(run.base, contract=served))
        self.warnings = tuple(warnings(self.look))
        self.decisions = [serving]
        ahead = lengths_ahead(self.look, self.serving)
        # What is best for the base need not be best for what is trained from it. Where the base
        # stays at its own length, what is ahead of it by chance is not worth a dearer search.
        self.serves = list(dict.fromkeys((self.serving, self.look.own)))
        self.lengths = sorted({*ahead, *self.serves[1:]})

    def training_length(self) -> Decision:
        serving = max(self.serves)
        found = training_length(self.look, serving)
        return decisions.shorter_in_training(found, serving)

    def judges(self, plan: Plan, one: Round) -> int:
        return len(judges(plan.material, one, self._room(plan, one), plan.recipe.seed))

    def view(self, plan: Plan, one: Round) -> tuple[Dealt, dict[str, Any]]:
        most = self._room(plan, one)
        mined = self.mined(plan.recipe, plan.material)
        view, documents = dealt(plan.material, one, self.look.words, most, plan.recipe.seed, mined)
        return view, {"dev_queries": None, "dev_documents": documents}

    def mined(self, recipe: Any, material: Material) -> Mapping[int, Ints]:
        return self.look.mined if material.lacks_negatives(recipe) else {}

    def unmeasured(self) -> Outcome:
        return Outcome.unmeasured(self.run.recipe.metric)

    def _room(self, plan: Plan, one: Round) -> int:
        """How many documents a round may search."""
        longer = max(self.serves) / max(plan.recipe.passage_max_len, 1)
        trained = len(ratios(self, plan.recipe)) * len(self.serves)
        measured = 1 + len(self.lengths) + trained
        return room(plan.steps(one), plan.batch, longer, measured)


def ratios(asked: Asked, recipe: Any) -> tuple[float, ...]:
    """The shares of the trained weights that are compared."""
    return decisions.BLENDS if asked.blends and "blend" in recipe.decides else (1.0,)


def _serving(look: Look, start: Contract, wanted: tuple[str, ...]) -> Decision:
    if "serving_length" in wanted:
        return serving_length(look)
    why = "the model's own length"
    return Decision("serving_length", start.passage_max_len, why, "you")


class Ordering:
    """Kinds that put the candidates of a first stage in order."""

    look: Look | None = None

    def __init__(self, run: Run, training: Training) -> None:
        self.run = run
        self.start = training.start(run.recipe, run.base)
        self.blends = training.brings(run.recipe, run.base)
        shape = read_shape(run.base.folder)
        self.width = shape.hidden if shape else 0
        self.decisions: list[Decision] = []
        self.lengths: list[int] = []
        self.serves = [self.start.passage_max_len]

    @cached_property
    def outlook(self) -> Outlook:
        """The torch-free part of a look."""
        self.run.context.progress(0, None, "", "Looking at the data")
        return outlook(self.run.reader, self.run.base, self.start, self.run.recipe.seed)

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self.outlook.warnings())

    def training_length(self) -> Decision:
        serving = self.start.passage_max_len
        found = length_for(self.outlook.document_tokens, serving)
        return decisions.shorter_in_training(found, serving)

    def judges(self, plan: Plan, one: Round) -> int:
        return self._sizes(plan, one)[0]

    def view(self, plan: Plan, one: Round) -> tuple[Dealt, dict[str, Any]]:
        material = plan.material
        view = Dealt(material.reader, material.queries[one.train], material.queries[one.judge])
        queries, candidates = self._sizes(plan, one)
        return view, {"dev_queries": queries, "candidates": candidates}

    def mined(self, recipe: Any, material: Material) -> Mapping[int, Ints]:  # noqa: ARG002
        """None: a reranker's first stage finds them, and late interaction takes what is given."""
        return {}

    def unmeasured(self) -> Outcome:
        instead = "" if self.blends else FIRST_STAGE
        return Outcome.unmeasured(self.run.recipe.metric, instead)

    def _sizes(self, plan: Plan, one: Round) -> tuple[int, int]:
        """How many of a round's queries judge, and how many candidates of each are put in order;
        of these all rounds have as many, since they are held against one first stage."""
        least = min(self._candidates(plan, each) for each in plan.rounds)
        candidates = plan.recipe.candidates or least
        wanted = min(len(one.judge), plan.recipe.dev_queries or len(one.judge))
        read = self._read(plan, one)
        if self._all_fit(plan, read):
            return wanted, candidates
        return min(wanted, max(decisions.JUDGED, read // candidates)), candidates

    def _candidates(self, plan: Plan, one: Round) -> int:
        most, read = plan.recipe.most_candidates, self._read(plan, one)
        if self._all_fit(plan, read):
            return int(most)
        return int(np.clip(read // len(one.judge), LEAST_CANDIDATES, most))

    def _all_fit(self, plan: Plan, read: int) -> bool:
        """Whether every document could be read: a model that reads each of them alone reads it
        once, whoever's candidate it is."""
        documents = int(plan.material.reader.counts["documents"])
        return not plan.recipe.model_kind.reads_pairs and documents <= read

    def _read(self, plan: Plan, one: Round) -> int:
        """How many documents may be read for each model that is measured."""
        trained = plan.steps(one) * plan.batch * (1 + plan.recipe.negatives) * TRAINED
        measured = len(ratios(self, plan.recipe)) + int(self.blends)
        return int(MEASURED * trained / (measured * self._longer(plan.recipe)))

    def _longer(self, recipe: Any) -> float:
        """Tokens of a document as it is measured, over those that are trained on."""
        tokens, serving = self.outlook.document_tokens, self.start.passage_max_len
        mean = tokens.mean if tokens else serving
        return min(mean, serving) / max(1.0, min(mean, recipe.passage_max_len))
