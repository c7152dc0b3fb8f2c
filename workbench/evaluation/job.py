"""The task 'evaluate': models on one split, side by side on the same queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.comparison.conditions import SWITCH
from workbench.comparison.names import DEPTH
from workbench.data.reader import DatasetReader
from workbench.errors import BadInput
from workbench.evaluation.measure import measure_cut
from workbench.evaluation.named import BM25, Named, find
from workbench.evaluation.pairs import ScoredPairs, pair_comparisons, pair_rows, score_pairs
from workbench.evaluation.pictures import Turned
from workbench.evaluation.pool import Pool, excluding, whole_pool
from workbench.evaluation.prepare import split_of
from workbench.evaluation.results import (
    ALL_DOCUMENTS,
    Entry,
    comparisons,
    lengths_of,
    record_entry,
    record_pairs,
)
from workbench.evaluation.stages import Progress, Stages, load
from workbench.jobs.reporting import JobContext
from workbench.recipes.evaluate import EvaluateRecipe


def run(recipe: EvaluateRecipe, context: JobContext) -> dict[str, Any]:
    """Measure each model; the result is ``evaluate``'s JSON.

    Second stages are compared with the order they were given, all others with the first model.
    Queries are judged by retrieval metrics, scored pairs by correlation; a data set with both has
    both. ``second_dataset``: the same on a second data set, whose result stands under that key.
    """
    workspace = context.workspace
    # Every name is looked up before any work: a wrong last one should not cost an hour.
    models = [find(workspace, name) for name in recipe.models]
    rerankers = [find(workspace, name) for name in recipe.rerankers]
    result = _Ground(recipe, context, models, rerankers).measure()
    if recipe.second_dataset:
        context.check_cancelled()
        split = split_of(workspace, recipe.second_dataset, recipe.split)
        changes = {
            "dataset": recipe.second_dataset,
            "dataset_version": None,
            "split": split,
            "second_dataset": "",
        }
        second = recipe.model_copy(update={**changes, "dimensions": ""})
        result["second_dataset"] = _Ground(second, context, models, rerankers).measure()
    return result


@dataclass(frozen=True)
class _Ground:
    """One data set on which everything is measured."""

    recipe: EvaluateRecipe
    context: JobContext
    models: Sequence[Named]
    rerankers: Sequence[Named]

    def measure(self) -> dict[str, Any]:
        recipe = self.recipe
        reader = self.context.workspace.datasets.read(recipe.dataset, recipe.dataset_version)
        asked = bool(reader.counts["splits"].get(recipe.split))
        pairs = reader.pairs(recipe.split) if reader.counts.get("pairs") else None
        about = {"dataset": recipe.dataset, "dataset_version": reader.version}
        result: dict[str, Any] = {**about, "split": recipe.split}
        found: dict[str, Any] = {"rows": [], "comparisons": [], "evaluations": []}
        if asked or pairs is None or not pairs.num_rows:
            found = self._retrieval(reader)
        if pairs is not None and pairs.num_rows:
            found["pairs"] = self._pairs(reader, pairs)
        if not found["rows"]:
            # Who reads ``rows`` and ``comparisons`` finds what there is.
            found["rows"] = [{**row, "queries": 0} for row in found["pairs"]["rows"]]
            found["comparisons"] = found["pairs"]["comparisons"]
        return {**result, **found}

    # -- queries ---------------------------------------------------------------------------------

    def _retrieval(self, reader: DatasetReader) -> dict[str, Any]:
        recipe, context = self.recipe, self.context
        pool = whole_pool(
            reader,
            recipe.split,
            max_queries=recipe.max_queries,
            seed=recipe.seed,
            exclude=recipe.exclude_query_document,
        )
        entries = Stages(recipe, context, reader, pool).measure(self.models, self.rerankers)
        evaluations = [
            record_entry(recipe, context, Turned(reader) if entry.turned else reader, entry)
            for entry in entries
        ]
        found = comparisons(entries, self.models[0].name, metric=recipe.metric, seed=recipe.seed)
        result: dict[str, Any] = {
            "documents": pool.documents,
            SWITCH: recipe.exclude_query_document,
            **excluding(pool),
            "rows": [entry.row() for entry in entries],
            "comparisons": found,
            "evaluations": [one.id for one in evaluations],
        }
        if recipe.dimensions:
            result["dimensions"] = self._dimensions(reader, pool)
        return result

    def _dimensions(self, reader: DatasetReader, pool: Pool) -> list[dict[str, Any]]:
        """Each embedding model at each number of dimensions."""
        context = self.context
        rows = []
        for named in self.models:
            if named.resolved is None:
                continue
            model = load(self.recipe, context, named.resolved)
            if not model.contract.model_kind.first_stage:
                continue
            measured = measure_cut(
                model,
                pool,
                wanted=self.recipe.dimensions,
                k=max(self.recipe.top_k, DEPTH),
                progress=self._says(f"{named.name} with fewer dimensions", "texts"),
                stop=context.check_cancelled,
            )
            for size, one in measured.items():
                entry = Entry(
                    name=named.name,
                    kind=model.contract.kind,
                    searched=ALL_DOCUMENTS,
                    asked=pool.queries,
                    documents=pool.documents,
                    measured=one,
                    model=named.resolved,
                    excluding=excluding(pool),
                    lengths=lengths_of(model.contract),
                )
                row = {**entry.row(), "dimensions": size}
                if size != max(measured):  # whole, it is on record already
                    kept = record_entry(self.recipe, context, reader, entry, cut_to=size)
                    row["evaluation"] = kept.id
                rows.append(row)
        return rows

    # -- scored pairs ----------------------------------------------------------------------------

    def _pairs(self, reader: DatasetReader, table: Any) -> dict[str, Any]:
        """Each model's agreement with the given scores; BM25 scores no pair by itself."""
        seed = self.recipe.seed
        named = list(dict.fromkeys([*self.models, *self.rerankers]))
        left_out = [one.name for one in named if one.resolved is None]
        scored = [self._scored(one, table) for one in named if one.resolved is not None]
        if not scored:
            raise BadInput(
                f"{BM25} cannot be judged by scored pairs: it scores against a collection.",
                "Name an embedding model, a reranker or a late-interaction model.",
            )
        rows = pair_rows(scored, seed)
        metrics = [{name: row[name] for name in ("spearman", "pearson")} for row in rows]
        evaluations = [
            record_pairs(self.recipe, self.context, reader, one, values)
            for one, values in zip(scored, metrics, strict=True)
        ]
        return {
            "pairs": table.num_rows,
            "rows": rows,
            "comparisons": pair_comparisons(scored, seed),
            "left_out": left_out,
            "evaluations": [one.id for one in evaluations],
        }

    def _scored(self, named: Named, table: Any) -> ScoredPairs:
        assert named.resolved is not None  # the caller left the others out
        self.context.check_cancelled()
        model = load(self.recipe, self.context, named.resolved)
        scores = score_pairs(
            model,
            table["left"].to_pylist(),
            table["right"].to_pylist(),
            progress=self._says(f"{named.name} on scored pairs", "texts"),
            stop=self.context.check_cancelled,
        )
        given = table["score"].to_numpy().astype(np.float64)
        return ScoredPairs(named.name, named.resolved, model.contract.kind, scores, given)

    def _says(self, message: str, unit: str) -> Progress:
        return lambda done, total: self.context.progress(done, total, unit, message)
