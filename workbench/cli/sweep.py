"""``sweep``: several runs that differ in one or two fields, and how they compare."""

import argparse
from typing import Any

from storage.records import Job
from workbench.cli.output import columns, say
from workbench.cli.running import JobFailed, follow, read_values
from workbench.errors import BadInput
from workbench.recipes.train import KINDS, TrainRecipe
from workbench.takeaway.sweeps import plan, recipe_of, results, start, sweep_of
from workbench.workspace import Workspace


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    sweeping = commands.add_parser(
        "sweep", parents=[shared], help="train several times, with one or two fields changed"
    )
    source = sweeping.add_mutually_exclusive_group(required=True)
    source.add_argument("--from", dest="job", metavar="JOB", help="a run to start from")
    source.add_argument("--show", metavar="JOB", help="show the results of this run's sweep")
    source.add_argument("--recipe", dest="recipe_file", metavar="FILE", help="a recipe.json")
    sweeping.add_argument(
        "--kind", choices=list(KINDS), default=next(iter(KINDS)), help="what --recipe trains"
    )
    sweeping.add_argument(
        "--set",
        dest="changes",
        action="append",
        default=[],
        metavar="FIELD=V1,V2,V3",
        help="the values to try; given twice, every combination of two fields",
    )
    sweeping.add_argument("--queue", action="store_true", help="queue the runs and return at once")
    sweeping.set_defaults(command=_sweep)


def _sweep(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    if args.show:
        started = sweep_of(workspace, args.show)
    else:
        started = start(workspace, plan(workspace, _first(workspace, args), args.changes))
        for job in () if args.queue else started.jobs:
            _see_through(workspace, workspace.jobs.get(job))
    found = results(workspace, started)
    return found, _table(found)


def _first(workspace: Workspace, args: argparse.Namespace) -> TrainRecipe:
    if args.job:
        return recipe_of(workspace, args.job, free_name=False)
    values = read_values(args, KINDS[args.kind])
    # A job's recipe.json holds the recipe, and beside it whose it is.
    if isinstance(values.get("recipe"), dict):
        kinds = {recipe.task: recipe for recipe in KINDS.values()}
        if values.get("task") not in kinds:
            raise BadInput(f"{args.recipe_file} is no recipe of a training run.", "Name another.")
        return kinds[values["task"]].read(values["recipe"])
    return KINDS[args.kind].read(values)


def _see_through(workspace: Workspace, job: Job) -> None:
    """One run that fails does not end the others; the table says so."""
    try:
        follow(workspace, job)
    except JobFailed as error:
        say(f"{job.name}: {error.message}")


def _table(found: dict[str, Any]) -> str:
    fields = found["fields"]
    metric = found["runs"][0]["metric"]
    rows = [
        [
            *(run["values"][field] for field in fields),
            _number(run["baseline"]),
            _number(run["best"]) + (" *" if run["job"] == found["best"] else ""),
            run["status"],
            run["model"] or "",
            run["job"],
        ]
        for run in found["runs"]
    ]
    header = [*fields, "baseline", f"best {metric}", "status", "model", "job"]
    return columns(header, rows)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
