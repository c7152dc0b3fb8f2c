"""What to change in a run that ran out of memory. Kept with its error: ``jobs/suggested.py``."""

import logging
from typing import Any

from storage.records import Job
from workbench.checks.fitting import suggest
from workbench.checks.footing import look
from workbench.checks.machine import free_memory
from workbench.errors import WorkbenchError
from workbench.recipes.base import Recipe
from workbench.recipes.measure import MeasureRecipe
from workbench.recipes.train import TrainRecipe
from workbench.tasks import read_recipe
from workbench.workspace import Workspace

logger = logging.getLogger(__name__)


def advice(job: Job, workspace: Workspace) -> list[dict[str, Any]]:
    """Suggestions for a training run or measured check that ran out of memory; none where its data
    set or model is gone."""
    try:
        recipe = _training(read_recipe(job.task, job.recipe))
        # Its own name may be taken by now; what is suggested has nothing to do with it.
        looked = look(workspace, recipe.model_copy(update={"name": ""}))
    except WorkbenchError as error:
        logger.warning("No settings can be suggested for job %s: %s", job.id, error)
        return []
    found = suggest(
        recipe,
        looked.footing,
        free_memory(looked.footing.gpu),
        adapter=looked.model.base is not None,
    )
    return [one.to_dict() for one in found]


def _training(recipe: Recipe) -> TrainRecipe:
    if isinstance(recipe, MeasureRecipe):
        return recipe.training()
    assert isinstance(recipe, TrainRecipe), f"{recipe.task} trains nothing"
    return recipe
