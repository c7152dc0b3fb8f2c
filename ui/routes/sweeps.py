"""What the chart of a sweep asks for, again and again: new dev values of each run."""

from collections.abc import Mapping

from fastapi import APIRouter
from starlette.responses import Response

from ui.form import label
from ui.routes.points import cursor, metric_of, rows_after
from ui.routes.replies import Refused, reply
from ui.services import Services
from ui.words import t
from workbench.comparison.names import label as metric_label
from workbench.errors import JobNotFound
from workbench.records import Job
from workbench.takeaway.sweeps import Started, find_sweep


def router(services: Services) -> APIRouter:
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
