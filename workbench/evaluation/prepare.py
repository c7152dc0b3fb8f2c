"""What evaluations and matrices alone are checked for when they are submitted."""

from workbench.comparison.table import PIPELINE, RERANKING, RETRIEVAL
from workbench.data.reader import DatasetReader, no_queries
from workbench.errors import BadInput
from workbench.evaluation.candidates import brought, none_given
from workbench.evaluation.named import (
    BM25,
    find,
    first_stage_name,
    model_name,
    no_search,
    nothing_to_order,
)
from workbench.evaluation.same_length import base_of
from workbench.model_kinds import MODEL_KINDS, first_stages, scoring
from workbench.prepare import judged
from workbench.recipes.evaluate import EvaluateRecipe, MatrixRecipe
from workbench.workspace import Workspace


def prepare_evaluate(recipe: EvaluateRecipe, workspace: Workspace, waits: bool) -> EvaluateRecipe:
    """The recipe with each model once; raises a :class:`BadInput` where what is asked of the models
    does not go together."""
    changes: dict[str, object] = {
        "models": _once(recipe.models),
        "rerankers": _once(recipe.rerankers),
        "bases_at_length_of": _once(recipe.bases_at_length_of),
        "first_stage": first_stage_name(recipe.first_stage),
    }
    recipe = recipe.model_copy(update=changes)
    if not waits:
        if recipe.second_dataset:
            _check_second(recipe, workspace)
        for name in recipe.bases_at_length_of:
            base_of(workspace, name)
        # A hub model's kind shows in the run.
        kinds = [find(workspace, name).kind for name in recipe.models]
        _check_mode(recipe, workspace, kinds)
        if recipe.rerankers and not {BM25, *first_stages(), None} & set(kinds):
            raise nothing_to_order()
    return recipe


def prepare_matrix(recipe: MatrixRecipe, _workspace: Workspace, _waits: bool) -> MatrixRecipe:
    """The recipe with each model once."""
    changes = {"retrievers": _once(recipe.retrievers), "rerankers": _once(recipe.rerankers)}
    return recipe.model_copy(update=changes)


def _check_mode(recipe: EvaluateRecipe, workspace: Workspace, kinds: list[str | None]) -> None:
    """The models can be measured in the evaluation mode that is asked for."""
    if recipe.evaluation_mode in (RETRIEVAL, RERANKING) and recipe.rerankers:
        raise BadInput(
            f"A second stage has no part in '{recipe.evaluation_mode}'.",
            "Choose 'pipeline' or 'auto' as the evaluation mode"
            + (", or name it among the models." if recipe.evaluation_mode == RERANKING else "."),
        )
    if recipe.evaluation_mode == RETRIEVAL:
        pairs = MODEL_KINDS.named(lambda kind: kind.reads_pairs)
        for name, kind in zip(recipe.models, kinds, strict=True):
            if kind in pairs:
                raise no_search(name)
    seconds = {*scoring(), None} & set(kinds)
    if recipe.evaluation_mode == PIPELINE and not recipe.rerankers and not seconds:
        raise BadInput(
            "A pipeline needs a second stage.", "Name a reranker or a late-interaction model."
        )
    if recipe.evaluation_mode == RERANKING and workspace.datasets.exists(recipe.dataset):
        reader = workspace.datasets.read(recipe.dataset, recipe.dataset_version)
        _check_candidates(reader, recipe.split)


def _once(names: list[str]) -> list[str]:
    return list(dict.fromkeys(model_name(name) for name in names))


def split_of(workspace: Workspace, dataset: str, wanted: str) -> str:
    """The split a second data set is measured on: the wanted one if it has that, else another.
    Raises :class:`BadInput` where it has neither queries nor scored pairs."""
    reader = workspace.datasets.read(dataset)
    for split in dict.fromkeys([wanted, "test", "dev", "train"]):
        if judged(reader, split):
            return split
    raise no_queries(reader, wanted)


def _check_candidates(reader: DatasetReader, split: str) -> None:
    """For 'reranking': the split's queries, if it has any, bring candidates."""
    if reader.counts["splits"].get(split) and not brought(reader, split).num_rows:
        raise none_given(reader, split)


def _check_second(recipe: EvaluateRecipe, workspace: Workspace) -> None:
    if recipe.second_dataset == recipe.dataset:
        raise BadInput(
            "The second data set is the first one.",
            "Choose another: it is to show whether something else was forgotten.",
        )
    split = split_of(workspace, recipe.second_dataset, recipe.split)
    if recipe.evaluation_mode == RERANKING:
        # Here and not after the first data set was measured.
        _check_candidates(workspace.datasets.read(recipe.second_dataset), split)
