"""Which jobs changed, whether anything did, and whether the app is well: what pages ask for."""

import time

from fastapi import APIRouter
from starlette.responses import Response

from ui.routes.replies import reply
from ui.services import Services
from ui.words import known, t
from workbench.records import Job

#: A change is written a moment after its time was taken; asking a little back misses none.
OVERLAP = 2.0


def router(services: Services) -> APIRouter:
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
        "name": _name(job),
        "task": job.task,
        "status": job.status.value,
        "attempt": job.attempt,
        "finished": job.status.finished,
    }


def _name(job: Job) -> str:
    """A job that nobody named is called after its task; tasks from elsewhere have no words here."""
    words = f"task.{job.task}"
    return t(words) if job.name == job.task and known(words) else job.name
