"""Every number ever measured, whatever measured it: added to, and never written over."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage.records import Evaluation, Job, MetricRow
from workbench.comparison.names import CORRELATIONS, HEADLINE, METRICS
from workbench.comparison.table import EXCLUDED, LENGTHS, STAYED
from workbench.comparison.trained import ORIGINAL
from workbench.recipes.base import Recipe
from workbench.recipes.evaluate import EvaluateRecipe, MatrixRecipe
from workbench.tasks import all_tasks

if TYPE_CHECKING:
    from workbench.workspace import Workspace


# One line of the history: one model, measured once.

COMPARISON, MATRIX, TRAINING = "comparison", "matrix", "training"
QUANTIZATION, BLEND = "quantization", "blend"
#: What measured it.
SOURCES = (COMPARISON, MATRIX, TRAINING, QUANTIZATION, BLEND)

#: What a line says of a measurement, where it has it.
HEADLINES = (HEADLINE, "ndcg@10", "recall@100", *CORRELATIONS)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One model, measured once."""

    #: The evaluation's; of what is on record with a job alone, the job's with a place in it.
    id: str
    job: str | None
    #: One of ``SOURCES``.
    source: str
    measured_at: float
    model: str
    model_id: str | None
    #: Its name; ``dataset_id`` is '' where only the name is on record.
    dataset: str
    dataset_id: str
    #: Whether the data set is not there any more (another may have its name).
    removed: bool
    version: int | None
    split: str
    queries: int
    documents: int
    #: Of scored pairs: how many; then there are no queries.
    pairs: int
    #: The model cut to so many dimensions; None: used whole.
    cut_to: int | None
    #: While it was trained: after so many steps; None elsewhere.
    step: int | None
    searched: str
    metrics: dict[str, float]
    #: A query's, where that was measured.
    milliseconds: float | None
    #: Those that are not at their defaults.
    settings: dict[str, Any]

    def is_of(self, model: str | None, dataset: str | None, source: str | None) -> bool:
        """Whether it is by this model (alone, or as a part of a pipeline), on this data set, by
        this source; None is any."""
        return (
            (model is None or model in (self.model, *self.model.split(" + ")))
            and (dataset is None or dataset in (self.dataset, self.dataset_id))
            and (source is None or source == self.source)
        )


def headline_metrics(metrics: Mapping[str, float]) -> list[str]:
    """The few that a line says; of what has none of those, the first few it has."""
    found = [name for name in HEADLINES if name in metrics]
    return found or sorted(metrics)[: len(HEADLINES)]


def unusual(settings: Mapping[str, Any], recipe: type[Recipe], said: set[str]) -> dict[str, Any]:
    """Settings that are not at the recipe's defaults, but for those ``said`` elsewhere."""
    fields = recipe.model_fields
    return {
        name: value
        for name, value in settings.items()
        if name not in said and not (name in fields and fields[name].default == value)
    }


# Numbers that stand with the job that measured them: training on dev, quantizing, blending.

BASELINE, DEV = "baseline", "dev"
#: What a reranker starts from, until its job has said whose order that is.
FIRST_STAGE = "the first stage's order"
LAB_TASK, BLEND_TASK = "quantize-lab", "blend"
_SAID_OF_JOB = {"dataset", "dataset_version", "model", "name", "tuned", "base"}


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
    staged = staged or (result.get("baseline_name") or ORIGINAL) != ORIGINAL
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
    return {name: float(row[name]) for name in (*METRICS.names(), *CORRELATIONS) if name in row}


def _measured_how(job: Job) -> dict[str, Any]:
    """The lengths it was measured at, in place of those it was trained at, and what was left out of
    the rankings; {} in results from before they said so."""
    result = job.result or {}
    return {name: result[name] for name in (*LENGTHS, EXCLUDED, STAYED) if result.get(name)}


def _of_job(job: Job, source: str, id: str, removed: Removed, **values: Any) -> Measurement:
    tasks = all_tasks()
    # A record can be older than its task's name.
    recipe: type[Recipe] = tasks[job.task].recipe if job.task in tasks else Recipe
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
        settings={**unusual(job.recipe, recipe, _SAID_OF_JOB), **_measured_how(job)},
        **{**usual, **values},
    )


#: Of what is kept with an evaluation: said in columns of their own, or about the whole job.
_SAID = {"row", "kind", "searched", "cut_to", "pairs", "split", "dataset_version", "rerankers"}
_SAID |= {"second_dataset", "dimensions", "dataset"}


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
    second = result.get("second_dataset") or {}
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


# What a comparison's queries are divided by. Imports nothing, for the command line's options.

#: In words, as heads of tables.
BY = {
    "length": "Query length, characters",
    "language": "Language",
    "script": "Script",
    "relevant": "Relevant documents",
}


# Two runs' recipes, side by side: only what differs.


@dataclass(frozen=True, slots=True)
class Differing:
    """One field; None where a recipe does not have it."""

    field: str
    first: Any
    second: Any


def recipe_differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Differing]:
    """The fields whose values are not the same, in the first recipe's order, nested ones by path
    ('values.epochs')."""
    one, other = _flat(first), _flat(second)
    names = list(dict.fromkeys([*one, *other]))
    return [
        Differing(name, one.get(name), other.get(name))
        for name in names
        if one.get(name) != other.get(name)
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def value_text(value: Any) -> str:
    """A value as people read it in a table of differences."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "—"
    return str(value) or "—"
