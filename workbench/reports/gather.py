"""Gathers one comparison for a report: everything the page shows, from what is on record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from storage.records import Evaluation, Job, JobStatus, Model
from workbench.comparison.names import HEADLINE, label
from workbench.comparison.slices import Slicing, mean_text, slicings
from workbench.comparison.table import (
    ALL_CAPTIONS,
    Table,
    excluded,
    excludes,
    lengths,
    markdown_line,
)
from workbench.comparison.text import Forgetting, forgetting, tables
from workbench.data.clusters import query_clusters
from workbench.errors import BadInput, JobNotFound, NotFound
from workbench.recipes.base import Recipe
from workbench.recipes.evaluate import EvaluateRecipe
from workbench.reports.history import BY

if TYPE_CHECKING:
    from workbench.workspace import Workspace


# Slices of an evaluation on record, from its saved per-query values and the data set's texts.

#: As ``workbench.evaluation.results`` names it, which is not imported here.
QUERIES_FILE = "queries.parquet"


def slices_of(
    workspace: "Workspace", result: Mapping[str, Any], metric: str = HEADLINE, seed: int = 7
) -> list[Slicing]:
    """The metric by kinds of queries, over the queries that every row of the table was asked.

    Empty where the data set, or what was measured per query, is not there any more.
    """
    try:
        kept = [workspace.evaluations.get(id) for id in result.get("evaluations") or ()]
        values = _values(workspace, kept, metric)
        if not values:
            return []
        # By id: another data set may have the name by now.
        reader = workspace.datasets.read(kept[0].dataset_id, kept[0].version)
    except NotFound:
        return []
    asked = np.array(sorted(set.intersection(*(set(one) for one in values.values()))), np.int64)
    if not len(asked):
        return []
    texts = _texts(reader, result["split"])
    judged = reader.judgments(result["split"])
    judged = judged.filter(pc.greater_equal(judged["grade"], 1))
    relevant, documents = (judged[name].to_numpy() for name in ("query", "document"))
    answered, counts = np.unique(relevant, return_counts=True)
    answers = dict(zip(answered.tolist(), counts.tolist(), strict=True))
    queries = asked.tolist()
    return slicings(
        [texts[query] for query in queries],
        [answers.get(query, 0) for query in queries],
        {name: np.array([one[query] for query in queries]) for name, one in values.items()},
        metric=metric,
        seed=seed,
        clusters=query_clusters(asked, relevant, documents),
    )


def _values(
    workspace: "Workspace", rows: Sequence[Evaluation], metric: str
) -> dict[str, dict[int, float]]:
    """Row of the table -> query row -> value; nothing where one of them has none."""
    found: dict[str, dict[int, float]] = {}
    for one in rows:
        if one.settings.get("searched") == ALL_CAPTIONS:
            continue  # Its queries are pictures, which have neither length nor script.
        path = workspace.path(one.path) / QUERIES_FILE
        if not path.is_file() or metric not in pq.read_schema(path).names:
            return {}
        table = pq.read_table(path, columns=["query", metric])
        columns = (table[name].to_pylist() for name in ("query", metric))
        found[str(one.settings.get("row") or one.model)] = dict(zip(*columns, strict=True))
    return found


def _texts(reader: Any, split: str) -> dict[int, str]:
    table = reader.queries(split)
    return dict(zip(table["row"].to_pylist(), table["text"].to_pylist(), strict=True))


FORMATS = ("md", "html", "tex")
METHOD = (
    "Differences are paired, query by query (or pair by pair): a 95% bootstrap interval and a "
    "two-sided randomization test, both by groups of queries that share relevant documents; where "
    "several models are compared at once, the verdict is by the p-value after Holm's correction, "
    "at 0.05, and the intervals are widened with it."
)


@dataclass(frozen=True, slots=True)
class Curve:
    """One model's metric at several numbers of dimensions, the fewest first."""

    model: str
    metric: str
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """One comparison, ready to be written down."""

    id: str
    title: str
    measured_at: float
    #: Name and value: data set, version, split and so on.
    facts: tuple[tuple[str, str], ...]
    tables: tuple[Table, ...]
    forgotten: tuple[Forgetting, ...]
    curves: tuple[Curve, ...]
    slicings: tuple[Slicing, ...]
    #: The recipe's fields that are not at their defaults.
    settings: tuple[tuple[str, str], ...]


def gather(workspace: "Workspace", id: str) -> Report:
    """``id``: an evaluate job's, or that of any of its evaluations. Raises :class:`NotFound`, and
    :class:`BadInput` where the job is no finished comparison."""
    job = job_of(workspace, id)
    if job.task != EvaluateRecipe.task:
        raise BadInput(
            f"'{job.name}' is no comparison.", "Give the id of an evaluate or a matrix job."
        )
    if job.status is not JobStatus.SUCCEEDED or not job.result:
        raise BadInput(
            f"'{job.name}' has no result: it is {job.status.value}.", "Run the comparison again."
        )
    result = job.result
    metric = str(job.recipe.get("metric", "map@100"))
    second = result.get("second_dataset")
    return Report(
        id=job.id,
        title=f"Comparison on {result['dataset']}",
        measured_at=job.finished_at or job.created_at,
        facts=tuple(_facts(result)),
        tables=(*tables(result), *(tables(second) if second else ())),
        forgotten=tuple(forgetting(result)),
        curves=tuple(curves(result, metric)),
        slicings=tuple(slices_of(workspace, result, metric)),
        settings=tuple(settings_of(job.recipe, EvaluateRecipe)),
    )


def job_of(workspace: "Workspace", id: str) -> Job:
    """The job with this id, or the one that measured the evaluation with this id."""
    try:
        return workspace.jobs.get(id)
    except JobNotFound:
        found = workspace.evaluations.get(id)
        if found.job_id is None:
            raise
        return workspace.jobs.get(found.job_id)


def curves(result: Mapping[str, Any], metric: str) -> list[Curve]:
    """The metric by number of dimensions, a curve per model; none where that was not measured."""
    points: dict[str, list[tuple[int, float]]] = {}
    for row in result.get("dimensions") or ():
        points.setdefault(row["model"], []).append((int(row["dimensions"]), float(row[metric])))
    return [Curve(model, metric, tuple(sorted(found))) for model, found in points.items()]


def curve_table(found: Sequence[Curve]) -> tuple[list[str], list[list[str]]]:
    """Heads and cells: a row per number of dimensions; empty where a model has no such point."""
    sizes = sorted({size for one in found for size, _ in one.points})
    heads = [f"Dimensions ({label(found[0].metric)})", *(one.model for one in found)]
    values = [dict(one.points) for one in found]
    rows = [
        [str(size), *(f"{one[size]:.3f}" if size in one else "" for one in values)]
        for size in sizes
    ]
    return heads, rows


def slice_table(one: Slicing) -> tuple[list[str], list[list[str]]]:
    """Heads and cells: a row per slice, each model's mean with its interval."""
    heads = [f"{BY[one.by]} ({label(one.metric)})", "Queries", *one.models]
    rows = [
        [
            part.name,
            str(part.queries),
            *(mean_text(*one) for one in part.values),
        ]
        for part in one.slices
    ]
    return heads, rows


def _facts(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = [
        ("Data set", f"{result['dataset']}, version {result.get('dataset_version', '?')}"),
        ("Split", str(result["split"])),
    ]
    if result.get("documents"):
        found.append(("Documents", f"{result['documents']:,}"))
    if result.get("pairs"):
        found.append(("Scored pairs", f"{result['pairs']['pairs']:,}"))
    second = result.get("second_dataset")
    if second:
        about = f"{second['dataset']}, version {second['dataset_version']}, {second['split']} split"
        found.append(("Check against forgetting", about))
    return found


def settings_of(recipe: Mapping[str, Any], kind: type[Recipe]) -> list[tuple[str, str]]:
    """The fields of a job's recipe that are not at their defaults, with their values."""
    fields = kind.model_fields
    return [
        (name, ", ".join(map(str, value)) if isinstance(value, list) else str(value))
        for name, value in recipe.items()
        if name in fields and fields[name].default != value
    ]


# The table people publish: ``Model | Original | Finetuned``, one row per base model.


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """A base model and a model trained from it, measured alike."""

    model: str
    original: float
    finetuned: float
    #: Which model, and what it was measured on.
    trained: str
    version: int
    queries: int
    measured_at: float
    #: Of the base and of the trained model: the name, the lengths, and what was left out.
    measured: tuple[Mapping[str, Any], ...] = ()


def published(
    workspace: "Workspace", dataset: str, split: str = "test", metric: str = HEADLINE
) -> list[PublishedRow]:
    """Of each base model: itself, and the newest model trained from it that was measured in the
    same way on the same version. The newest, not the best: the best of many on test is too good.
    """
    kept = [
        one for one in workspace.evaluations.list(dataset, split) if _counts_as_row(one, metric)
    ]
    models = {model.id: model for model in workspace.models.list()}
    rows: dict[str, PublishedRow] = {}
    for one in kept:  # newest first
        tuned = models.get(one.model_id or "")
        if tuned is None or not tuned.base or _short(tuned.base) in rows:
            continue
        original = _original(one, tuned, kept)
        if original is not None:
            rows[_short(tuned.base)] = PublishedRow(
                model=_short(tuned.base),
                original=original.metrics[metric],
                finetuned=one.metrics[metric],
                trained=one.model,
                version=one.version,
                queries=one.queries,
                measured_at=one.created_at,
                measured=tuple({**its.settings, "model": its.model} for its in (original, one)),
            )
    return sorted(rows.values(), key=lambda row: row.model.lower())


def published_markdown(rows: Sequence[PublishedRow], metric: str = HEADLINE) -> str:
    """As it is pasted into a model card; the better of the two in bold."""
    head = ["Model", f"Original ({label(metric)})", f"Finetuned ({label(metric)})"]
    lines = [markdown_line(head), markdown_line(["---", "---:", "---:"])]
    for row in rows:
        original, finetuned = f"{row.original:.3f}", f"{row.finetuned:.3f}"
        if original < finetuned:
            finetuned = f"**{finetuned}**"
        elif original > finetuned:
            original = f"**{original}**"
        lines.append(markdown_line([row.model, original, finetuned]))
    if said := published_notes(rows):
        lines += ["", " ".join(said)]
    return "\n".join(lines) + "\n"


def published_notes(rows: Sequence[PublishedRow]) -> list[str]:
    """How the rows were measured, in sentences."""
    measured = [one for row in rows for one in row.measured]
    left_out = next((said for one in measured if (said := excluded(one))), [])
    return [*left_out, *lengths(measured)]


def _counts_as_row(one: Evaluation, metric: str) -> bool:
    """Not a model cut to fewer dimensions or read at other lengths than its own, not the order of a
    first stage, not pictures that search captions: one number a model."""
    settings = one.settings
    whole = not settings.get("cut_to") and settings.get("own_lengths", True)
    whole = whole and settings.get("kind") != "first-stage"
    whole = whole and settings.get("searched") != ALL_CAPTIONS
    return whole and metric in one.metrics


def _original(one: Evaluation, tuned: Model, kept: Sequence[Evaluation]) -> Evaluation | None:
    """The base in the same place: alone, or behind the same first stage."""
    stage, plus, _ = one.model.rpartition(" + ")
    wanted = {stage + plus + name for name in (tuned.base or "", _short(tuned.base or ""))}
    found = (other for other in kept if other.model in wanted and _alike(other, one))
    return next(found, None)


def _alike(one: Evaluation, other: Evaluation) -> bool:
    return _manner(one) == _manner(other)


def _manner(one: Evaluation) -> tuple[object, ...]:
    settings = one.settings
    fewer = settings.get("max_queries")
    chosen = (fewer, settings.get("seed") if fewer else None)
    return (one.version, one.queries, settings.get("searched"), *excludes(settings), *chosen)


def _short(name: str) -> str:
    """A folder's name where the base was given by its path."""
    return PurePath(name).name if name.startswith(("/", ".", "~")) else name
