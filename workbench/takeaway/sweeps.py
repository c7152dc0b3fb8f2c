"""Sweeps that were started: which runs belong together, and how they stand. Torch-free."""

import itertools
import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from workbench.errors import BadInput, BadRecipe, JobNotFound
from workbench.models.contract import Contract
from workbench.models.resolve import resolve
from workbench.recipes.decided import as_written
from workbench.recipes.train import TrainRecipe
from workbench.records import JobStatus
from workbench.training.budget import DevPlan, Sizes
from workbench.training.budget import plan as plan_dev
from workbench.workspace import Workspace

# Run it again with a change: one run as a starting point, or several values.

#: A sweep of more runs than this is a mistake more often than a wish.
MOST_RUNS = 24
MOST_FIELDS = 2


def recipe_of(
    workspace: Workspace, job_id: str, *, free_name: bool = True, given: Collection[str] = ()
) -> TrainRecipe:
    """The recipe of a training run, under a name that is free; raises :class:`BadInput`.

    Without ``free_name`` it keeps its name: a sweep puts values behind it. The fields ``given``
    will have other values: what they name may be gone.
    """
    recipe = workspace.jobs.recipe(job_id, given)
    if not isinstance(recipe, TrainRecipe):
        raise BadInput(f"Job {job_id} is no training run.", "Name one that trained a model.")
    if not recipe.name or not free_name:
        return recipe
    return recipe.model_copy(update={"name": workspace.models.free_name(recipe.name)})


@dataclass(frozen=True, slots=True)
class Sweep:
    """Runs that differ in one or two fields. ``values`` and ``recipes`` are in the same order."""

    fields: tuple[str, ...]
    values: tuple[dict[str, Any], ...]
    recipes: tuple[TrainRecipe, ...]


def plan(workspace: Workspace, start: TrainRecipe, settings: Sequence[str]) -> Sweep:
    """Every combination of ``field=v1,v2`` settings as a recipe, named by its values.

    A value that has commas itself is given in a JSON list: ``matryoshka_dims=["16,8", ""]``.
    Raises :class:`BadInput`; then there is nothing to queue.
    """
    start = as_written(start)
    fields = dict(_read(setting, start) for setting in settings)
    if len(fields) != len(settings) or not 1 <= len(fields) <= MOST_FIELDS:
        raise BadInput(
            "A sweep changes one or two fields, each given once.",
            "Write --set learning_rate=1e-5,5e-5 and at most one other.",
        )
    combined = [
        dict(zip(fields, line, strict=True)) for line in itertools.product(*fields.values())
    ]
    if not 2 <= len(combined) <= MOST_RUNS:
        raise BadInput(
            f"That is {len(combined)} runs; a sweep has 2 to {MOST_RUNS}.",
            "Give more values, or fewer.",
        )
    kind = type(start)
    stem = start.name or "sweep"
    made = []
    for values in combined:
        name = workspace.models.free_name(run_name(stem, values))
        made.append(kind.read({**start.model_dump(mode="json"), **values, "name": name}))
    return Sweep(tuple(fields), tuple(combined), on_one_dev(workspace, made))


def on_one_dev(workspace: Workspace, recipes: Sequence[TrainRecipe]) -> tuple[TrainRecipe, ...]:
    """The recipes with the least dev of them all: measured on dev of several sizes, the best run
    could be the one that was asked the least."""
    plans = [_dev(workspace, one) for one in recipes if workspace.datasets.exists(one.dataset)]
    sizes = [found.sizes for found in plans if found]
    if not sizes:
        return tuple(recipes)
    least = Sizes(
        min(one.queries for one in sizes),
        min(one.documents for one in sizes),
        min(one.candidates for one in sizes),
    )
    return tuple(least.applied(one) for one in recipes)


def _dev(workspace: Workspace, recipe: TrainRecipe) -> DevPlan | None:
    reader = workspace.datasets.read(recipe.dataset, recipe.dataset_version)
    contract = resolve(workspace, recipe.model, recipe.kind).contract
    return plan_dev(reader, recipe, contract or Contract(), 1)


def swept(settings: Sequence[str]) -> list[str]:
    """The fields that ``field=v1,v2`` settings change."""
    return [setting.partition("=")[0].strip().replace("-", "_") for setting in settings]


def run_name(stem: str, values: dict[str, Any]) -> str:
    """'tea-batch_size-16-learning_rate-5e-05': plain letters, as file names have them."""
    parts = [f"{name}-{re.sub(r'[^A-Za-z0-9_.-]+', '_', str(values[name]))}" for name in values]
    tail = "-".join(parts)[:80]
    return f"{stem[: 119 - len(tail)]}-{tail}"


def _read(setting: str, start: TrainRecipe) -> tuple[str, list[Any]]:
    [name], (_, equals, text) = swept([setting]), setting.partition("=")
    if not equals:
        raise BadInput(f"'--set {setting}' has no '='.", "Write it as --set field=v1,v2,v3.")
    if name not in type(start).model_fields or name == "name":
        known = ", ".join(field for field in type(start).model_fields if field != "name")
        raise BadRecipe(f"There is no field named '{name}' to sweep.", f"Known fields: {known}.")
    return name, list(dict.fromkeys(_values(text)))


def _values(text: str) -> list[str]:
    if not text.lstrip().startswith("["):
        return [value.strip() for value in text.split(",") if value.strip()]
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadInput(f"{text} is no JSON list.", 'Write ["16,8", ""] for example.') from error
    return [str(value) for value in found]


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
