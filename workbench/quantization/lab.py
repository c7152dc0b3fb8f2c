"""The task 'quantize-lab': ways to make a model smaller, each measured against the original.

Each format of the model's weights is made by one process and measured by another, which reads it
back from disk: its memory is its own, and what could not be read back would show. Formats of
embeddings are measured here, from the original's own vectors. Imports torch: worker processes only.
"""

import shutil
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from workbench.comparison.names import DEPTH
from workbench.comparison.table import SWITCH
from workbench.data.reader import choosing_split, chosen_by
from workbench.errors import JobCancelled, WorkbenchError
from workbench.evaluation.exact_search import Run
from workbench.evaluation.measure import score
from workbench.evaluation.pool import asked_pool
from workbench.jobs.reporting import JobContext
from workbench.model_kinds import encoding
from workbench.models.locate import locate
from workbench.models.quantized import QUANTIZATION_METHODS
from workbench.quantization.compare import (
    WEIGHED,
    Row,
    judged,
    on_front,
    overlap,
    rank_correlation,
    recommended,
)
from workbench.quantization.measuring import (
    RUN,
    Order,
    make,
    run_in_subprocess,
    take,
    unforeseen,
    written,
)
from workbench.quantization.prepare import formats
from workbench.quantization.vectors import Codes, QuantizedIndex
from workbench.recipes.quantize import QuantizeLabRecipe, VectorFormat

ORIGINAL = "original"


def run(recipe: QuantizeLabRecipe, context: JobContext) -> dict[str, Any]:
    """Measure everything; a method that fails is a row that says why, the others go on."""
    work = context.folder / "lab"
    shutil.rmtree(work, ignore_errors=True)
    try:
        return _Lab(recipe, context, work).run()
    finally:
        shutil.rmtree(work, ignore_errors=True)


class _Lab:
    def __init__(self, recipe: QuantizeLabRecipe, context: JobContext, work: Path) -> None:
        self.recipe = recipe
        self.context = context
        self.work = work
        self.model = locate(context.workspace, recipe.model)
        self.dataset = context.workspace.datasets.get(recipe.dataset)
        self.reader: Any = context.workspace.datasets.read(
            self.dataset.id, recipe.dataset_version or self.dataset.version
        )
        self.split = choosing_split(self.reader, recipe.split, or_test=True)
        self.steps = 1 + len(recipe.methods)
        self.step = 0

    def run(self) -> dict[str, Any]:
        original, run = self._original()
        models = [original]
        for method in self.recipe.methods:
            models.append(self._method(method, original, run))
        vectors = self._vectors(original, run) if original["kind"] in encoding() else []
        return {
            "model": self.model.name,
            "model_id": self.model.model_id,
            # By its folder or hub id, where it is not in the workspace.
            "source": self.model.hub_id or self.model.source,
            "kind": original["kind"],
            "dataset": self.dataset.name,
            "dataset_id": self.dataset.id,
            "dataset_version": self.reader.version,
            "split": self.split,
            "notes": chosen_by(self.split, self.dataset.name),
            "queries": original["queries"],
            "documents": original["documents"],
            SWITCH: self.recipe.exclude_query_document,
            **original["conditions"],
            "against": original["against"],
            "device": original["device"],
            "rescore": self.recipe.rescore,
            **_panel("models", models, self._quicker(original)),
            **_panel("vectors", vectors),
        }

    def _quicker(self, original: Row) -> str:
        """What is quick on CPUs, where it was not asked for and would work."""
        contract = self.model.contract
        quick = [one for one in QUANTIZATION_METHODS.all() if one.quick_on_cpu]
        asked = any(one.name in self.recipe.methods for one in quick)
        if original["device"] != "cpu" or asked:
            return ""
        fits = (one.name for one in quick if not one.refusal(self.model.name, contract))
        return next(fits, "")

    # -- formats of the weights ------------------------------------------------------------------

    def _original(self) -> tuple[Row, Run]:
        row, run = self._measured(ORIGINAL, "")
        return {**row, "name": ORIGINAL, "method": "", **_same(), "bound": 0.0}, run

    def _method(self, method: str, original: Row, full: Run) -> Row:
        try:
            row, run = self._measured(method, method)
        except JobCancelled:
            raise
        except Exception as error:  # noqa: BLE001 - one method that fails must not lose the others
            return self._failed(method, method, error)
        row |= {"name": method, "method": method, "bound": QUANTIZATION_METHODS.get(method).bound}
        return judged(row | _agreement(full, run), original)

    def _failed(self, name: str, method: str, error: Exception) -> Row:
        """The row that says why."""
        if not isinstance(error, WorkbenchError):
            traceback.print_exception(error)
            error = unforeseen(error)
        self.context.note(f"{name}: {error}")
        return {"name": name, "method": method, "error": str(error), "met": False}

    def _measured(self, name: str, method: str) -> tuple[Row, Run]:
        self.step += 1
        folder = self.work / name
        folder.mkdir(parents=True)
        made = folder / "model" if method else None
        order = self._order(folder, method, made)
        try:
            if made is not None:
                made.mkdir()
                run_in_subprocess(
                    make, order, self._progress("Making", name), self.context.check_cancelled
                )
            row = run_in_subprocess(take, order, self._progress("Measuring", name), self._stop)
            with np.load(folder / RUN) as kept:
                return row, Run(kept["documents"], kept["scores"])
        finally:
            if made is not None:
                shutil.rmtree(made, ignore_errors=True)

    def _order(self, folder: Path, method: str, made: Path | None) -> Order:
        recipe = self.recipe
        return Order(
            home=self.context.workspace.home,
            model=recipe.model,
            dataset=self.dataset.id,
            version=self.reader.version,
            split=self.split,
            max_queries=recipe.max_queries,
            candidates=recipe.candidates,
            device=recipe.device,
            seed=recipe.seed,
            exclude_query_document=recipe.exclude_query_document,
            trust_remote_code=self.context.workspace.trust_remote_code,
            folder=folder,
            vectors=not method and bool(recipe.vectors or recipe.dimensions),
            method=method,
            made=made,
        )

    def _stop(self) -> None:
        self.context.check_cancelled()

    def _progress(self, what: str, name: str) -> Any:
        message = f"{what} {name} ({self.step} of {self.steps})"
        self.context.progress(0, None, message=message)
        if what == "Making":
            return lambda _done, _total: None
        return lambda done, total: self.context.progress(done, total, "texts", message)

    # -- formats of the embeddings ---------------------------------------------------------------

    def _vectors(self, original: Row, full: Run) -> list[Row]:
        wanted = formats(self.recipe, original["dimensions"])
        if not wanted:
            return []
        folder = self.work / ORIGINAL
        queries, documents = written(folder, "query"), written(folder, "document")
        pool = asked_pool(self.reader, self.split, self.recipe)
        row, _ = self._coded(VectorFormat("float32"), original, queries, documents, pool)
        rows = [{**row, **_same(), "name": ORIGINAL, "bound": 0.0}]
        for format in wanted:
            self.context.check_cancelled()
            self.context.progress(0, None, message=f"Searching with {format.name}")
            try:
                row, run = self._coded(format, original, queries, documents, pool)
            except Exception as error:  # noqa: BLE001 - as with the methods
                rows.append(self._failed(format.name, format.method, error))
                continue
            rows.append(judged(row | _agreement(full, run), rows[0]))
        return rows

    def _coded(
        self, format: VectorFormat, original: Row, queries: Any, documents: Any, pool: Any
    ) -> tuple[Row, Run]:
        began = time.monotonic()
        codes = Codes.of(
            documents, format, unit=original["normalize"], rescored=self.recipe.rescore > 0
        )
        coded = time.monotonic() - began
        ready, about = (
            QuantizedIndex(codes),
            {"k": pool.depth(DEPTH), "rescore": self.recipe.rescore},
        )
        # The first search prepares what the others find ready.
        ready.search(queries[:1], order=pool.order, **about)
        began = time.monotonic()
        found = ready.search(queries, order=pool.order, **about)
        searched = time.monotonic() - began
        run = pool.without_own(found, DEPTH)
        per_query = original["milliseconds_per_query"] + 1000 * searched / len(queries)
        per_document = original["milliseconds_per_document"] + 1000 * coded / len(documents)
        row = {
            **score(pool, run).scores.means(),
            "name": format.name,
            "method": format.method,
            "dimensions": format.dimensions or original["dimensions"],
            "bytes": codes.bytes,
            "memory": codes.held,
            "milliseconds_per_query": per_query,
            "milliseconds_per_document": per_document,
            "bound": format.bound,
        }
        return row, run


def _agreement(full: Run, run: Run) -> Row:
    return {
        "overlap@10": overlap(full.documents, run.documents),
        "rank_correlation": rank_correlation(full.documents, run.documents),
    }


def _same() -> Row:
    """How the original agrees with itself."""
    return {"overlap@10": 1.0, "rank_correlation": 1.0, "lost": 0.0, "met": True}


def _panel(name: str, rows: list[Row], quicker: str = "") -> dict[str, Any]:
    """Rows with their place on the Pareto front, and what to take of them."""
    found = [row for row in rows if "error" not in row]
    for row, front in zip(found, on_front(found, WEIGHED[name]), strict=True):
        row["front"] = front
    if len(found) < 2:
        return {name: rows, f"{name}_take": "", f"{name}_why": ""}
    take_it, why = recommended(found, WEIGHED[name], quicker=quicker)
    return {name: rows, f"{name}_take": take_it, f"{name}_why": why}
