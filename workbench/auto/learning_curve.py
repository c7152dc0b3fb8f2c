"""The task 'learning-curve': a model trained on growing shares of the rows, without each fold in
turn, and measured on the queries of the fold. Worker processes only.

What is finished lies in the job's output folder, so that a resumed job goes on from there. Models
are trained in memory, and none is kept.
"""

import gc
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from workbench.auto.asked import look_of
from workbench.auto.curve import Floats, Point, learning_curve
from workbench.auto.decisions import scheduled
from workbench.auto.fit import Part, fit
from workbench.auto.look import serving_length, training_length, warnings
from workbench.auto.shares import MOST_DOCUMENTS, MOST_MEASURED, Parts
from workbench.comparison.names import HEADLINE
from workbench.evaluation.measure import measure
from workbench.evaluation.pool import Pool, dev_pool, excluding
from workbench.evaluation.results import lengths_of
from workbench.jobs.reporting import JobContext
from workbench.models.contract import Contract
from workbench.recipes.curve import LearningCurveRecipe
from workbench.recipes.decided import AUTO_PRESET
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.training.loop import look_up
from workbench.training.run import Run

#: A text that is trained on takes the time of so many that are only encoded (forwards, and the
#: gradient twice that).
TRAINED = 3


def run(recipe: LearningCurveRecipe, context: JobContext) -> dict[str, Any]:
    """Measure the curve; the result is :func:`workbench.auto.curve.learning_curve`'s JSON, with
    what was measured. Raises :class:`BadInput` where there is too little."""
    return _Measuring(recipe, context).run()


class _Measuring:
    """One job: the base, then every share of every fold, smallest shares first."""

    def __init__(self, recipe: LearningCurveRecipe, context: JobContext) -> None:
        self.recipe, self.context = recipe, context
        self.began = time.monotonic()
        bare = _bare(recipe)
        kind = bare.model_kind
        self.training = kind.load(kind.training)()
        run = look_up(bare, context, self.training, measures=False)
        self.parts = Parts.of(run.reader, recipe)
        # As a run with the preset 'auto' looks, and measures at the length that it would serve.
        self.look = look_of(run, self.training)
        serving = int(serving_length(self.look).value)
        own = self.training.start(bare, run.base)
        self.start = own.model_copy(update={"passage_max_len": serving})
        self.looked_up: Run = replace(run, base=replace(run.base, contract=self.start))
        self.length = int(training_length(self.look, serving).value)
        self.pool: Pool = dev_pool(
            self.parts.measured({query: one.tolist() for query, one in self.look.words.items()}),
            max_queries=MOST_MEASURED,
            max_documents=MOST_DOCUMENTS,
            seed=recipe.seed,
        )
        at = self.parts.at(self.pool.queries)
        self.folds, self.clusters = self.parts.folds[at], self.parts.material.clusters[at]
        self.shares = {
            (share, fold): self.parts.training(fold, share)
            for share in recipe.percent
            for fold in range(recipe.folds)
        }
        asked = len(self.pool.queries) + self.pool.documents
        self.work = _Work(asked, {one: self._recipe(*one) for one in self.shares})

    def run(self) -> dict[str, Any]:
        base = self._kept("base", self._base)["values"]
        points = [self._point(share) for share in self.recipe.percent]
        found = learning_curve(
            points,
            base,
            self.folds,
            self.clusters,
            total=self.parts.total,
            seed=self.recipe.seed,
        )
        workspace, looked_up = self.context.workspace, self.looked_up
        return {
            "kind": self.recipe.kind,
            "model": looked_up.base.name,
            "model_id": looked_up.base.model_id,
            "dataset": looked_up.reader.name,
            "dataset_id": workspace.datasets.get(self.recipe.dataset).id,
            "dataset_version": looked_up.reader.version,
            "documents": self.pool.documents,
            "device": looked_up.device,
            "precision": looked_up.precision,
            **lengths_of(self.start),
            "training_length": self.length,
            **excluding(self.pool),
            **found,
            "notes": warnings(self.look),
            "seconds": round(time.monotonic() - self.began, 3),
        }

    def _point(self, share: float) -> Point:
        values = np.zeros(len(self.pool.queries))
        trained = []
        for fold in range(self.recipe.folds):
            chosen = self.shares[share, fold]
            trained.append((self.parts.rows[chosen].sum(), chosen.sum()))
            found = self._kept(f"share-{share:g}-fold-{fold}", self._fold, share, fold)
            values[self.folds == fold] = found["values"]
        rows, queries = np.mean(trained, axis=0)
        return Point(share, float(rows), float(queries), values)

    def _kept(self, name: str, make: Any, *arguments: Any) -> Mapping[str, Floats]:
        """What an earlier attempt has measured, else what is measured now and kept."""
        path: Path = self.looked_up.output / f"{name}.npz"
        if not path.is_file():
            found = make(*arguments)
            beside = path.with_name(f"new-{path.name}")
            np.savez(beside, **found)
            beside.replace(path)
        with np.load(path) as kept:
            return dict(kept)

    def _base(self) -> Mapping[str, Floats]:
        loaded = self.looked_up.load(self.looked_up.base, self.start)
        return {"values": self._measured(loaded, self.pool, "Measuring the original", 0)}

    def _fold(self, share: float, fold: int) -> Mapping[str, Floats]:
        """(queries of the fold,) values, by a model that was trained on that share of the others'
        rows."""
        wanted, name = self._recipe(share, fold), self._name(share, fold)
        before, texts = self.work.before[share, fold], _texts(wanted)
        own = replace(
            self.looked_up,
            recipe=wanted,
            reader=self.parts.trained_on(self.shares[share, fold]),
            context=_Share(self.context, name, before, texts, self.work.total),
            output=self.looked_up.output / "training",
        )
        fitted = fit(own, self.training, self.start)
        mine = self.pool.asking(np.flatnonzero(self.folds == fold).tolist())
        values = self._measured(fitted.loaded, mine, f"{name}: measuring", before + texts)
        del fitted
        # The trainer and its model stand in circles of references.
        gc.collect()
        return {"values": values}

    def _name(self, share: float, fold: int) -> str:
        return f"{share:g}% of the rows, fold {fold + 1} of {self.recipe.folds}"

    def _recipe(self, share: float, fold: int) -> TrainEmbeddingRecipe:
        queries = int(self.shares[share, fold].sum())
        contract, given = self.looked_up.base.contract, self.parts.material.with_negatives
        return training_recipe(self.recipe, contract, queries, given, self.length)

    def _measured(self, loaded: Any, pool: Pool, said: str, before: int) -> Floats:
        def progress(done: int, _of: int) -> None:
            self.context.progress(before + done, self.work.total, "texts", said)

        stop = self.context.check_cancelled
        return measure(loaded, pool, progress=progress, stop=stop).scores.values[HEADLINE]


class _Work:
    """How many texts are encoded in all, trained ones counted as they cost, and how many before
    each part: by it the time left is told. ``asked``: queries and documents of a measurement."""

    def __init__(self, asked: int, recipes: Mapping[tuple[float, int], Any]) -> None:
        self.before: dict[tuple[float, int], int] = {}
        self.total = asked
        for part, recipe in recipes.items():
            self.before[part] = self.total
            self.total += _texts(recipe) + asked


class _Share(Part):
    """One training of the curve: its steps are a stretch of the whole job's work, and leave no rows
    in the record, where those of all would stand one after the other."""

    def __init__(self, context: JobContext, name: str, before: int, texts: int, total: int) -> None:
        super().__init__(context, name, 0)
        self.before, self.texts, self.total = before, texts, total

    def progress(
        self,
        done: float,
        total: float | None = None,
        unit: str = "",  # noqa: ARG002 - the whole job counts texts
        message: str = "",
    ) -> None:
        passed = self.before + (self.texts * done / total if total else 0)
        said = f"{self.name}: {message}" if message else self.name
        self.context.progress(round(passed), self.total, "texts", said)

    def metrics(self, step: int, kind: str, values: Mapping[str, float]) -> None:
        """Not of the whole job."""

    def forget_metrics_after(self, step: int) -> None:
        """There are none."""


def _bare(recipe: LearningCurveRecipe) -> TrainEmbeddingRecipe:
    """The training runs before the rules say how long and in which batches."""
    same = ("dataset", "dataset_version", "model", "precision", "device", "seed")
    values = {name: getattr(recipe, name) for name in same}
    return TrainEmbeddingRecipe.read({**values, **AUTO_PRESET, "auto": ""})


def training_recipe(
    recipe: LearningCurveRecipe, base: Contract, queries: int, given: int, length: int
) -> TrainEmbeddingRecipe:
    """The run on so many queries by the rules of the preset 'auto', for each share its own.
    ``given``: queries of the data set that bring documents which do not answer them; ``length``:
    after how many tokens documents are cut in training."""
    bare = _bare(recipe).model_copy(update={"passage_max_len": length})
    return scheduled(bare, base, queries, given)[0]


def _texts(recipe: TrainEmbeddingRecipe) -> int:
    """How many texts a training reads, counted as what is only encoded."""
    return TRAINED * 2 * recipe.batch_size * int(recipe.max_steps or 0)
