"""The tasks 'evaluate' (models on one split, side by side on the same queries) and 'matrix'
(retrievers x rerankers x top k, with what each stage takes). Workers only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.comparison.evidence import LOOKS
from workbench.comparison.names import DEPTH
from workbench.comparison.table import ALL_DOCUMENTS, SWITCH
from workbench.data.reader import DatasetReader
from workbench.errors import BadInput
from workbench.evaluation.measure import Progress, measure_cut
from workbench.evaluation.metrics import cut_scores
from workbench.evaluation.named import BM25, Named, find
from workbench.evaluation.pairs import ScoredPairs, pair_comparisons, score_pairs
from workbench.evaluation.pictures import Turned
from workbench.evaluation.pool import Pool, asked_pool, excluding
from workbench.evaluation.prepare import split_of
from workbench.evaluation.results import (
    Entry,
    comparisons,
    lengths_of,
    record_entry,
    record_pairs,
    searched_entry,
)
from workbench.evaluation.same_length import bases, read_at
from workbench.evaluation.stages import Stages, load
from workbench.jobs.reporting import JobContext
from workbench.recipes.evaluate import EvaluateRecipe, MatrixRecipe


def run(recipe: EvaluateRecipe, context: JobContext) -> dict[str, Any]:
    """Measure each model; the result is ``evaluate``'s JSON.

    Second stages are compared with the order they were given, all others with the first model.
    Queries are judged by retrieval metrics, scored pairs by correlation; a data set with both has
    both. ``second_dataset``: the same on a second data set, whose result stands under that key.
    """
    workspace = context.workspace
    if context.resuming:
        workspace.evaluations.withdraw(context.job.id)
    # Every name is looked up before any work: a wrong last one should not cost an hour.
    models, rerankers = (
        [_read(recipe, context, find(workspace, name)) for name in names]
        for names in (recipe.models, recipe.rerankers)
    )
    # The base of a second stage is one, too.
    for found, ordering in ((models, False), (rerankers, True)):
        known = {one.name for one in found}
        trained = [
            name for name in recipe.bases_at_length_of if (name in recipe.rerankers) is ordering
        ]
        found += [one for one in bases(workspace, trained) if one.name not in known]
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


def _read(recipe: EvaluateRecipe, context: JobContext, named: Named) -> Named:
    """The model at the lengths that the recipe gives, where it gives some."""
    return read_at(context.workspace, named, recipe.query_max_len, recipe.passage_max_len)


def run_matrix(recipe: MatrixRecipe, context: JobContext) -> dict[str, Any]:
    """Measure each retriever alone and with each reranker; the result is ``matrix``'s JSON.

    Each retriever searches once, each reranker scores each retriever's candidates once, as deep as
    they go; every top k is cut from that.
    """
    workspace = context.workspace
    if context.resuming:
        workspace.evaluations.withdraw(context.job.id)
    retrievers = [find(workspace, name) for name in recipe.retrievers]
    rerankers = [find(workspace, name) for name in recipe.rerankers]
    reader = workspace.datasets.read(recipe.dataset, recipe.dataset_version)
    # As the evaluation these measurements are on record as.
    same = recipe.model_dump(exclude={"retrievers", "top_k"}) | {"dataset_version": reader.version}
    settings = EvaluateRecipe(**same, models=recipe.retrievers)
    pool = asked_pool(reader, recipe.split, recipe)
    found = Stages(settings, context, reader, pool, timed=True).measure(retrievers, rerankers)
    entries = [entry for entry in found if entry.kind != "first-stage"]
    kept = _on_record(settings, context, reader, entries)
    pipelines = [(a.name, b) for a in retrievers for b in ("", *(one.name for one in rerankers))]
    top_k = range(1, recipe.top_k + 1)
    return {
        "dataset": recipe.dataset,
        "dataset_version": reader.version,
        "split": recipe.split,
        "queries": len(pool.queries),
        "documents": pool.documents,
        "candidates": recipe.candidates,
        SWITCH: recipe.exclude_query_document,
        **excluding(pool),
        LOOKS: workspace.evaluations.looks(workspace.datasets, reader, recipe.split),
        "top_k": list(top_k),
        "rows": [
            {
                "retriever": retriever,
                "reranker": reranker,
                "evaluation_mode": entry.evaluation_mode,
                "kind": entry.kind,
                **entry.lengths,
                "milliseconds": {**entry.milliseconds, "total": sum(entry.milliseconds.values())},
                "top": cut_scores(entry.asked, entry.measured.run.documents, pool.judgments, top_k),
                "evaluation": id,
            }
            for (retriever, reranker), entry, id in zip(pipelines, entries, kept, strict=True)
        ],
        "evaluations": kept,
    }


def _on_record(
    recipe: EvaluateRecipe, context: JobContext, reader: DatasetReader, entries: Sequence[Entry]
) -> list[str]:
    """The ids under which the entries are kept."""
    return [
        record_entry(recipe, context, Turned(reader) if entry.turned else reader, entry).id
        for entry in entries
    ]


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
        # What was measured here is on record by now, and counts.
        workspace = self.context.workspace
        result[LOOKS] = workspace.evaluations.looks(workspace.datasets, reader, recipe.split)
        return {**result, **found}

    # -- queries ---------------------------------------------------------------------------------

    def _retrieval(self, reader: DatasetReader) -> dict[str, Any]:
        recipe, context = self.recipe, self.context
        pool = asked_pool(reader, recipe.split, recipe)
        entries = Stages(recipe, context, reader, pool).measure(self.models, self.rerankers)
        kept = _on_record(recipe, context, reader, entries)
        found = comparisons(entries, self.models[0].name, metric=recipe.metric, seed=recipe.seed)
        result: dict[str, Any] = {
            "documents": pool.documents,
            SWITCH: recipe.exclude_query_document,
            **excluding(pool),
            "rows": [entry.row() for entry in entries],
            "comparisons": found,
            "evaluations": kept,
        }
        if recipe.dimensions:
            result["dimensions"] = self._dimensions(reader, pool, entries)
        return result

    def _dimensions(
        self, reader: DatasetReader, pool: Pool, entries: Sequence[Entry]
    ) -> list[dict[str, Any]]:
        """Each embedding model at each number of dimensions; all of them were measured for its
        entry."""
        context = self.context
        whole = {one.name: one.measured for one in entries if one.searched == ALL_DOCUMENTS}
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
                whole=whole.get(named.name),
                progress=self._says(f"{named.name} with fewer dimensions", "texts"),
                stop=context.check_cancelled,
            )
            for size, one in measured.items():
                entry = searched_entry(named, model.contract, pool, one)
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
        rows = [one.row(seed) for one in scored]
        evaluations = [
            record_pairs(self.recipe, self.context, reader, one, row)
            for one, row in zip(scored, rows, strict=True)
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
        contract = model.contract
        return ScoredPairs(
            name=named.name,
            model=named.resolved,
            kind=contract.kind,
            scores=scores,
            given=given,
            lengths=lengths_of(contract),
            own_lengths=named.own_lengths,
        )

    def _says(self, message: str, unit: str) -> Progress:
        return lambda done, total: self.context.progress(done, total, unit, message)
