"""Every number ever measured, whatever measured it: added to, and never written over."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from storage.records import Evaluation, Job
from workbench.recipes.evaluate import EvaluateRecipe
from workbench.recipes.matrix import MatrixRecipe
from workbench.reports.history_jobs import measured_by_jobs
from workbench.reports.measurement import COMPARISON, MATRIX, Measurement, unusual

if TYPE_CHECKING:
    from workbench.workspace import Workspace

#: Of what is kept with an evaluation: said in columns of their own, or about the whole job.
_SAID = {"row", "kind", "searched", "cut_to", "pairs", "split", "dataset_version", "rerankers"}
_SAID |= {"also", "dimensions", "dataset"}


def history(
    workspace: "Workspace",
    model: str | None = None,
    dataset: str | None = None,
    source: str | None = None,
) -> list[Measurement]:
    """Newest first; of one model (its name, also behind a first stage), of one data set (its name,
    or its id), by one of ``SOURCES`` only.

    Comparisons, matrices with each of their cutoffs, the dev values of each training with those of
    its base, what quantizing and blending cost.
    """
    jobs = {job.id: job for job in workspace.jobs.list()}
    names = _names(workspace, jobs)
    found = [_evaluated(one, names, jobs) for one in workspace.evaluations.list()]
    found += measured_by_jobs(workspace, list(jobs.values()))
    found.sort(key=lambda one: -one.measured_at)
    return [one for one in found if one.is_of(model, dataset, source)]


def _names(
    workspace: "Workspace", jobs: Mapping[str, Job]
) -> Callable[[Evaluation], tuple[str, bool]]:
    """What an evaluation's data set is called, and whether it was removed since.

    One that was removed is called what the job that measured it calls it.
    """
    here = {one.id: one.name for one in workspace.datasets.list()}

    def name(one: Evaluation) -> tuple[str, bool]:
        if one.dataset_id in here:
            return here[one.dataset_id], False
        job = jobs.get(one.job_id or "")
        told = _named_by(job, one.id) if job else None
        return told or str(one.settings.get("dataset") or one.dataset_id), True

    return name


def _named_by(job: Job, evaluation: str) -> str | None:
    result = job.result or {}
    second = result.get("also") or {}
    beside = (second.get("pairs") or {}).get("evaluations") or ()
    if evaluation in (*(second.get("evaluations") or ()), *beside):
        return str(second["dataset"])
    return job.recipe.get("dataset")


def _evaluated(
    one: Evaluation,
    name: Callable[[Evaluation], tuple[str, bool]],
    jobs: Mapping[str, Job],
) -> Measurement:
    settings = one.settings
    dataset, removed = name(one)
    row = _matrix_row(jobs.get(one.job_id or ""), one.id)
    return Measurement(
        id=one.id,
        job=one.job_id,
        source=COMPARISON if row is None else MATRIX,
        measured_at=one.created_at,
        model=one.model,
        model_id=one.model_id,
        dataset=dataset,
        dataset_id=one.dataset_id,
        removed=removed,
        version=one.version,
        split=one.split,
        queries=one.queries,
        documents=one.documents,
        pairs=int(settings.get("pairs") or 0),
        cut_to=settings.get("cut_to"),
        step=None,
        searched=str(settings.get("searched", "")),
        metrics={**(_cutoffs(row) if row else {}), **one.metrics},
        milliseconds=float(row["milliseconds"]["total"]) if row else None,
        settings=unusual(settings, EvaluateRecipe, _SAID),
    )


def _matrix_row(job: Job | None, evaluation: str) -> Mapping[str, Any] | None:
    """What a matrix says of its pipeline with this evaluation."""
    if job is None or job.task != MatrixRecipe.task:
        return None
    rows = (job.result or {}).get("rows") or ()
    return next((row for row in rows if row.get("evaluation") == evaluation), None)


def _cutoffs(row: Mapping[str, Any]) -> dict[str, float]:
    """'hit_rate@1', 'mrr@1' ... of every top k."""
    return {
        f"{name}@{one['k']}": float(value)
        for one in row["top"]
        for name, value in one.items()
        if name != "k"
    }
