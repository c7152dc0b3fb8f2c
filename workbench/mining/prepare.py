"""Checks mining when it is asked for, so that a wrong name stops at the click. Torch-free."""

from workbench.data.needs import no_queries
from workbench.data.parts import SPLITS
from workbench.errors import BadInput, BadRecipe
from workbench.evaluation.named import BM25
from workbench.models.resolve import resolve
from workbench.recipes.mine import MineRecipe
from workbench.workspace import Workspace


def prepare_mine(recipe: MineRecipe, workspace: Workspace, waits: bool = False) -> MineRecipe:
    """The recipe with the data set's version pinned; raises :class:`BadInput`.

    'bm25' named as the model is the method. ``waits``: another job comes first, and names that are
    not there yet are left for the run.
    """
    _refuse_no_room(recipe)
    changes: dict[str, object] = {}
    if recipe.method == "model" and recipe.model.strip().lower() == BM25:
        changes["method"] = BM25
    if workspace.datasets.exists(recipe.dataset):
        reader = workspace.datasets.read(recipe.dataset, recipe.dataset_version)
        if not any(reader.counts["splits"].get(name) for name in splits_of(recipe)):
            raise no_queries(reader, "train" if recipe.split == "all" else recipe.split)
        changes["dataset_version"] = reader.version
    elif not waits:
        workspace.datasets.get(recipe.dataset)
    recipe = recipe.model_copy(update=changes)
    if not waits:
        _check_models(recipe, workspace)
    return recipe


def _refuse_no_room(recipe: MineRecipe) -> None:
    """Said at the field: of ranks 10 to 12 nobody can take five."""
    least = recipe.range_min + recipe.num_negatives
    if recipe.method != "random" and recipe.range_max < least:
        said = (
            f"Behind the first {recipe.range_min}, up to rank {recipe.range_max}, there is no room "
            f"for {recipe.num_negatives} negatives."
        )
        raise BadRecipe(said, f"Set range_max to {least} or more.", fields={"range_max": said})


def splits_of(recipe: MineRecipe) -> tuple[str, ...]:
    return SPLITS if recipe.split == "all" else (recipe.split,)


def _check_models(recipe: MineRecipe, workspace: Workspace) -> None:
    """A hub model's kind shows in the run."""
    if recipe.method == "model":
        contract = resolve(workspace, recipe.model).contract
        if contract is not None and contract.kind != "embedding":
            raise no_miner(recipe.model)
    if recipe.reranker:
        contract = resolve(workspace, recipe.reranker).contract
        if contract is not None and contract.kind == "embedding":
            raise no_reranker(recipe.reranker)


def no_miner(name: str) -> BadInput:
    return BadInput(
        f"'{name}' cannot search: it is not an embedding model.",
        "Choose an embedding model, and this one as the reranker.",
    )


def no_reranker(name: str) -> BadInput:
    return BadInput(
        f"'{name}' is neither a reranker nor a late-interaction model.",
        "Choose it as the model that searches, or leave the reranker empty.",
    )
