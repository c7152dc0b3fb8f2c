"""Checks a question when it is asked, so that bad input stops at the click. Torch-free."""

from pathlib import Path

from workbench.errors import BadInput, ModelUnusable
from workbench.models.resolve import resolve
from workbench.recipes.answer import AnswerRecipe
from workbench.recipes.describe import with_absolute_folders
from workbench.search.fields import parse
from workbench.synthesis.prepare import refuse_mute
from workbench.workspace import Workspace

LONGEST_QUESTION = 10_000


def prepare(workspace: Workspace, recipe: AnswerRecipe, question: str) -> AnswerRecipe:
    """The recipe with whole paths; raises :class:`BadInput` for what cannot be answered."""
    if not question.strip():
        raise BadInput("There is nothing to answer.", "Type a question.")
    if len(question) > LONGEST_QUESTION:
        raise BadInput(
            f"The question is longer than {LONGEST_QUESTION:,} characters.", "Shorten it."
        )
    workspace.indexes.get(recipe.index)
    workspace.endpoint_keys.variable(recipe)
    if recipe.where.strip():
        parse(recipe.where)
    if recipe.reranker:
        resolve(workspace, recipe.reranker)
    if not recipe.local_model:
        return recipe
    # The search process stands in another folder than the person.
    recipe = with_absolute_folders(recipe, workspace.models.exists)
    name = recipe.local_model
    found = resolve(workspace, name)
    if found.base is not None:
        raise ModelUnusable(f"'{name}' is an adapter.", "Merge it into its base model first.")
    if found.local:
        refuse_mute(Path(found.source), name)
    return recipe
