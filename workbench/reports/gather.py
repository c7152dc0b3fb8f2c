"""Gathers one comparison for a report: everything the page shows, from what is on record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage.records import Job, JobStatus
from workbench.comparison.forgetting import Forgetting, forgetting, tables
from workbench.comparison.names import label
from workbench.comparison.slices import Slicing
from workbench.comparison.table import Table
from workbench.errors import BadInput, JobNotFound
from workbench.recipes.evaluate import EvaluateRecipe
from workbench.reports.kinds import BY
from workbench.reports.slices import slices_of

if TYPE_CHECKING:
    from workbench.workspace import Workspace

FORMATS = ("md", "html", "tex")
METHOD = (
    "Differences are paired, query by query (or pair by pair): a 95% bootstrap interval and a "
    "two-sided randomization test; where several models are compared at once, the verdict is by "
    "the p-value after Holm's correction, at 0.05."
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
    second = result.get("also")
    return Report(
        id=job.id,
        title=f"Comparison on {result['dataset']}",
        measured_at=job.finished_at or job.created_at,
        facts=tuple(_facts(result)),
        tables=(*tables(result), *(tables(second) if second else ())),
        forgotten=tuple(forgetting(result)),
        curves=tuple(curves(result, metric)),
        slicings=tuple(slices_of(workspace, result, metric)),
        settings=tuple(_settings(job.recipe)),
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
            *(f"{mean:.3f} [{low:.3f}, {high:.3f}]" for mean, low, high in part.values),
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
    second = result.get("also")
    if second:
        about = f"{second['dataset']}, version {second['dataset_version']}, {second['split']} split"
        found.append(("Check against forgetting", about))
    return found


def _settings(recipe: Mapping[str, Any]) -> list[tuple[str, str]]:
    fields = EvaluateRecipe.model_fields
    return [
        (name, ", ".join(map(str, value)) if isinstance(value, list) else str(value))
        for name, value in recipe.items()
        if name in fields and fields[name].default != value
    ]
