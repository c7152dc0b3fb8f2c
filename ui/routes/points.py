"""What the live chart, its badges and the log ask for, again and again: only what is new."""

from fastapi import APIRouter
from starlette.responses import Response

from ui.badges import badges
from ui.cards import error_text
from ui.routes.logtail import read_new
from ui.routes.replies import reply
from ui.services import Services
from ui.words import sentences
from workbench.comparison.names import HEADLINE, label
from workbench.jobs.files import LOG
from workbench.recipes.kinds import KINDS
from workbench.recipes.train_rerank import TrainCandidatesRecipe
from workbench.records import Job, MetricRow

#: Rows in one answer; the chart asks again at once while there are more.
MOST_ROWS = 20_000
#: Tasks whose models put a first stage's candidates in order.
SECOND_STAGE = frozenset(
    recipe.task for recipe in KINDS.values() if issubclass(recipe, TrainCandidatesRecipe)
)
TRAIN_SERIES = ("loss", "learning_rate", "grad_norm")


def router(services: Services) -> APIRouter:
    """Routes below /api/jobs/{id}."""
    routes = APIRouter()
    jobs = services.workspace.jobs

    @routes.get("/api/jobs/{id}/points")
    def points(id: str, after: int = 0) -> Response:
        """The rows after row ``after``, as columns per series, and how the job stands.

        The job is read first: a finished job has no rows beyond those that follow here.
        """
        job = jobs.get(id)
        rows, anew = rows_after(services, job.id, after)
        return reply(
            {
                "job": describe(job, rows),
                "metric": label(metric_of(job)),
                **cursor(rows, 0 if anew else after),
                "anew": anew,
                "series": columns(rows, metric_of(job)),
            }
        )

    @routes.get("/api/jobs/{id}/log")
    def log(id: str, start: int = -1) -> Response:
        """The log from byte ``start`` on; -1 for its tail. ``end`` is the next ``start``."""
        job = jobs.get(id)
        text, begin, end = read_new(jobs.folder(job.id) / LOG, start, job.status.finished)
        return reply({"text": text, "start": begin, "end": end, "finished": job.status.finished})

    return routes


def rows_after(services: Services, id: str, after: int) -> tuple[list[MetricRow], bool]:
    """The rows after row ``after``; and whether they are a job's first ones instead, since that row
    is gone. A resumed run takes back what it had reported beyond its checkpoint, the last rows
    first: as long as the last row that a page has is there, so are all the others that it has."""
    jobs = services.workspace.jobs
    if after > 0:
        rows = jobs.metrics(id, after - 1, MOST_ROWS + 1)
        if rows and rows[0].id == after:
            return rows[1:], False
    return jobs.metrics(id, 0, MOST_ROWS), after > 0


def cursor(rows: list[MetricRow], after: int) -> dict[str, object]:
    """What to ask for next, and whether there is something at once."""
    return {"last": rows[-1].id if rows else after, "more": len(rows) == MOST_ROWS}


def describe(job: Job, rows: list[MetricRow]) -> dict[str, object]:
    """A job as the chart shows it."""
    system = next((row.values for row in reversed(rows) if row.kind == "system"), {})
    return {
        "id": job.id,
        "name": job.name,
        "status": job.status.value,
        "finished": job.status.finished,
        "training": job.task.startswith("train"),
        # What its dashed line stands for: the first stage's order, not the untrained model.
        "second_stage": job.task in SECOND_STAGE,
        "message": sentences.said(str(job.progress.get("message") or ""))
        if not job.status.finished
        else "",
        "error": error_text(job.error) if job.error else "",
        "badges": badges(job, system),
    }


def metric_of(job: Job) -> str:
    """The dev metric that decides which checkpoint is best."""
    return str(job.recipe.get("metric") or HEADLINE)


def columns(rows: list[MetricRow], metric: str) -> dict[str, list[list[float]]]:
    """Rows as ``{series: [steps, values]}``; series without a new point are left out."""
    found: dict[str, list[list[float]]] = {}
    for row in rows:
        for series, key in _wanted(row.kind, metric):
            if key in row.values:
                steps, values = found.setdefault(series, [[], []])
                steps.append(row.step)
                values.append(row.values[key])
    return found


def _wanted(kind: str, metric: str) -> list[tuple[str, str]]:
    if kind == "train":
        return [(name, name) for name in TRAIN_SERIES]
    if kind in ("dev", "baseline"):
        return [(kind, metric)]
    return []
