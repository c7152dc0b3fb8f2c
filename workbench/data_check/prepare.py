"""Validates the recipes of the data check before they are queued."""

from workbench.data_check.fix import codes_of, find_report, read_report, refuse_other_version
from workbench.errors import BadInput, NotFound
from workbench.evaluation.named import BM25, find
from workbench.model_kinds import seeing
from workbench.models.resolve import resolve
from workbench.recipes.data_check import CHECKS, DataCheckRecipe, DataFixRecipe
from workbench.workspace import Workspace


def prepare_check(recipe: DataCheckRecipe, workspace: Workspace, waits: bool) -> DataCheckRecipe:
    """With the version as it is now. Raises :class:`BadInput`."""
    for check in recipe.checks:
        if check not in CHECKS:
            raise NotFound.among("check", check, CHECKS, f"There are: {', '.join(CHECKS)}.")
    if recipe.tokenizer:
        resolve(workspace, recipe.tokenizer)
    if recipe.judge:
        refuse_judge(recipe.judge, find(workspace, recipe.judge).kind)
    if waits:
        return recipe
    version = workspace.datasets.read(recipe.dataset, recipe.dataset_version).version
    return recipe.model_copy(update={"dataset_version": version})


def refuse_judge(name: str, kind: str | None) -> None:
    """Raise :class:`BadInput` for what cannot compare texts; None is not known yet."""
    hint = "Choose an embedding model or a reranker."
    if kind == BM25:
        raise BadInput("BM25 cannot judge.", hint)
    if kind in seeing():
        raise BadInput(
            f"'{name}' cannot judge: it compares texts with pictures, and negatives are texts.",
            hint,
        )


def prepare_fix(recipe: DataFixRecipe, workspace: Workspace, waits: bool) -> DataFixRecipe:
    """With the report, its version, and the fixes by their own codes. Raises :class:`BadInput`."""
    if waits:
        return recipe
    workspace.datasets.get(recipe.dataset)
    id = find_report(workspace, recipe.dataset, recipe.report)
    report = read_report(workspace, id)
    if recipe.dataset_version not in (None, report["version"]):
        raise BadInput(
            f"The report is about version {report['version']}, not {recipe.dataset_version}.",
            "Check that version first.",
        )
    refuse_other_version(workspace, recipe.dataset, report)
    known = {
        "report": id,
        "dataset_version": report["version"],
        "fixes": codes_of(report, recipe.fixes),
    }
    return recipe.model_copy(update=known)
