"""Sweeps that were started: which runs belong together, and how they stand. Torch-free."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from workbench.errors import BadInput, JobNotFound
from workbench.records import JobStatus
from workbench.takeaway.again import Sweep
from workbench.workspace import Workspace

#: In the home: a file per sweep, named by its first run.
FOLDER = "sweeps"


@dataclass(frozen=True, slots=True)
class Started:
    """A sweep that was queued: ``values`` and ``jobs`` (their ids) are in the same order."""

    fields: tuple[str, ...]
    values: tuple[dict[str, Any], ...]
    jobs: tuple[str, ...]


def start(workspace: Workspace, sweep: Sweep) -> Started:
    """Queue all runs in their order, and remember that they belong together."""
    jobs = tuple(workspace.jobs.submit(recipe).id for recipe in sweep.recipes)
    started = Started(sweep.fields, sweep.values, jobs)
    remember(workspace, started)
    return started


def remember(workspace: Workspace, started: Started) -> None:
    folder = workspace.path(FOLDER)
    folder.mkdir(exist_ok=True)
    beside = folder / f"{started.jobs[0]}.new"
    beside.write_text(json.dumps(asdict(started), indent=2) + "\n", encoding="utf-8")
    beside.replace(folder / f"{started.jobs[0]}.json")


def find_sweep(workspace: Workspace, job: str) -> Started | None:
    """The sweep that a run belongs to, if any."""
    return next((one for one in _all(workspace) if job in one.jobs), None)


def sweep_of(workspace: Workspace, job: str) -> Started:
    """As :func:`find_sweep`, by an id's beginning too; raises :class:`BadInput` for none."""
    found = find_sweep(workspace, workspace.jobs.get(job).id)
    if found is None:
        raise BadInput(f"Job {job} is no run of a sweep.", "Start one with 'sweep --from JOB'.")
    return found


def results(workspace: Workspace, started: Started) -> dict[str, Any]:
    """Where the runs stand: their values, and the deciding dev metric before and after.

    ``best`` is the id of the best run of those that have one. Runs that were removed are left out.
    """
    lines = [
        line
        for values, job in zip(started.values, started.jobs, strict=True)
        if (line := _line(workspace, values, job))
    ]
    measured = [line for line in lines if line["best"] is not None]
    # Runs that decide by different metrics cannot be put in one order.
    alike = len({line["metric"] for line in lines}) == 1
    best = (
        max(measured, key=lambda line: float(line["best"]))["job"] if measured and alike else None
    )
    succeeded = all(line["status"] == JobStatus.SUCCEEDED.value for line in lines)
    return {"fields": list(started.fields), "runs": lines, "best": best, "succeeded": succeeded}


def _line(workspace: Workspace, values: dict[str, Any], job: str) -> dict[str, Any] | None:
    try:
        now = workspace.jobs.get(job)
    except JobNotFound:
        return None
    result = now.result or {}
    metric = str(now.recipe["metric"])
    return {
        "values": values,
        "job": now.id,
        "name": now.name,
        "status": now.status.value,
        "model": result.get("model"),
        "metric": metric,
        "baseline": (result.get("baseline") or {}).get(metric),
        "best": (result.get("best") or {}).get(metric),
        "verdict": result.get("verdict"),
        "error": (now.error or {}).get("message"),
    }


def _all(workspace: Workspace) -> Iterator[Started]:
    for path in sorted(workspace.path(FOLDER).glob("*.json")):
        values = json.loads(path.read_text(encoding="utf-8"))
        yield Started(tuple(values["fields"]), tuple(values["values"]), tuple(values["jobs"]))
