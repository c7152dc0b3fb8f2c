"""The settings that were suggested when a job ran out of memory, and the job with one of them."""

from typing import TYPE_CHECKING, Any

from storage.records import Job
from workbench.errors import BadInput
from workbench.recipes.base import Recipe
from workbench.recipes.decided import with_changes
from workbench.recipes.evaluate import MeasureRecipe

if TYPE_CHECKING:
    from workbench.workspace import Workspace


def suggestions(job: Job) -> list[dict[str, Any]]:
    """Each with 'changes', 'sentence', 'memory' and 'fits'; [] for any other ending."""
    found = (job.error or {}).get("suggestions")
    return list(found) if isinstance(found, list) else []


def suggestion(job: Job, number: int) -> dict[str, Any]:
    """The one of this number, from 1; raises :class:`BadInput` where there is none."""
    known = suggestions(job)
    if 1 <= number <= len(known):
        return known[number - 1]
    if not known:
        raise BadInput(
            f"Nothing was suggested for the job {job.id}.",
            "Only a training run that ran out of memory has suggestions.",
        )
    raise BadInput(
        f"The job {job.id} has no suggestion {number}.", f"Give a number from 1 to {len(known)}."
    )


def fitting(workspace: "Workspace", job: Job, number: int) -> Recipe:
    """The job's recipe with that suggestion, under a name that is free."""
    changes = suggestion(job, number)["changes"]
    recipe = workspace.jobs.recipe(job.id)
    if isinstance(recipe, MeasureRecipe):
        values = with_changes(recipe.training(), changes).model_dump(mode="json")
        return MeasureRecipe.read({**recipe.model_dump(mode="json"), "values": values})
    name = str(getattr(recipe, "name", ""))
    return with_changes(
        recipe, {**({"name": workspace.models.free_name(name)} if name else {}), **changes}
    )
