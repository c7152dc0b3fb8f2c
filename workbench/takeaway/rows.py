"""The training rows of a run as texts, in the run's order. Imports torch: worker processes only."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench.auto.asked import FOLDER, LOOK
from workbench.auto.folds import Material
from workbench.auto.look import Look
from workbench.auto.take import kept_look
from workbench.data.reader import DatasetReader
from workbench.errors import BadInput
from workbench.jobs.files import folder_of
from workbench.models.locate import locate
from workbench.takeaway.snippet import Origin
from workbench.training.epoch import batching, steps_of_epoch
from workbench.training.late_interaction import save_projection
from workbench.training.reranker import rows_of
from workbench.training.rows import TrainingRows, build_rows, fitted, load_texts, teacher_scores
from workbench.training.run import Place
from workbench.training.scored import Scored, scored_rows


def write_rows(workspace: Any, of: Origin, folder: Path) -> int:
    """Write query, positive and negatives of each training row as JSONL, once for each draw of its
    negatives, and the batches of each epoch; returns the number of rows.

    Raises :class:`BadInput` where the data is not what the run was trained on any more.
    """
    reader = _reader(workspace, of)
    scored = scored_rows(reader, of.recipe) if of.recipe.on_pairs else None
    rows = scored.rows if scored else _rows(workspace, of, reader)
    if len(rows) != of.resolved["training_rows"]:
        raise BadInput(
            f"The run had {of.resolved['training_rows']:,} training rows; its data set has "
            f"{len(rows):,} now.",
            "The data set was changed since; train again, then take the new run's script.",
        )
    with (folder / "rows.jsonl").open("w", encoding="utf-8") as file:
        for line in _pairs(scored) if scored else _lines(of, reader, rows):
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    with (folder / "batches.jsonl").open("w", encoding="utf-8") as file:
        for epoch in _epochs(of, reader, rows):
            file.write(json.dumps(epoch) + "\n")
    return len(rows)


def write_projection(workspace: Any, of: Origin, path: Path) -> None:
    """Save the projection (dimensions, width) that a run of late interaction began with."""
    reader = _reader(workspace, of)
    base = locate(workspace, of.recipe.model, of.recipe.kind)
    place = Place(of.resolved["device"], of.resolved["precision"])
    save_projection(reader, of.recipe, base, place, path)


def _reader(workspace: Any, of: Origin) -> DatasetReader:
    """The data set as the run saw it: one that decided its own steps was trained on the judged
    queries, those of a dev that the import carved from train among them, and where it was asked for
    negatives that the data lacks, on those that its look had found."""
    reader: DatasetReader = workspace.datasets.read(of.recipe.dataset, of.recipe.dataset_version)
    if "max_steps" not in of.decided:
        return reader
    material = Material.of(reader)
    lacking = material.lacks_negatives(of.recipe)
    return material.everything(_look(workspace, of, reader).mined if lacking else None)


def _look(workspace: Any, of: Origin, reader: DatasetReader) -> Look:
    """The run's look at the data: the job's own, or the one kept in the home."""
    folder = folder_of(workspace.home, of.model.job_id or "")
    base = locate(workspace, of.recipe.model, of.recipe.kind)
    found = Look.read(folder / "output" / FOLDER / LOOK)
    found = found or kept_look(workspace, of.recipe, reader, base)
    if found is None:
        raise BadInput(
            f"The negatives that '{of.model.name}' was trained with were found by the run's look "
            "at the data, which is gone with its job.",
            "Train again, then take the new run's script.",
        )
    return found


def _epochs(of: Origin, reader: DatasetReader, rows: TrainingRows) -> Iterator[list[list[int]]]:
    """Of each epoch that the run began, its batches."""
    made = batching(reader, rows, of.recipe, int(of.resolved.get("devices", 1)))
    begun = math.ceil(of.model.summary["steps"] / steps_of_epoch(of.recipe, made))
    for number in range(begun):
        yield [batch.tolist() for batch in made.epoch(number)]


def _rows(workspace: Any, of: Origin, reader: DatasetReader) -> TrainingRows:
    recipe: Any = of.recipe
    if not recipe.model_kind.reads_pairs:
        return build_rows(reader, recipe)
    place = Place(of.resolved["device"], of.resolved["precision"])
    return rows_of(workspace, reader, recipe, place, of.resolved.get("teacher", ""))


def _pairs(scored: Scored) -> Iterator[dict[str, Any]]:
    for at, score in enumerate(scored.scores.tolist()):
        yield {
            "query": scored.left.get([at])[0],
            "positive": scored.right.get([at])[0],
            "negatives": [],
            "label": score,
        }


def _lines(of: Origin, reader: DatasetReader, rows: TrainingRows) -> Iterator[dict[str, Any]]:
    recipe: Any = of.recipe
    queries, documents = load_texts(reader, rows, of.contract)
    labels = None
    if recipe.chosen_objective.rows == "teacher":
        labels = fitted(teacher_scores(reader, rows), recipe, of.contract, rows.draws).scores
    asked, right, *wrong = (column.tolist() for column in rows.columns.values())
    for at in range(len(asked)):
        negatives = [column[at] for column in wrong if column[at] >= 0]
        line: dict[str, Any] = {
            "query": queries.get([asked[at]])[0],
            "positive": documents.get([right[at]])[0],
            "negatives": documents.get(negatives) if negatives else [],
        }
        if labels is not None:
            line["label"] = labels[at]
        yield line
