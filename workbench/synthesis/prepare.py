"""Checks a synthesis when it is asked for, so that bad input stops at the click. Torch-free."""

import json
from pathlib import Path

from workbench.errors import BadInput, ModelUnusable
from workbench.evaluation.named import BM25
from workbench.models.resolve import resolve
from workbench.recipes.synthesize import SynthesizeRecipe
from workbench.synthesis.questions import with_templates
from workbench.workspace import Workspace

_WRITERS = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")


def prepare_synthesize(
    recipe: SynthesizeRecipe, workspace: Workspace, waits: bool = False
) -> SynthesizeRecipe:
    """The recipe with the version pinned and the templates filled in; raises :class:`BadInput`.

    ``waits``: another job comes first, and names that are not there yet are left for the run.
    """
    # The key that may be sent now is the one that may be sent when the job is resumed.
    changes: dict[str, object] = {"key_variable": workspace.endpoint_keys.variable(recipe)}
    recipe = with_templates(recipe.model_copy(update=changes))
    if workspace.datasets.exists(recipe.dataset):
        reader = workspace.datasets.read(recipe.dataset, recipe.dataset_version)
        if not reader.counts["documents"]:
            raise BadInput(f"'{reader.name}' has no documents.", "Questions need passages.")
        recipe = recipe.model_copy(update={"dataset_version": reader.version})
    elif not waits:
        workspace.datasets.get(recipe.dataset)
    if not waits:
        _check_models(recipe, workspace)
    return recipe


def _check_models(recipe: SynthesizeRecipe, workspace: Workspace) -> None:
    """A hub model's kind shows in the run."""
    if recipe.local_model:
        found = resolve(workspace, recipe.local_model)
        if found.base is not None:
            raise ModelUnusable(
                f"'{recipe.local_model}' is an adapter.", "Merge it into its base model first."
            )
        if found.local:
            refuse_mute(Path(found.source), recipe.local_model)
    if recipe.round_trip and recipe.round_trip.strip().lower() != BM25:
        contract = resolve(workspace, recipe.round_trip).contract
        if contract is not None and not contract.model_kind.first_stage:
            raise no_searcher(recipe.round_trip)


def no_searcher(name: str) -> BadInput:
    return BadInput(
        f"'{name}' cannot search: it is not an embedding model.",
        "Choose an embedding model for the round trip, 'bm25', or none.",
    )


def refuse_mute(folder: Path, name: str) -> None:
    """Raise :class:`BadInput` for a model that writes nothing."""
    config = folder / "config.json"
    about = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
    names = [str(one) for one in about.get("architectures") or []]
    if not any(one.endswith(_WRITERS) for one in names):
        kind = names[0] if names else "no language model"
        raise BadInput(
            f"'{name}' cannot write: it is {kind}.",
            "Choose a causal language model, such as a Qwen instruct model, or an endpoint.",
        )
