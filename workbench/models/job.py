"""The task ``add-model``: copy, convert, try, register. Imports torch: worker processes only."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import ModelUnusable
from workbench.jobs.context import JobContext
from workbench.models.contract import Contract
from workbench.models.convert import convert_in_place
from workbench.models.edit import differences, rules_for, write
from workbench.models.fetch import fetch
from workbench.models.files import copy_model
from workbench.models.inspect import inspect_folder
from workbench.models.named_classes import refuse_foreign_classes
from workbench.models.registry import from_job, new_model
from workbench.models.resolve import ResolvedModel, from_folder, listed_contract
from workbench.models.towers import with_pictures
from workbench.models.weights import pickled_of, safetensors_of
from workbench.recipes.data import AddModelRecipe

_TRIAL = "A short text, to see whether the model encodes."


def run_add(recipe: AddModelRecipe, context: JobContext) -> dict[str, Any]:
    """Copy the model into the workspace; the result names it and says what was converted."""
    workspace = context.workspace
    source = Path(recipe.source)
    if not source.is_absolute():
        context.progress(0, None, message=f"Downloading {recipe.source}")
        source = fetch(recipe.source)
    # Read before anything is copied: what is no model stops here.
    inspect_folder(source)
    refuse_foreign_classes(source, trust_remote_code=workspace.trust_remote_code)
    id, folder = workspace.models.new_folder()
    try:
        return _add(recipe, context, source, id, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _add(
    recipe: AddModelRecipe, context: JobContext, source: Path, id: str, folder: Path
) -> dict[str, Any]:
    size = _copy(source, folder, context)
    context.progress(size, size, "bytes", "Checking the weights")
    converted = convert_in_place(folder, context.check_cancelled)
    context.check_cancelled()
    models = context.workspace.models
    name = models.free_name(recipe.name)
    resolved = from_folder(context.workspace, folder, name)
    if not Path(recipe.source).is_absolute() and resolved.base is None:
        # The catalogue knows prompts and kinds that a hub model's own files leave out.
        wanted = None if recipe.kind == "auto" else recipe.kind
        listed = listed_contract(recipe.source, inspect_folder(folder), wanted)
        resolved = replace(resolved, contract=listed)
    resolved = _as_wanted(recipe, resolved)
    if recipe.pictures_by:
        resolved = with_pictures(recipe.pictures_by, context, resolved, folder)
    contract = _try(resolved, context)
    contract.write(folder)
    context.check_cancelled()
    model = new_model(id, name, contract=contract.model_dump(), summary=_summary(recipe, resolved))
    added = models.add(from_job(model, context.job.id))
    return {
        "model": name,
        "id": id,
        "bytes": models.bytes(added),
        "converted": converted,
        "contract": contract.model_dump(),
    }


def _as_wanted(recipe: AddModelRecipe, resolved: ResolvedModel) -> ResolvedModel:
    """The model with what the recipe says of its contract, in its own files too."""
    rules = rules_for(resolved)
    new = rules.apply(recipe)
    if differences(rules.contract, new):
        write(rules, new)
    return replace(resolved, contract=new)


def _copy(source: Path, folder: Path, context: JobContext) -> int:
    return copy_model(
        source,
        folder,
        progress=lambda done, total: context.progress(done, total, "bytes", "Copying the model"),
        stop=context.check_cancelled,
        skip=_superfluous,
    )


def _superfluous(path: Path) -> bool:
    """Pickled weights beside the same ones as safetensors; not a head that only exists so."""
    return path in pickled_of(path.parent) and bool(safetensors_of(path.parent))


def _try(resolved: ResolvedModel, context: JobContext) -> Contract:
    """Use the model once; the contract with the vector's true length."""
    from PIL import Image

    from workbench.models.image_text import LoadedImageText
    from workbench.models.load import load_model
    from workbench.models.score import LoadedReranker

    context.progress(0, None, message="Trying the model")
    loaded = load_model(
        resolved, device="cpu", trust_remote_code=context.workspace.trust_remote_code
    )
    if isinstance(loaded, LoadedReranker):
        pair = np.array([[0, 0]], dtype=np.int64)
        _refuse_unusable(resolved.name, loaded.score([_TRIAL], [_TRIAL], pair), "scores")
        return loaded.contract
    if isinstance(loaded, LoadedImageText):
        seen = loaded.encode_pictures([Image.new("RGB", (64, 64), "grey")])
        _refuse_unusable(resolved.name, seen, "embeddings")
    size = 0
    for role in ("query", "document"):
        vectors = np.asarray(loaded.encode([_TRIAL], role)[0])
        _refuse_unusable(resolved.name, vectors, "embeddings")
        size = vectors.shape[-1]
    return loaded.contract.model_copy(update={"dimensions": size})


def _refuse_unusable(name: str, numbers: Any, what: str) -> None:
    if not np.isfinite(numbers).all() or not numbers.any():
        raise ModelUnusable(
            f"The model '{name}' gives no usable {what} (NaN or only zeros).",
            "Its weights may be damaged, or not those of a retrieval model.",
        )


def _summary(recipe: AddModelRecipe, resolved: ResolvedModel) -> dict[str, Any]:
    base = resolved.base
    about: dict[str, Any] = {"origin": "added", "source": recipe.source}
    return about | ({"adapter": True, "base_id": base.model_id} if base else {})
