# ruff: noqa: ARG002 - the trainer calls these by name, with everything it has.
"""When a run evaluates, saves and stops."""

from typing import Any

from transformers import TrainerCallback

from workbench.jobs.context import JobContext
from workbench.recipes.idle import eval_steps
from workbench.recipes.train import TrainRecipe
from workbench.training.together import Together


class Cadence(TrainerCallback):
    """Sets the trainer's flags after each step.

    Saves at each dev evaluation unless ``save_steps`` says otherwise; whatever it says, a new best
    is saved, else there would be nothing to load, and so is the last step.
    """

    def __init__(
        self, recipe: TrainRecipe, context: JobContext, together: Together, *, has_dev: bool
    ) -> None:
        self.recipe = recipe
        self.together = together
        self.context = context
        self.has_dev = has_dev
        self.cancelled = False
        self.stopped_early = False

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        last = state.global_step >= state.max_steps
        if self.has_dev and (last or state.global_step % self.eval_steps(state.max_steps) == 0):
            control.should_evaluate = True
            control.should_save = control.should_save or self.recipe.save_steps is None
        if self.recipe.save_steps and state.global_step % self.recipe.save_steps == 0:
            control.should_save = True
        if self.together.agree(self.context.cancelled) and not last:
            # Saved at once; measuring it can wait until it is resumed.
            self.cancelled = True
            control.should_save = control.should_training_stop = True
            control.should_evaluate = False

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, float], **_: Any
    ) -> None:
        name = args.metric_for_best_model
        history = [entry[name] for entry in state.log_history if name in entry]
        best = history.index(max(history))
        if best == len(history) - 1:
            control.should_save = True
        patience = self.recipe.early_stopping
        if patience and len(history) - 1 - best >= patience:
            self.stopped_early = state.global_step < state.max_steps
            control.should_save = control.should_training_stop = True

    def eval_steps(self, total: int) -> int:
        return eval_steps(self.recipe, total)
