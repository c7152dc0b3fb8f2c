"""One fold: a model is trained without some queries, and measured on them beside the base.

Worker processes only.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.auto.fit import fit
from workbench.auto.folds import Ints
from workbench.evaluation.measure import Measured
from workbench.training.averaging import put_between, trained_weights
from workbench.training.dev import DevTask
from workbench.training.loss import keeping_for
from workbench.training.run import Place, Run, Training

Floats = NDArray[np.float64]
#: Metric -> a value for each query (n,).
Values = Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class Judged:
    """What one fold's queries say. ``candidates``: the share of the trained weights, the rest being
    the base's -> values."""

    #: (n,) rows of the judging queries.
    queries: Ints
    base: Values
    candidates: Mapping[float, Values]
    #: Documents that were searched, steps that were taken, and what one took.
    documents: int
    steps: int
    seconds_per_step: float

    def write(self, path: Path) -> None:
        """In one file, so that a job that is resumed has it."""
        arrays: dict[str, Any] = {"queries": self.queries}
        each = [("base", self.base), *((str(at), one) for at, one in self.candidates.items())]
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
            base = found.pop("base")
            candidates = {float(who): values for who, values in found.items()}
            return cls(kept["queries"], base, candidates, **about)


def judge(run: Run, training: Training, ratios: Sequence[float]) -> Judged:
    """Train on the run's train split, and measure on its dev split the base, and the trained
    weights at each ratio. The recipe says how much of dev. Raises :class:`JobCancelled`."""
    recipe, context = run.recipe, run.context
    start = training.start(recipe, run.base)
    place = Place(run.device, run.precision)
    dev_task = training.dev(recipe, context, run.reader, run.output, place).dev_task
    loaded = run.load(run.base, start, keeping_for(recipe, run.precision))
    base = _measured(run, dev_task, loaded, "Measuring the original")
    fitted = fit(run, training, start, loaded)
    model = fitted.loaded.model
    tuned = trained_weights(model)
    candidates: dict[float, Values] = {}
    for ratio in ratios:
        put_between(model, fitted.before, tuned, ratio)
        what = "Measuring the trained model" if ratio == 1.0 else f"Measuring a blend ({ratio:g})"
        measured = _measured(run, dev_task, fitted.loaded, what)
        candidates[ratio] = measured.scores.values
        if ratio == 1.0:
            context.metrics(fitted.steps, "dev", measured.scores.means())
    return Judged(
        base.scores.queries,
        base.scores.values,
        candidates,
        dev_task.documents,
        fitted.steps,
        fitted.seconds / max(1, fitted.steps),
    )


def _measured(run: Run, dev_task: DevTask, model: Any, message: str) -> Measured:
    context = run.context

    def progress(done: int, total: int) -> None:
        context.progress(done, total, "texts", message)

    measured: Any = dev_task.measure(model, progress=progress, stop=context.check_cancelled)
    found: Measured = measured
    return found
