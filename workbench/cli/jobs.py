"""``jobs``: what ran, what runs, what waits; and ``demo``, the jobs of the sample."""

import argparse
from dataclasses import asdict
from datetime import datetime
from typing import Any

from storage.records import Job
from workbench.cli import reports
from workbench.cli.output import columns, say, size_words
from workbench.cli.running import Commands, follow
from workbench.jobs.suggested import suggestions
from workbench.workspace import Workspace


def add(commands: Commands) -> None:
    actions = commands.group("jobs", "jobs: list, show, log, cancel, resume, remove, diff")
    for name, function, words in (
        ("list", _list, "all jobs, the newest first"),
        ("show", _show, "one job: recipe, progress, result, history"),
        ("log", _log, "the end of a job's log"),
        ("cancel", _cancel, "stop a job (a training run saves a checkpoint first)"),
        ("resume", _resume, "go on with a stopped job, and see it through"),
        ("remove", _remove, "delete a finished job's record and files"),
    ):
        action = actions.add(name, function, words)
        if name != "list":
            action.add_argument("job", help="the job's id, or its beginning")
    reports.add_diff(actions)


def _list(workspace: Workspace, _args: argparse.Namespace) -> tuple[Any, str]:
    found = workspace.jobs.list()
    rows = [[job.id, job.status.value, job.task, _when(job), job.name] for job in found]
    if not found:
        say("No jobs yet. Try: python -m workbench demo")
    text = columns(["id", "status", "task", "created", "name"], rows) if found else ""
    return [_about(job) for job in found], text


def _show(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    job = workspace.jobs.get(args.job)
    events = [asdict(event) for event in workspace.jobs.events(job.id)]
    size = workspace.jobs.bytes(job)
    document = {**_about(job), "events": events, "bytes": size}
    lines = [
        f"{job.id}  {job.name}  ({job.task})",
        f"status    {job.status.value}, attempt {job.attempt}",
        f"disk      {size_words(size)}",
    ]
    if job.error:
        lines.append(f"error     {job.error.get('message')} {job.error.get('hint', '')}".rstrip())
    lines += [f"fitting {at} {one['sentence']}" for at, one in enumerate(suggestions(job), start=1)]
    lines += [f"{_clock(event['at'])}  {event['kind']}  {event['detail']}" for event in events]
    return document, "\n".join(lines)


def _log(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    job = workspace.jobs.get(args.job)
    text = workspace.jobs.log_tail(job.id)
    return {"job": job.id, "log": text}, text


def _cancel(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    job = workspace.jobs.cancel(workspace.jobs.get(args.job).id)
    return _about(job), f"Asked '{job.name}' to stop."


def _resume(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    job = workspace.jobs.get(args.job)
    # Whoever started it could name no key for its endpoint that was not allowed.
    if job.recipe.get("endpoint") and job.recipe.get("key_variable"):
        pair = (str(job.recipe["key_variable"]), str(job.recipe["endpoint"]))
        workspace.endpoint_keys = workspace.endpoint_keys.also(*pair)
    job = workspace.jobs.resume(job.id)
    ended = follow(workspace, job)
    return _about(ended), f"'{ended.name}' is done."


def _remove(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    job = workspace.jobs.get(args.job)
    workspace.jobs.remove(job.id)
    return {"removed": job.id}, f"Removed the job '{job.name}'."


def _about(job: Job) -> dict[str, Any]:
    return {
        "job": job.id,
        "name": job.name,
        "task": job.task,
        "status": job.status.value,
        "attempt": job.attempt,
        "progress": job.progress,
        "recipe": job.recipe,
        "result": job.result,
        "error": job.error,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
    }


def _when(job: Job) -> str:
    return datetime.fromtimestamp(job.created_at).strftime("%Y-%m-%d %H:%M")


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")


# ``demo``: the sample, from data to search, without a browser.


def add_demo(commands: Commands) -> None:
    commands.add("demo", _demo, "run the sample: data, training, comparison, index")


def _demo(workspace: Workspace, _args: argparse.Namespace) -> tuple[Any, str]:
    from workbench.demo import collect, start

    started = start(workspace)
    for job in started.jobs:
        follow(workspace, workspace.jobs.get(job.id))
    document = collect(workspace, started)
    say(f"Done in {document['seconds']:.0f} seconds.")
    from workbench.comparison.table import build_table, to_text

    return document, to_text(build_table(document["evaluate"]))
