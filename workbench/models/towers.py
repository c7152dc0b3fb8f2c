"""A model of pictures and texts from two: one reads the texts, another one the pictures.

Multilingual CLIP is shared so (Reimers and Gurevych 2020): a text encoder that was taught where
CLIP puts the English captions, beside CLIP itself. Here both become one model of the workspace: the
texts' files in its folder, the pictures' in the folder 'pictures' below it. Torch-free until files
are converted.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import BadInput
from workbench.jobs.reporting import JobContext
from workbench.model_kinds import seeing
from workbench.models.contract import PICTURES
from workbench.models.files import copy_model
from workbench.models.locate import LocalModel, convert_in_place, locate
from workbench.models.resolve import ResolvedModel, find, resolve
from workbench.recipes.data import AddModelRecipe

if TYPE_CHECKING:
    from workbench.workspace import Workspace


def pictures_of(recipe: AddModelRecipe) -> str:
    """The model that shall read the pictures: the one named, or that of the catalogue where the
    source is made for one (and is not wanted as a model of texts)."""
    named = recipe.pictures_by.strip()
    listed = find(recipe.source.strip()) if recipe.kind == "auto" and not named else None
    whole = listed is not None and listed.id.lower() == recipe.source.strip().lower()
    return listed.pictures_by if listed is not None and whole else named


def check_pair(texts: ResolvedModel, pictures: ResolvedModel) -> None:
    """Raise :class:`BadInput` where the two cannot be one model; what is on a hub only is checked
    once it is here."""
    for one in (texts, pictures):
        _refuse_parts(one)
    if texts.contract is not None and not texts.contract.model_kind.first_stage:
        raise BadInput(
            f"'{texts.name}' is a {texts.contract.kind} model: only a model that gives each text "
            "one vector can stand beside another one's pictures.",
            "Choose the embedding model that was made for these pictures.",
        )
    if pictures.contract is None:
        return
    if not pictures.contract.model_kind.reads_pictures:
        raise BadInput(
            f"'{pictures.name}' is a {pictures.contract.kind} model: it does not see pictures.",
            "Choose a CLIP-like model.",
        )
    if texts.contract is not None:
        check_lengths(texts.contract.dimensions, pictures.contract.dimensions)


def _refuse_parts(model: ResolvedModel) -> None:
    contract = model.contract
    if model.base is not None:
        raise BadInput(
            f"'{model.name}' is an adapter: two models become one by their whole weights.",
            f"Merge it first: python -m workbench merge {model.name}",
        )
    if contract is not None and (contract.pictures_by or contract.weights):
        raise BadInput(
            f"'{model.name}' was made here from another model already.",
            "Take the model it was made from.",
        )


def check_lengths(texts: int, pictures: int) -> None:
    """Raise :class:`BadInput` where vectors are of different lengths; 0 is not known yet."""
    if texts and pictures and texts != pictures:
        raise BadInput(
            f"Texts become vectors of {texts} dimensions, pictures of {pictures}: they cannot be "
            "compared.",
            "Choose the text model that was made for these pictures.",
        )


def pair_checked(recipe: AddModelRecipe, texts: ResolvedModel, workspace: "Workspace") -> str:
    """The picture model as the recipe shall name it (a folder by its absolute path), '' for none.
    Raises what :func:`check_pair` and :func:`resolve` raise."""
    named = pictures_of(recipe)
    if not named:
        return ""
    pictures = resolve(workspace, named, seeing()[0])
    check_pair(texts, pictures)
    return pictures.source if not pictures.model_id and pictures.local else named


def with_pictures(named: str, context: JobContext, texts: LocalModel, folder: Path) -> LocalModel:
    """Copy the picture model below the folder that holds the texts' model; the two as one.

    Raises :class:`BadInput` where they do not fit together.
    """
    pictures = locate(context.workspace, named, seeing()[0])
    check_pair(texts, pictures)
    place = folder / PICTURES
    copy_model(
        pictures.folder,
        place,
        progress=lambda done, total: context.progress(
            done, total, "bytes", "Copying the model of the pictures"
        ),
        stop=context.check_cancelled,
    )
    convert_in_place(place, context.check_cancelled)
    contract = texts.contract.model_copy(
        update={"kind": pictures.contract.kind, "pictures_by": pictures.name}
    )
    # Written now: loading reads from the folder that there is a second model.
    contract.write(folder)
    return replace(texts, contract=contract)
