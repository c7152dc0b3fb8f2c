"""What open pages ask for, again and again: new points of a chart and lines of a log, which jobs
changed, whether anything did, and whether the app is well."""

import codecs
import time
from collections.abc import Mapping
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

from ui.kit.cards import badges, error_text
from ui.kit.form import label
from ui.routes.replies import Refused, reply
from ui.services import Services
from ui.words import known, sentences, t
from ui.words.sentences import metric_label
from workbench.comparison.names import HEADLINE
from workbench.comparison.trained import ORIGINAL
from workbench.errors import JobNotFound
from workbench.jobs.files import LOG
from workbench.model_kinds import scoring
from workbench.records import Job, MetricRow
from workbench.takeaway.sweeps import Started, find_sweep

# Reading a growing log piece by piece: whole lines, and of progress bars only the last state.

#: What one answer carries at most, and how much of an old log is shown.
MOST_BYTES = 64 * 1024


def read_new(path: Path, start: int, finished: bool) -> tuple[str, int, int]:
    """Text of a log from byte ``start``: (text, where it begins, where the next piece begins).

    ``start`` of -1, or one that is beyond the file or too far behind it, gives the tail from the
    start of a line: where the text begins then differs from ``start``, and the page begins anew.
    While the job runs, a line that is not complete is left for the next time.
    """
    if not path.is_file():
        return "", 0, 0
    size = path.stat().st_size
    begin = start if 0 <= size - start <= MOST_BYTES and start >= 0 else max(0, size - MOST_BYTES)
    with path.open("rb") as file:
        file.seek(begin)
        data = file.read(MOST_BYTES)
    if begin > 0 and begin != start:
        cut = data.find(b"\n") + 1
        begin, data = begin + cut, data[cut:]
    if not finished and len(data) < MOST_BYTES:
        data = data[: data.rfind(b"\n") + 1]
    return _plain_text(data), begin, begin + len(data)


def _plain_text(data: bytes) -> str:
    text = codecs.decode(data, "utf-8", "replace").replace("\r\n", "\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


#: Rows in one answer; the chart asks again at once while there are more.
MOST_ROWS = 20_000
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
                "metric": metric_label(metric_of(job)),
                **cursor(rows, 0 if anew else after),
                "anew": anew,
                "parts": parts(rows),
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
        "second_stage": job.task.removeprefix("train-") in scoring()
        and (job.result or {}).get("baseline_name") != ORIGINAL,
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


def parts(rows: list[MetricRow]) -> list[dict[str, int]]:
    """Where the trainings of a run begin that trains several models: at which step, the first or
    second ... ``of`` how many; 0 of 0 trains the model that is kept."""
    return [
        {"step": row.step, **{name: int(row.values[name]) for name in ("number", "of")}}
        for row in rows
        if row.kind == "part"
    ]


def _wanted(kind: str, metric: str) -> list[tuple[str, str]]:
    if kind == "train":
        return [(name, name) for name in TRAIN_SERIES]
    if kind in ("dev", "baseline"):
        return [(kind, metric)]
    return []


# What the chart of a sweep asks for, again and again: new dev values of each run.


def sweep_router(services: Services) -> APIRouter:
    """Routes below /api/sweeps/{id}; the id is that of any of its runs."""
    routes = APIRouter()

    @routes.get("/api/sweeps/{id}/points")
    def points(id: str, after: str = "") -> Response:
        """The rows after those named in ``after`` ('job:row,job:row'), for each run that is still
        there, in the sweep's order."""
        started = find_sweep(services.workspace, id)
        if started is None:
            raise Refused(404, t("refused.http", detail="Not Found"))
        runs = [
            _run(services, job, name, seen)
            for job, name, seen in _known(services, started, _rows_seen(after))
        ]
        metric = metric_label(_metric(services, started))
        return reply({"metric": metric, "runs": runs})

    return routes


def run_name(values: Mapping[str, object]) -> str:
    """What a run of a sweep is called: the values it was given."""
    return ", ".join(f"{label(field)} {value}" for field, value in values.items())


def _rows_seen(after: str) -> dict[str, int]:
    pairs = (part.partition(":") for part in after.split(",") if part)
    return {job: int(row) for job, _, row in pairs if row.isdigit()}


def _known(
    services: Services, started: Started, seen: Mapping[str, int]
) -> list[tuple[Job, str, int]]:
    found = []
    for values, id in zip(started.values, started.jobs, strict=True):
        try:
            job = services.workspace.jobs.get(id)
        except JobNotFound:
            continue
        found.append((job, run_name(values), seen.get(id, 0)))
    return found


def _metric(services: Services, started: Started) -> str:
    return next((metric_of(job) for job, *_ in _known(services, started, {})), "")


def _run(services: Services, job: Job, name: str, after: int) -> dict[str, object]:
    """The job is read first: a finished one has no rows beyond those that follow here."""
    rows, anew = rows_after(services, job.id, after)
    metric = metric_of(job)
    measured = [row for row in rows if row.kind in ("dev", "baseline") and metric in row.values]
    dev = [row for row in measured if row.kind == "dev"]
    baselines = [row.values[metric] for row in measured if row.kind == "baseline"]
    return {
        "job": job.id,
        "name": name,
        "finished": job.status.finished,
        **cursor(rows, 0 if anew else after),
        "anew": anew,
        "steps": [row.step for row in dev],
        "values": [row.values[metric] for row in dev],
        "baseline": baselines[-1] if baselines else None,
    }


# Which jobs changed, whether anything did, and whether the app is well.

#: A change is written a moment after its time was taken; asking a little back misses none.
OVERLAP = 2.0


def changes_router(services: Services) -> APIRouter:
    """GET /api/changes, GET /api/state and GET /healthz."""
    routes = APIRouter()
    jobs = services.workspace.jobs

    @routes.get("/api/changes")
    def changes(since: float | None = None) -> Response:
        """Jobs whose status changed since then. Without ``since``: none, only the time."""
        now = time.time()
        found = [] if since is None else jobs.changes(since - OVERLAP)
        return reply({"now": now, "jobs": [brief(job) for job in found]})

    @routes.get("/api/state")
    def state() -> Response:
        """A text that differs once anything did that a tab lists."""
        return reply({"state": services.workspace.store.state()})

    @routes.get("/healthz")
    def health() -> Response:
        return reply({"status": "ok", "version": services.version})

    return routes


def brief(job: Job) -> dict[str, object]:
    return {
        "id": job.id,
        "name": _job_name(job),
        "task": job.task,
        "status": job.status.value,
        "attempt": job.attempt,
        "finished": job.status.finished,
    }


def _job_name(job: Job) -> str:
    """A job that nobody named is called after its task; tasks from elsewhere have no words here."""
    words = f"task.{job.task}"
    return t(words) if job.name == job.task and known(words) else job.name
