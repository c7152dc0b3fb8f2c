"""Numbers that stand with the job that measured them: training on dev, quantizing, blending."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from storage.records import Job, MetricRow
from workbench.comparison.conditions import EXCLUDED, LENGTHS, STAYED
from workbench.comparison.names import CORRELATIONS, METRICS
from workbench.recipes.base import Recipe
from workbench.reports.measurement import BLEND, QUANTIZATION, TRAINING, Measurement, unusual
from workbench.tasks import TASKS

if TYPE_CHECKING:
    from workbench.workspace import Workspace

BASELINE, DEV = "baseline", "dev"
#: What a reranker starts from, until its job has said whose order that is.
FIRST_STAGE = "the first stage's order"
LAB_TASK, BLEND_TASK = "quantize-lab", "blend"
_SAID = {"dataset", "dataset_version", "model", "name", "tuned", "base"}


def measured_by_jobs(workspace: "Workspace", jobs: Sequence[Job]) -> list[Measurement]:
    """What no evaluation is on record of."""
    there = {one.name: one.created_at for one in workspace.datasets.list()}

    def removed(name: str, at: float) -> bool:
        # Measured before a data set of this name was there: that was another one.
        return at < there.get(name, float("inf"))

    known = {job.id: job for job in jobs}
    rows: dict[str, list[MetricRow]] = defaultdict(list)
    for row in workspace.jobs.metrics_of_kinds((BASELINE, DEV)):
        rows[row.job_id].append(row)
    versions = {one.job_id: one.summary.get("dataset_version") for one in workspace.models.list()}
    found = [
        one
        for id, own in rows.items()
        if id in known
        for one in _trained(known[id], own, removed, versions.get(id))
    ]
    for job in jobs:
        if job.result and job.task in (LAB_TASK, BLEND_TASK):
            of_task = _lab if job.task == LAB_TASK else _blended
            found += of_task(job, job.result, removed)
    return found


Removed = Callable[[str, float], bool]


def _trained(
    job: Job, rows: Sequence[MetricRow], removed: Removed, version: int | None
) -> Iterator[Measurement]:
    """The base before the first step, and the model at each step that dev was measured at.
    ``version``: of the data, as the trained model has it on record."""
    result = job.result or {}
    base = str(job.recipe.get("model", ""))
    trained = str(result.get("model") or job.recipe.get("name") or job.name)
    # The baseline of a second stage is the first stage's order; the untrained model has a row too.
    staged = any(row.kind == DEV and row.step == 0 for row in rows)
    for row in rows:
        untrained = row.kind == BASELINE or row.step == 0
        name = base if untrained else trained
        if row.kind == BASELINE and staged:
            name = str(result.get("baseline_name") or FIRST_STAGE)
        yield _of_job(
            job,
            TRAINING,
            f"{job.id}:{row.kind}:{row.step}",
            removed,
            measured_at=row.at,
            model=name,
            model_id=None if untrained else result.get("model_id"),
            version=job.recipe.get("dataset_version") or version,
            queries=int(result.get("dev_queries") or 0),
            step=row.step,
            metrics=dict(row.values),
        )


def _lab(job: Job, result: Mapping[str, Any], removed: Removed) -> Iterator[Measurement]:
    """The original, and each smaller form of the model or of its vectors."""
    for panel in ("models", "vectors"):
        for at, row in enumerate(result.get(panel) or ()):
            if metrics := _metrics(row):
                yield _of_job(
                    job,
                    QUANTIZATION,
                    f"{job.id}:{panel}:{at}",
                    removed,
                    model=f"{result['model']}, {panel}: {row['name']}",
                    model_id=result.get("model_id"),
                    version=result.get("dataset_version"),
                    split=str(result.get("split", "")),
                    queries=int(result.get("queries") or 0),
                    documents=int(result.get("documents") or 0),
                    metrics=metrics,
                )


def _blended(job: Job, result: Mapping[str, Any], removed: Removed) -> Iterator[Measurement]:
    """Each ratio, on each of the data sets."""
    for at, row in enumerate(result.get("rows") or ()):
        yield _of_job(
            job,
            BLEND,
            f"{job.id}:{at}",
            removed,
            model=f"{row['ratio']:g} of {result['tuned']} and the rest of {result['base']}",
            dataset=str(row["dataset"]),
            version=row.get("dataset_version"),
            split=str(row.get("split", "")),
            queries=int(row.get("queries") or 0),
            metrics=_metrics(row),
        )


def _metrics(row: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(row[name]) for name in (*METRICS, *CORRELATIONS) if name in row}


def _measured_how(job: Job) -> dict[str, Any]:
    """The lengths it was measured at, in place of those it was trained at, and what was left out of
    the rankings; {} in results from before they said so."""
    result = job.result or {}
    return {name: result[name] for name in (*LENGTHS, EXCLUDED, STAYED) if result.get(name)}


def _of_job(job: Job, source: str, id: str, removed: Removed, **values: Any) -> Measurement:
    # A record can be older than its task's name.
    recipe: type[Recipe] = TASKS[job.task].recipe if job.task in TASKS else Recipe
    dataset = values.pop("dataset", None) or str(job.recipe.get("dataset", ""))
    usual: dict[str, Any] = {
        "measured_at": job.finished_at or job.created_at,
        "model_id": None,
        "version": job.recipe.get("dataset_version"),
        "split": DEV,
        "queries": 0,
        "documents": 0,
        "step": None,
    }
    return Measurement(
        id=id,
        job=job.id,
        source=source,
        dataset=dataset,
        dataset_id="",
        removed=removed(dataset, job.started_at or job.created_at),
        pairs=0,
        cut_to=None,
        searched="",
        milliseconds=None,
        settings={**unusual(job.recipe, recipe, _SAID), **_measured_how(job)},
        **{**usual, **values},
    )
