"""Checks an evaluation when it is submitted, so that a wrong name stops at the click."""

from workbench.comparison.table import PIPELINE, RERANKING, RETRIEVAL
from workbench.data.needs import no_queries
from workbench.data.reader import DatasetReader
from workbench.errors import BadInput
from workbench.evaluation.candidates import brought, none_given
from workbench.evaluation.named import (
    AUTO,
    BM25,
    GIVEN,
    find,
    first_stage_name,
    model_name,
    no_first_stage,
    no_retriever,
    no_search,
    no_second_stage,
    nothing_to_order,
)
from workbench.model_kinds import MODEL_KINDS, encoding, first_stages, scoring
from workbench.recipes.evaluate import EvaluateRecipe, MatrixRecipe
from workbench.workspace import Workspace


def prepare_evaluate(
    recipe: EvaluateRecipe, workspace: Workspace, waits: bool = False
) -> EvaluateRecipe:
    """The recipe with each model once and the data set's version pinned.

    ``waits``: another job comes first and may bring the data set or the models; then names that are
    not there yet are left for the run. Raises a :class:`BadInput` that says what is missing.
    """
    changes: dict[str, object] = {
        "models": _once(recipe.models),
        "rerankers": _once(recipe.rerankers),
        "first_stage": first_stage_name(recipe.first_stage),
    }
    if workspace.datasets.exists(recipe.dataset):
        changes["dataset_version"] = _version(recipe, workspace)
    elif not waits:
        workspace.datasets.get(recipe.dataset)
    if recipe.second_dataset and not waits:
        changes["second_dataset"] = _second(recipe, workspace)
    recipe = recipe.model_copy(update=changes)
    if not waits:
        _check_stages(recipe, workspace)
    return recipe


def _check_stages(recipe: EvaluateRecipe, workspace: Workspace) -> None:
    """Every name is known and does what it is asked to; a hub model's kind shows in the run."""
    kinds = [find(workspace, name).kind for name in recipe.models]
    _check_mode(recipe, workspace, kinds)
    for name in recipe.rerankers:
        if find(workspace, name).kind in (BM25, *encoding()):
            raise no_second_stage(name)
    if recipe.rerankers and not {BM25, *first_stages(), None} & set(kinds):
        raise nothing_to_order()
    stage = recipe.first_stage
    finds = (*first_stages(), None)
    if stage not in (AUTO, GIVEN, BM25) and find(workspace, stage).kind not in finds:
        raise no_first_stage(stage)


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
        if _measurable(reader, split):
            return split
    raise no_queries(reader, wanted)


def _check_candidates(reader: DatasetReader, split: str) -> None:
    """For 'reranking': the split's queries, if it has any, bring candidates."""
    if reader.counts["splits"].get(split) and not brought(reader, split).num_rows:
        raise none_given(reader, split)


def _second(recipe: EvaluateRecipe, workspace: Workspace) -> str:
    if recipe.second_dataset == recipe.dataset:
        raise BadInput(
            "The second data set is the first one.",
            "Choose another: it is to show whether something else was forgotten.",
        )
    split = split_of(workspace, recipe.second_dataset, recipe.split)
    if recipe.evaluation_mode == RERANKING:
        # Here and not after the first data set was measured.
        _check_candidates(workspace.datasets.read(recipe.second_dataset), split)
    return recipe.second_dataset


def _version(recipe: EvaluateRecipe, workspace: Workspace) -> int:
    reader = workspace.datasets.read(recipe.dataset, recipe.dataset_version)
    if not _measurable(reader, recipe.split):
        raise no_queries(reader, recipe.split)
    return int(reader.version)


def _measurable(reader: DatasetReader, split: str) -> bool:
    """Whether the split has queries, or scored pairs."""
    if reader.counts["splits"].get(split):
        return True
    return bool(reader.counts.get("pairs") and reader.pairs(split).num_rows)


# Checks a pipeline matrix when it is submitted, so that a wrong name stops at the click.


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
            if find(workspace, name).kind not in (BM25, *first_stages(), None):
                raise no_retriever(name)
        for name in recipe.rerankers:
            if find(workspace, name).kind in (BM25, *encoding()):
                raise no_second_stage(name)
    return recipe.model_copy(update=changes)
