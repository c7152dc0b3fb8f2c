"""Checks quantize recipes when they are submitted. Torch-free, without network."""

from workbench.errors import BadInput, BadRecipe
from workbench.merging.mergeable import whole_model
from workbench.models.quantized import QUANTIZATION_METHODS
from workbench.models.resolve import ResolvedModel
from workbench.quantization.methods import VectorFormat
from workbench.recipes.base import AUTO, dimensions_of, read_dimensions
from workbench.recipes.quantize import QuantizeLabRecipe, QuantizeRecipe
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
