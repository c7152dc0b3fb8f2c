"""A training run of every kind; with ``seeds``, the same run with several seeds, one after the
other, and the average of their weights beside them. Worker processes only.

The models are measured on dev, which none of them is trained on, and only at their end. What is
finished lies in the job's output folder, so that a resumed job goes on from there.
"""

import gc
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from workbench.auto.decisions import scheduled
from workbench.auto.fit import Part, fit
from workbench.auto.folds import Material
from workbench.auto.forgetting import with_forgetting
from workbench.auto.run import Decided
from workbench.auto.spread import AVERAGE, Floats, Ints, better, spread
from workbench.comparison.trained import ORIGINAL
from workbench.data.clusters import query_clusters
from workbench.evaluation.measure import Measured
from workbench.jobs.reporting import JobContext
from workbench.recipes.train import TrainEmbeddingRecipe, TrainRecipe
from workbench.training import averaging, task
from workbench.training.averaging import put_between, trained_weights
from workbench.training.checkpoints import checkpoint_folder
from workbench.training.loop import look_up
from workbench.training.loss import training_lengths
from workbench.training.run import (
    SUMMARY,
    Outcome,
    Place,
    Run,
    Tested,
    Trained,
    Training,
    write_config,
    write_json,
)

#: The original and every seed are measured on so many queries and documents, where the recipe says
#: nothing.
QUERIES, DOCUMENTS = 600, 2_000


def run(recipe: TrainRecipe, context: JobContext) -> dict[str, Any]:
    """Train, and register a model; the result is :func:`workbench.training.task.run`'s JSON, with
    'seeds' where there are several."""
    if isinstance(recipe, TrainEmbeddingRecipe) and recipe.seeds > 1:
        kind = recipe.model_kind
        return _Seeds(recipe, context, kind.load(kind.training)()).run()
    return task.run(recipe, context)


@dataclass(frozen=True, slots=True)
class _Seed:
    """One model: metric -> values (queries,), the queries' rows, and how it was trained. Its
    weights stay on disk."""

    values: Mapping[str, Floats]
    queries: Ints
    steps: int
    rows: int
    notes: tuple[str, ...]


class _Seeds:
    """One job: the original, every seed, then the average of their weights."""

    def __init__(
        self, recipe: TrainEmbeddingRecipe, context: JobContext, training: Training
    ) -> None:
        self.began, self.training, self.context = time.monotonic(), training, context
        run = look_up(recipe, context, training, measures=False)
        self.start = training.start(recipe, run.base)
        queries = min(run.reader.counts["splits"]["train"], recipe.max_rows or 2**31)
        given = Material.of(run.reader).with_negatives
        # Lengths and blends are decided by measuring, which has to be done for each seed anew.
        self.recipe, self.decisions = scheduled(
            recipe, run.base.contract, queries, given, recipe.decides
        )
        self.looked_up: Run = replace(run, recipe=self.recipe)
        sized = self.recipe.model_copy(
            update={
                "dev_queries": recipe.dev_queries or QUERIES,
                "dev_documents": recipe.dev_documents or DOCUMENTS,
            }
        )
        place = Place(run.device, run.precision)
        self.dev = training.dev(sized, context, run.reader, run.output, place)
        self.loaded: Any = None

    def run(self) -> dict[str, Any]:
        if not self.context.resuming:
            self.context.forget_metrics_after(-1)
        base = self._base()
        seeds: list[_Seed] = []
        for at in range(self.recipe.seeds):
            seeds.append(self._seed(at, sum(one.steps for one in seeds)))
        averaged = self._averaged()
        metric = self.recipe.metric
        clusters = self._clusters(seeds[0].queries)
        found = spread(
            np.stack([one.values[metric] for one in seeds]),
            averaged[metric] if averaged else None,
            base[metric],
            clusters,
            seeds=[self.recipe.seed + at for at in range(self.recipe.seeds)],
        )
        kept = averaged if averaged and found["kept"] == AVERAGE else seeds[0].values
        if found["kept"] != AVERAGE:
            first = averaging.kept(self._path(0))
            put_between(self.loaded.model, first, first, 1.0)
        return self._registered(seeds[0], base, kept, found, clusters)

    def _base(self) -> Mapping[str, Floats]:
        """The original's values; they and its row are there already in a resumed job."""
        path = self.looked_up.output / "base.npz"
        if not path.is_file():
            loaded = self.looked_up.load(self.looked_up.base, self.start)
            measured = self._measured(loaded, "Measuring the original on dev")
            self.context.metrics(0, "baseline", measured.scores.means())
            beside = path.with_name(f"new-{path.name}")
            values: dict[str, Any] = dict(measured.scores.values)
            np.savez(beside, **values)
            beside.replace(path)
        with np.load(path) as kept:
            return dict(kept)

    def _seed(self, at: int, after: int) -> _Seed:
        """``after``: the last step of the seeds before it."""
        path = self._path(at)
        # The last one is trained again where no model is in memory that could take the average.
        if path.is_file() and (self.loaded is not None or at + 1 < self.recipe.seeds):
            return _Seed(**averaging.kept_about(path))
        name = f"Seed {at + 1} of {self.recipe.seeds}"
        self.context.forget_metrics_after(after)
        own = replace(
            self.looked_up,
            recipe=self.recipe.model_copy(update={"seed": self.recipe.seed + at}),
            context=Part(self.context, name, after, mark=(at + 1, self.recipe.seeds)),
            output=self.looked_up.output / f"seed-{at + 1}",
        )
        self.loaded = None
        gc.collect()
        fitted = fit(own, self.training, self.start)
        self.loaded = fitted.loaded
        measured = self._measured(self.loaded, f"{name}: measuring on dev")
        self.context.metrics(after + fitted.steps, "dev", measured.scores.means())
        made = _Seed(
            measured.scores.values, measured.scores.queries, fitted.steps, fitted.rows, fitted.notes
        )
        about = {one.name: getattr(made, one.name) for one in fields(_Seed)}
        averaging.keep(path, about, trained_weights(self.loaded.model))
        return made

    def _averaged(self) -> Mapping[str, Floats] | None:
        """The values of the model with the average of all weights, which the one in memory has
        then; None of adapters: they are products of two matrices, whose averages multiplied are
        not the average of the products."""
        if self.recipe.method != "full":
            return None
        average = averaging.mean_of([self._path(at) for at in range(self.recipe.seeds)])
        put_between(self.loaded.model, average, average, 1.0)
        return self._measured(self.loaded, "Measuring the average of the weights").scores.values

    def _path(self, at: int) -> Path:
        return self.looked_up.output / f"seed-{at + 1}.pt"

    def _measured(self, loaded: Any, message: str) -> Measured:
        def progress(done: int, total: int) -> None:
            self.context.progress(done, total, "texts", message)

        stop = self.context.check_cancelled
        measured: Any = self.dev.dev_task.measure(loaded, progress=progress, stop=stop)
        found: Measured = measured
        return found

    def _clusters(self, queries: Ints) -> Ints:
        judged = self.looked_up.reader.judgments("dev")
        relevant = judged.filter(pc.greater_equal(judged["grade"], 1))
        asked, documents = (relevant[name].to_numpy() for name in ("query", "document"))
        return query_clusters(queries, asked, documents)

    def _registered(
        self,
        first: _Seed,
        base: Mapping[str, Floats],
        kept: Mapping[str, Floats],
        found: dict[str, Any],
        clusters: Ints,
    ) -> dict[str, Any]:
        """The chosen weights, which the model in memory has by now, as a model."""
        run, contract = replace(self.looked_up, dev=self.dev), self.loaded.contract
        before, best = _means(base), _means(kept)
        tested = Tested(
            found["p_value"],
            (found["ci95"][0], found["ci95"][1]) if found["ci95"] else None,
            better(found),
            len(np.unique(clusters)),
            1,
        )
        asked = self.dev.dev_task
        outcome = Outcome(
            self.recipe.metric,
            before,
            before,
            best,
            ORIGINAL,
            asked.queries,
            asked.documents,
            tested,
        )
        lengths = training_lengths(self.loaded.model, self.recipe)
        trained = Trained(
            steps=first.steps,
            best_step=first.steps,
            best=best,
            rows=first.rows,
            left_out=0,
            contract=contract,
            history=[],
            notes=(str(found["sentence"]), *first.notes),
            lengths=lengths,
            looks=0,
        )
        folder = checkpoint_folder(run.output, first.steps)
        shutil.rmtree(folder, ignore_errors=True)
        self.loaded.model.save_pretrained(str(folder), create_model_card=False)
        contract.write(folder)
        write_config(run.output, self.recipe, {"contract": contract.model_dump(mode="json")})
        self.loaded = None
        gc.collect()
        task.read_back(run, trained)
        decided = Decided(run, tuple(self.decisions), seeds=found)
        decided = with_forgetting(decided, trained, outcome)
        self.context.progress(first.steps, first.steps, "steps", "Saving the model")
        model = task.register(decided, trained, outcome)
        seconds = time.monotonic() - self.began
        result = task.result_of(decided, trained, outcome, model, seconds)
        write_json(run.output / SUMMARY, result)
        for path in run.output.glob("seed-*.pt"):
            path.unlink()
        return result


def _means(values: Mapping[str, Floats]) -> dict[str, float]:
    return {metric: float(one.mean()) for metric, one in values.items()}
