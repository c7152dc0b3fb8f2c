"""The comparisons of a workspace: the newest, and the menu of earlier ones."""

from collections.abc import Collection, Sequence
from typing import Any

from ui.kit.choices import update
from ui.services import Services
from ui.words import t
from ui.words.amounts import ago
from workbench.recipes.evaluate import EvaluateRecipe
from workbench.records import Job

#: Past evaluations in the menu, newest first.
LISTED = 50


def evaluations(services: Services, dataset: str | None) -> Sequence[Job]:
    """This data set's evaluate jobs (all, if none is named), newest first."""
    workspace = services.workspace
    if dataset is None:
        return workspace.jobs.list(task=EvaluateRecipe.task, limit=LISTED)
    return workspace.jobs.about(dataset, EvaluateRecipe.task)[:LISTED]


def newest(services: Services, dataset: str | None, models: Collection[str] = ()) -> Job | None:
    """The newest evaluation on the data set in which all these models took part."""
    jobs = evaluations(services, dataset)
    return next((job for job in jobs if set(models) <= set(job.recipe["models"])), None)


def past_menu(services: Services, dataset: str | None, chosen: str | None) -> dict[str, Any]:
    """An update of the menu of past evaluations."""
    choices = [(_past_label(job), job.id) for job in evaluations(services, dataset)]
    ids = [id for _, id in choices]
    return update(choices, chosen if chosen in ids else None, visible=bool(choices))


def _past_label(job: Job) -> str:
    second = job.recipe.get("rerankers", ())
    return t(
        "compare.past_one",
        models=", ".join([*job.recipe["models"], *(f"+ {one}" for one in second)]),
        split=t(f"split.{job.recipe['split']}"),
        status=t(f"status.{job.status.value}"),
        when=ago(job.created_at),
    )
