"""One fold: a model trained in memory without some queries (no checkpoint, no optimizer's state),
and measured on them beside the base. Worker processes only.
"""

import gc
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.records import Job
from workbench.auto.folds import Ints
from workbench.auto.halving import GoesOn, Settings, Trains
from workbench.errors import JobCancelled
from workbench.evaluation.measure import Measured
from workbench.jobs.reporting import JobContext
from workbench.models.contract import Contract
from workbench.training.averaging import Averaging, Weights, put_between, trained_weights
from workbench.training.callbacks import Climb, Only, Rungs
from workbench.training.dev import DevTask
from workbench.training.loop import go, set_up
from workbench.training.loss import keeping_for
from workbench.training.run import Place, Run, Training
from workbench.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Fitted:
    """What was trained: the model in memory, with the trained model's contract."""

    #: As :func:`workbench.models.load.load_model` gives it; its weights are the average.
    loaded: Any
    contract: Contract
    #: Optimizer steps taken, and training rows that there were.
    steps: int
    rows: int
    notes: tuple[str, ...]
    #: What the steps took, loading and making ready aside.
    seconds: float
    #: The weights that are trained, as they were before the first step.
    before: Weights


def fit(
    run: Run,
    training: Training,
    start: Contract,
    loaded: Any = None,
    rungs: Rungs | None = None,
) -> Fitted:
    """Train on the train split of the run's reader, and keep the model in memory.

    The run says everything else: recipe, base, device, precision. ``recipe.average_weights`` is the
    share of the last steps whose weights are averaged. ``loaded``: the base, where it is in memory
    already, its weights kept as the method needs them; it is the one that is trained. ``rungs``: it
    may end before the last step. Logs go to the run's output folder. Raises
    :class:`JobCancelled` between two steps, and what training raises.
    """
    recipe = run.recipe
    run = replace(run, dev=None, plan=None)
    run.output.mkdir(parents=True, exist_ok=True)
    if loaded is None:
        loaded = run.load(run.base, start, keeping_for(recipe, run.precision))
    cadence = Only(recipe, run.context, run.group, None)
    prepared, recorder, contract = set_up(run, training, start, loaded, cadence)
    if recipe.average_weights:
        prepared.trainer.add_callback(Averaging(recipe.average_weights))
    if rungs:
        # After the average: the last step's model has it.
        prepared.trainer.add_callback(Climb(rungs, loaded.with_contract(contract)))
    before = trained_weights(loaded.model)
    began = time.monotonic()
    go(run, prepared.trainer, recorder)
    seconds = time.monotonic() - began
    if cadence.cancelled:
        raise JobCancelled("Stopped between two steps.", "Resume the job to go on.")
    steps = prepared.trainer.state.global_step
    rows = len(prepared.rows)
    model = loaded.with_contract(contract)
    return Fitted(model, contract, steps, rows, prepared.notes, seconds, before)


class Part(JobContext):
    """A job's context for one of several trainings in it: progress says which one it is, and steps
    go on from the one before. ``quiet`` leaves out remarks, which would come once for each."""

    def __init__(
        self,
        context: JobContext,
        name: str,
        after: int,
        *,
        quiet: bool = True,
        mark: tuple[int, int] | None = None,
    ) -> None:
        """``name``: 'Fold 2 of 3'. ``after``: the last step of the training before it. ``mark``:
        which one it is, of how many (0 of 0 is the model that is kept); on record with its first
        step, for the chart."""
        self.context = context
        self.name = name
        self.after = after
        self.quiet = quiet
        self.mark = mark

    @property
    def workspace(self) -> Workspace:  # type: ignore[override]
        return self.context.workspace

    @property
    def job(self) -> Job:  # type: ignore[override]
        return self.context.job

    @property
    def folder(self) -> Path:  # type: ignore[override]
        return self.context.folder

    @property
    def resuming(self) -> bool:
        return self.context.resuming

    @property
    def cancelled(self) -> bool:
        return self.context.cancelled

    def check_cancelled(self) -> None:
        self.context.check_cancelled()

    def progress(
        self, done: float, total: float | None = None, unit: str = "", message: str = ""
    ) -> None:
        said = f"{self.name}: {message}" if message else self.name
        self.context.progress(done, total, unit, said)

    def metrics(self, step: int, kind: str, values: Mapping[str, float]) -> None:
        if self.mark and step == 1 and kind == "train":
            number, of = self.mark
            self.context.metrics(self.after + step, "part", {"number": number, "of": of})
        self.context.metrics(self.after + step, kind, values)

    def forget_metrics_after(self, step: int) -> None:
        self.context.forget_metrics_after(self.after + max(step, 0))

    def flush(self) -> None:
        self.context.flush()

    def note(self, message: str) -> None:
        if not self.quiet:
            self.context.note(message)


class Unrecorded(Part):
    """One of many trainings that are tried: the chart is for those that the run goes by."""

    def metrics(self, step: int, kind: str, values: Mapping[str, float]) -> None:
        pass

    def forget_metrics_after(self, step: int) -> None:
        pass


def trier(run: Run, training: Training) -> Trains:
    """Trains the run's model with other settings, in memory, and measures it on the run's dev split
    after each rung; the recipe says how much of dev, and how many steps there are in all."""
    recipe, place = run.recipe, Place(run.device, run.precision)
    dev_task = training.dev(recipe, run.context, run.reader, run.output, place).dev_task

    def trains(settings: Settings, rungs: tuple[int, ...], name: str, goes_on: GoesOn) -> None:
        context = Unrecorded(run.context, name, 0)
        one = replace(run, recipe=recipe.model_copy(update=settings), context=context)

        def measured(model: Any) -> bool:
            found = _measured(one, dev_task, model, "Measuring")
            return goes_on(found.scores.means()[recipe.metric])

        try:
            fit(one, training, training.start(one.recipe, one.base), rungs=Rungs(rungs, measured))
        finally:
            # The trainer and its model stand in circles of references.
            gc.collect()

    return trains


# One fold: a model is trained without some queries, and measured on them beside the base.
#
# Worker processes only.

Floats = NDArray[np.float64]
#: Metric -> a value for each query (n,).
Values = Mapping[str, Floats]
#: In the names of what is kept: before a length, and before an order that no model made.
AT, ORDER = "at ", "order: "


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may be kept of a training: so much of the trained weights, the rest being the base's,
    reading passages up to a length in tokens."""

    ratio: float
    length: int

    def __str__(self) -> str:
        return f"{self.ratio:g} {AT}{self.length}"

    @classmethod
    def named(cls, name: str) -> "Candidate":
        """What :meth:`__str__` calls so."""
        ratio, length = name.split(f" {AT}")
        return cls(float(ratio), int(length))


@dataclass(frozen=True, slots=True)
class Judged:
    """What one fold's queries say. ``lengths``: other lengths of passages -> the base's values
    there.
    ``orders``: orders that are there without a model, by name -> their values. ``base`` is empty
    where the base is of another kind, and cannot be measured."""

    #: (n,) rows of the judging queries.
    queries: Ints
    base: Values
    candidates: Mapping[Candidate, Values]
    #: Documents that were searched, steps that were taken, and what one took.
    documents: int
    steps: int
    seconds_per_step: float
    lengths: Mapping[int, Values] = field(default_factory=dict)
    orders: Mapping[str, Values] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """In one file, so that a job that is resumed has it."""
        arrays: dict[str, Any] = {"queries": self.queries}
        each = [("base", self.base), *((str(at), one) for at, one in self.candidates.items())]
        each += [(f"{AT}{length}", one) for length, one in self.lengths.items()]
        each += [(f"{ORDER}{name}", one) for name, one in self.orders.items()]
        for name, values in each:
            arrays |= {f"{name}|{metric}": one for metric, one in values.items()}
        about = {
            "documents": self.documents,
            "steps": self.steps,
            "seconds_per_step": self.seconds_per_step,
        }
        beside = path.with_name(f"{path.name}.new")
        with beside.open("wb") as file:
            np.savez_compressed(file, about=np.array(json.dumps(about)), **arrays)
        beside.replace(path)

    @classmethod
    def read(cls, path: Path) -> "Judged | None":
        """None where there is none."""
        if not path.is_file():
            return None
        with np.load(path) as kept:
            about = json.loads(str(kept["about"]))
            found: dict[str, dict[str, Floats]] = {}
            for name in kept.files:
                if "|" in name:
                    who, metric = name.split("|")
                    found.setdefault(who, {})[metric] = kept[name]
            base = found.pop("base", {})
            lengths = {int(who): one for who, one in _taken(found, AT).items()}
            orders = _taken(found, ORDER)
            candidates = {Candidate.named(who): values for who, values in found.items()}
            return cls(kept["queries"], base, candidates, **about, lengths=lengths, orders=orders)


def _taken(found: dict[str, Any], start: str) -> dict[str, Any]:
    """What is called so, out of ``found``, by the rest of its name."""
    names = [who for who in found if who.startswith(start)]
    return {who.removeprefix(start): found.pop(who) for who in names}


def judge(
    run: Run,
    training: Training,
    ratios: Sequence[float],
    lengths: Sequence[int] = (),
    *,
    serves: Sequence[int] = (),
) -> Judged:
    """Train on the run's train split, and measure on its dev split the base, also with passages
    cut at other ``lengths``, what else has to be beaten, and the trained weights at each ratio:
    with passages cut as the base's are, and at each length of ``serves``. The recipe says how much
    of dev. Raises :class:`JobCancelled`."""
    recipe, context = run.recipe, run.context
    start = training.start(recipe, run.base)
    place = Place(run.device, run.precision)
    dev_task = training.dev(recipe, context, run.reader, run.output, place).dev_task
    orders = {name: one.scores.values for name, one in dev_task.orders().items()}
    before = _Before({}, {})
    loaded = None
    if training.brings(recipe, run.base):
        before, loaded = _base(run, dev_task, start, lengths)
        gc.collect()
    fitted = fit(run, training, start, loaded)
    model = fitted.loaded.model
    tuned = trained_weights(model)
    candidates: dict[Candidate, Values] = {}
    queries = np.zeros(0, np.int64)
    own = fitted.contract.passage_max_len
    for length, ratio in product(dict.fromkeys([own, *serves]), ratios):
        put_between(model, fitted.before, tuned, ratio)
        what = "Measuring the trained model" if ratio == 1.0 else f"Measuring a blend ({ratio:g})"
        measured = _measured(run, dev_task, _cut_at(fitted.loaded, fitted.contract, length), what)
        candidates[Candidate(ratio, length)] = measured.scores.values
        queries = measured.scores.queries
        if ratio == 1.0 and length == own:
            context.metrics(fitted.steps, "dev", measured.scores.means())
    return Judged(
        queries,
        before.base,
        candidates,
        dev_task.documents,
        fitted.steps,
        fitted.seconds / max(1, fitted.steps),
        before.lengths,
        orders,
    )


@dataclass(frozen=True, slots=True)
class _Before:
    """What the base is worth as it is, and with passages cut at other lengths."""

    base: Values
    lengths: Mapping[int, Values]


def _base(
    run: Run, dev_task: DevTask, start: Contract, lengths: Sequence[int]
) -> tuple[_Before, Any]:
    """What was measured of the base, and the base in memory, if it can be trained as it is."""
    recipe, said = run.recipe, "Measuring the original"
    # Under an adapter the base is kept in less: quantized, it is not what people have without it.
    whole = recipe.method == "full"
    keeping = keeping_for(recipe, run.precision) if whole else None
    loaded = run.load(run.base, start, keeping)
    base = _measured(run, dev_task, loaded, said).scores.values
    others = {
        length: _measured(run, dev_task, _cut_at(loaded, start, length), said).scores.values
        for length in lengths
    }
    return _Before(base, others), loaded if whole else None


def _cut_at(loaded: Any, contract: Contract, length: int) -> Any:
    """The model in memory with passages cut at a length."""
    if length == contract.passage_max_len:
        return loaded
    return loaded.with_contract(contract.model_copy(update={"passage_max_len": length}))


def _measured(run: Run, dev_task: DevTask, model: Any, message: str) -> Measured:
    context = run.context

    def progress(done: int, total: int) -> None:
        context.progress(done, total, "texts", message)

    measured: Any = dev_task.measure(model, progress=progress, stop=context.check_cancelled)
    found: Measured = measured
    return found
