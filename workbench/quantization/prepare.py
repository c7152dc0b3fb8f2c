"""The quantize tasks before they run, and a measured point of the lab as the recipe that keeps it.
Torch-free, without network."""

from collections.abc import Mapping
from typing import Any

from workbench.errors import BadInput, BadRecipe
from workbench.models.quantized import QUANTIZATION_METHODS
from workbench.models.resolve import ResolvedModel, whole_model
from workbench.recipes.base import AUTO, Recipe, dimensions_of, read_dimensions
from workbench.recipes.evaluate import IndexRecipe
from workbench.recipes.quantize import QuantizeLabRecipe, QuantizeRecipe, VectorFormat
from workbench.workspace import Workspace

#: As an index's recipe has it: what is measured can be kept.
FEWEST = 8


def prepare_quantize(recipe: QuantizeRecipe, workspace: Workspace, waits: bool) -> QuantizeRecipe:
    """Raises :class:`BadInput` where the model cannot be kept like this, or not on this machine."""
    if not waits:
        refuse(whole_model(workspace, recipe.model), recipe.method)
    return recipe


def prepare_lab(recipe: QuantizeLabRecipe, workspace: Workspace, waits: bool) -> QuantizeLabRecipe:
    """Everything that cannot be measured is refused here."""
    if waits:
        return recipe
    found = whole_model(workspace, recipe.model)
    for method in recipe.methods:
        refuse(found, method)
    if found.contract is not None and found.contract.weights:
        # Without a method, nothing has said so yet.
        refuse(found, "bf16")
    _check_vectors(recipe, found)
    return recipe


def refuse(model: ResolvedModel, method: str) -> None:
    """Raise :class:`BadInput` where the method cannot work; a hub model is checked once here."""
    if model.contract is None:
        return
    said = QUANTIZATION_METHODS.get(method).refusal(model.name, model.contract)
    if said is not None:
        raise BadInput(*said)


def formats(recipe: QuantizeLabRecipe, full: int) -> list[VectorFormat]:
    """The formats of embeddings that are measured of a model with ``full`` dimensions.

    Uncut float32 is the original itself, so it is none of them.
    """
    sizes = [0]
    if recipe.dimensions.strip():
        sizes += dimensions_of(recipe.dimensions, full)[1:]
    methods = recipe.vectors or (["float32"] if len(sizes) > 1 else [])
    found = [VectorFormat(method, size) for size in sizes for method in methods]
    return [one for one in found if one != VectorFormat("float32")]


def _check_vectors(recipe: QuantizeLabRecipe, model: ResolvedModel) -> None:
    contract = model.contract
    if contract is None or contract.model_kind.encodes:
        few = [size for size in read_dimensions(recipe.dimensions) if size < FEWEST]
        if few:
            raise _at_dimensions(f"An index keeps at least {FEWEST} dimensions, not {few[0]}.")
        numbers = recipe.dimensions.strip() not in ("", AUTO)
        if contract is not None and contract.dimensions and numbers:
            dimensions_of(recipe.dimensions, contract.dimensions)
        if not recipe.methods and not recipe.vectors and not recipe.dimensions.strip():
            raise BadRecipe("Nothing was chosen to be measured.", "Choose a method.")
    elif not recipe.methods:
        raise BadRecipe(
            f"'{model.name}' has no embeddings to make smaller.", "Choose formats of its weights."
        )


def _at_dimensions(sentence: str) -> BadRecipe:
    return BadRecipe(sentence, "Choose other numbers.", fields={"dimensions": sentence})


# From a point of the lab to the job that keeps it as a model or as an index.

#: How FAISS keeps what the lab measured.
_STRUCTURES = {
    "float32": "flat",
    "int8": "sq8",
    "uint8": "sq8",
    "binary": "binary",
    "ubinary": "binary",
}
ORIGINAL = "original"


def keepable(result: Mapping[str, Any]) -> list[str]:
    """The points that can be kept: 'models:METHOD' and 'vectors:NAME', in the tables' order."""
    return [
        f"{panel}:{row['name']}"
        for panel in ("models", "vectors")
        for row in result.get(panel) or []
        if row["name"] != ORIGINAL and "error" not in row
    ]


def keeping(workspace: Workspace, result: Mapping[str, Any], point: str, name: str) -> Recipe:
    """The recipe that makes a model or an index of a point, of the very model and data that were
    measured; raises :class:`BadInput` where that is gone."""
    panel, _, chosen = point.partition(":")
    row = next((one for one in result.get(panel) or [] if one["name"] == chosen), None)
    if row is None or point not in keepable(result):
        raise BadInput(f"The lab measured no '{chosen}'.", "Choose one of the tables' rows.")
    model = _measured_model(workspace, result)
    if panel == "models":
        return QuantizeRecipe.read({"model": model, "method": row["method"], "name": name.strip()})
    full = result["vectors"][0]["dimensions"]
    return IndexRecipe.read(
        {
            "dataset": _measured_dataset(workspace, result),
            "dataset_version": result["dataset_version"],
            "model": model,
            "name": name.strip(),
            "structure": _STRUCTURES[row["method"]],
            "truncate_dim": row["dimensions"] if row["dimensions"] < full else None,
            "rescore": result["rescore"],
        }
    )


def _measured_model(workspace: Workspace, result: Mapping[str, Any]) -> str:
    """What the model is called now, or where it lies. A name alone could be another's by now."""
    if result["model_id"]:
        return workspace.models.get(result["model_id"]).name
    # Labs of before this was noted have the name only.
    return str(result.get("source") or result["model"])


def _measured_dataset(workspace: Workspace, result: Mapping[str, Any]) -> str:
    """What the data set is called now, if it still has the version that was measured."""
    known = workspace.datasets
    named = str(result.get("dataset_id") or result["dataset"])
    kept = known.exists(named) and any(
        one.version == result["dataset_version"] for one in known.versions(named)
    )
    if not kept:
        raise BadInput(
            f"The measured data set '{result['dataset']}' no longer exists, or its version "
            f"{result['dataset_version']} does not.",
            "Measure again on a data set that is there.",
        )
    return known.get(named).name
