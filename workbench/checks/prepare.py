"""Checks a measured check's recipe when it is submitted."""

from workbench.jobs.slots import gpus
from workbench.recipes.devices import how_many
from workbench.recipes.measure import MeasureRecipe
from workbench.training.prepare import prepare_train
from workbench.workspace import Workspace


def prepare_measure(
    recipe: MeasureRecipe, workspace: Workspace, waits: bool = False
) -> MeasureRecipe:
    """The run's names looked up as for training; raises what training it would raise."""
    training = prepare_train(recipe.training(), workspace, waits)
    present = () if training.device == "cpu" else gpus()
    # The worker that measures sees its own device alone.
    devices = str(how_many(training.devices, present))
    return MeasureRecipe.of(training.model_copy(update={"devices": devices}), recipe.steps)
