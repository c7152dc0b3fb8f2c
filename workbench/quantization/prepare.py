"""Checks quantize recipes when they are submitted. Torch-free, without network."""

from workbench.data.reader import choosing_split
from workbench.errors import BadInput, BadRecipe
from workbench.merging.prepare import chosen
from workbench.models.contract import name_from
from workbench.models.quantized import QUANTIZATION_METHODS
from workbench.models.resolve import ResolvedModel, resolve
from workbench.quantization.methods import VectorFormat
from workbench.recipes.base import AUTO, dimensions_of, read_dimensions
from workbench.recipes.quantize import QuantizeLabRecipe, QuantizeRecipe
from workbench.workspace import Workspace

#: As an index's recipe has it: what is measured can be kept.
FEWEST = 8


def prepare_quantize(
    recipe: QuantizeRecipe, workspace: Workspace, waits: bool = False
) -> QuantizeRecipe:
    """The recipe with an absolute source and a free name.

    ``waits``: another job comes first and may make the model. Raises :class:`BadInput` in a
    sentence where the model cannot be kept like this, or not on this machine.
    """
    if not waits:
        refuse(whole_model(workspace, recipe.model), recipe.method)
    model = recipe.model.strip()
    wanted = f"{name_from(model)[:100]}-{recipe.method}"
    return recipe.model_copy(
        update={"model": model, "name": chosen(recipe.name, wanted, workspace)}
    )


def prepare_lab(
    recipe: QuantizeLabRecipe, workspace: Workspace, waits: bool = False
) -> QuantizeLabRecipe:
    """The recipe with an absolute source; everything that cannot be measured is refused here."""
    if not waits:
        found = whole_model(workspace, recipe.model)
        for method in recipe.methods:
            refuse(found, method)
        if found.contract is not None and found.contract.weights:
            # Without a method, nothing has said so yet.
            refuse(found, "bf16")
        _check_vectors(recipe, found)
    version = _version(recipe, workspace, waits)
    model = recipe.model.strip()
    return recipe.model_copy(update={"model": model, "dataset_version": version})


def _version(recipe: QuantizeLabRecipe, workspace: Workspace, waits: bool) -> int | None:
    """The version that is measured on, whatever becomes current before the job starts."""
    if waits and not workspace.datasets.exists(recipe.dataset):
        return recipe.dataset_version
    reader = workspace.datasets.read(recipe.dataset, recipe.dataset_version)
    choosing_split(reader, recipe.split, or_test=True)
    return int(reader.version)


def whole_model(workspace: Workspace, model: str) -> ResolvedModel:
    """A model with weights of its own; raises :class:`BadInput` for an adapter."""
    found = resolve(workspace, model)
    if found.base is not None:
        raise BadInput(
            f"'{found.name}' is an adapter: what is quantized are a whole model's weights.",
            f"Merge it first: python -m workbench merge {found.name}",
        )
    return found


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
        if (
            contract is not None
            and contract.dimensions
            and recipe.dimensions.strip()
            not in (
                "",
                AUTO,
            )
        ):
            dimensions_of(recipe.dimensions, contract.dimensions)
        if not recipe.methods and not recipe.vectors and not recipe.dimensions.strip():
            raise BadRecipe("Nothing was chosen to be measured.", "Choose a method.")
    elif not recipe.methods:
        raise BadRecipe(
            f"'{model.name}' has no embeddings to make smaller.", "Choose formats of its weights."
        )


def _at_dimensions(sentence: str) -> BadRecipe:
    return BadRecipe(sentence, "Choose other numbers.", fields={"dimensions": sentence})
