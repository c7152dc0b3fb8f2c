"""Checks a pipeline matrix when it is submitted, so that a wrong name stops at the click."""

from workbench.data.needs import no_queries
from workbench.errors import BadInput
from workbench.evaluation.named import BM25, find, model_name, no_second_stage
from workbench.recipes.matrix import MatrixRecipe
from workbench.workspace import Workspace


def prepare_matrix(recipe: MatrixRecipe, workspace: Workspace, waits: bool = False) -> MatrixRecipe:
    """The recipe with each model once and the data set's version pinned; raises
    :class:`BadInput`. ``waits``: another job comes first, and names that are not there yet are left
    for the run."""
    changes: dict[str, object] = {
        "retrievers": list(dict.fromkeys(map(model_name, recipe.retrievers))),
        "rerankers": list(dict.fromkeys(map(model_name, recipe.rerankers))),
    }
    if workspace.datasets.exists(recipe.dataset):
        reader = workspace.datasets.read(recipe.dataset, recipe.dataset_version)
        if not reader.counts["splits"].get(recipe.split):
            raise no_queries(reader, recipe.split)
        changes["dataset_version"] = reader.version
    elif not waits:
        workspace.datasets.get(recipe.dataset)
    if not waits:
        # A hub model's kind shows in the run.
        for name in recipe.retrievers:
            if find(workspace, name).kind not in (BM25, "embedding", None):
                raise no_retriever(name)
        for name in recipe.rerankers:
            if find(workspace, name).kind in (BM25, "embedding"):
                raise no_second_stage(name)
    return recipe.model_copy(update=changes)


def no_retriever(name: str) -> BadInput:
    return BadInput(
        f"'{name}' cannot search all documents: it is no embedding model.",
        "Name it among the rerankers, and 'bm25' or an embedding model as the retriever.",
    )
