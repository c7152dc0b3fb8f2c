"""Whether an index still fits its data set and its model: computed from what is there. Torch-free.

The model's files are known by a digest that reads all of them; as long as names, sizes and dates
are the same as when it was taken, it is not taken again.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from storage.records import Index
from workbench.data.reader import DatasetReader
from workbench.errors import DatasetNotFound, ModelNotFound, WorkbenchError
from workbench.evaluation.cached import deciding, weights_digest
from workbench.evaluation.pictures import PICTURE, has_pictures, no_pictures
from workbench.models.contract import Contract
from workbench.models.files import model_files
from workbench.models.resolve import ResolvedModel, resolve
from workbench.recipes.evaluate import IndexRecipe, IndexUpdateRecipe
from workbench.search.found import no_encoder
from workbench.search.pictures import of_pictures
from workbench.search.plan import make_plan
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from workbench.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Stale:
    """Why an index is out of date. ``code``: 'data', 'data-gone', 'model', 'model-gone' or
    'contract'; ``mend``: 'update', 'rebuild', or '' where only removing it is left."""

    code: str
    sentence: str
    mend: str

    def to_dict(self) -> dict[str, str]:
        return {"code": self.code, "sentence": self.sentence, "mend": self.mend}


def stale(workspace: "Workspace", index: Index) -> list[Stale]:
    """What is out of date, what weighs most first; nothing for an index that fits."""
    return [*_model(workspace, index), *_data(workspace, index)]


def documents_reader(workspace: "Workspace", index: Index) -> DatasetReader:
    """The data set as the index knows it: the current version where its documents are still the
    same, so that new judgments count, else the version it was built from."""
    reader: DatasetReader
    built: DatasetReader = workspace.datasets.read(index.dataset_id, index.version)
    current = workspace.datasets.get(index.dataset_id).version
    if current == index.version:
        return built
    reader = workspace.datasets.read(index.dataset_id, current)
    return reader if reader.manifest.documents == built.manifest.documents else built


def _data(workspace: "Workspace", index: Index) -> list[Stale]:
    try:
        dataset = workspace.datasets.get(index.dataset_id)
    except DatasetNotFound:
        return [Stale("data-gone", "Its data set was removed.", "")]
    if documents_reader(workspace, index).version == dataset.version:
        return []
    words = (
        f"It has the documents of version {index.version} of '{dataset.name}', which is at version"
        f" {dataset.version}."
    )
    return [Stale("data", words, "update")]


def _model(workspace: "Workspace", index: Index) -> list[Stale]:
    try:
        resolved = resolve(workspace, index.model_id or index.model)
        if resolved.contract is not None and changed_fields(index, resolved):
            names = ", ".join(changed_fields(index, resolved))
            words = f"The contract of '{resolved.name}' was changed since ({names})."
            return [Stale("contract", words, "rebuild")]
        if weights_changed(index, resolved):
            words = f"The weights of '{resolved.name}' are others than it was built with."
            return [Stale("model", words, "rebuild")]
    except WorkbenchError:
        return [Stale("model-gone", f"Its model '{index.model}' no longer exists.", "")]
    return []


def changed_fields(index: Index, resolved: ResolvedModel) -> list[str]:
    """The fields of the contract that decide vectors and are others than when it was built."""
    if resolved.contract is None:
        return []
    before, now = index.contract, resolved.contract.model_dump(mode="json")
    roles = ("query", PICTURE if of_pictures(index) else "document")
    names = {name for role in roles for name in deciding(resolved.contract, role)}
    # What a loaded model knew better than its folder, such as its dimensions, is no change.
    was = index.summary.get("model", {}).get("contract", before)
    return sorted(name for name in names if name in was and was[name] != now[name])


def weights_changed(index: Index, resolved: ResolvedModel) -> bool:
    known = index.summary.get("model", {})
    if not known.get("weights") or known.get("files") == fingerprint(resolved):
        return False
    return bool(known["weights"] != _digest(resolved, fingerprint(resolved)))


def identity(resolved: ResolvedModel) -> dict[str, Any]:
    """What an index keeps to tell later whether its model is still the same."""
    contract = resolved.contract
    return {
        "weights": weights_digest(resolved),
        "files": fingerprint(resolved),
        "contract": contract.model_dump(mode="json") if contract is not None else {},
    }


def fingerprint(resolved: ResolvedModel) -> str:
    """Names, sizes and dates of a model's files (and its base's), in one word."""
    folder, digest = resolved.folder, hashlib.sha256()
    for path in model_files(folder) if folder is not None else ():
        stat = path.stat()
        digest.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
    if resolved.base is not None:
        digest.update(fingerprint(resolved.base).encode())
    return digest.hexdigest()[:32]


@lru_cache(maxsize=64)
def _digest(resolved: ResolvedModel, _files: str) -> str:
    return weights_digest(resolved)


# Checks ``index`` and ``index-update`` recipes when they are submitted.


def prepare_index(recipe: IndexRecipe, workspace: Workspace, waits: bool) -> IndexRecipe:
    """The recipe with a name; raises :class:`ModelNotFound` or :class:`BadInput` where the model
    can make no such index. With ``waits``, it may be what another job will make."""
    try:
        found = resolve(workspace, recipe.model)
    except ModelNotFound:
        if not waits:
            raise
        found = ResolvedModel(recipe.model, recipe.model, None, None)
    if found.contract is not None and not found.contract.model_kind.encodes:
        raise no_encoder(found.name, found.contract.kind)
    if found.contract is not None and not waits:
        _check_contract(recipe, workspace, found.contract)
    if recipe.name.strip():
        return recipe
    wanted = f"{recipe.dataset}-{found.name.replace('/', '-')}"
    return recipe.model_copy(update={"name": workspace.indexes.free_name(wanted)})


def prepare_update(
    recipe: IndexUpdateRecipe, workspace: Workspace, waits: bool
) -> IndexUpdateRecipe:
    """Raises :class:`IndexNotFound`, :class:`DatasetNotFound` or :class:`ModelNotFound` where the
    index, or what it is made from, is gone."""
    if waits and not workspace.indexes.exists(recipe.index):
        return recipe
    index = workspace.indexes.get(recipe.index)
    workspace.datasets.get(index.dataset_id)
    resolve(workspace, index.model_id or index.model)
    return recipe.model_copy(update={"index": index.name})


def _check_contract(recipe: IndexRecipe, workspace: Workspace, contract: Contract) -> None:
    """Refuse what cannot be before anything is encoded, as far as the model is known."""
    reader = workspace.datasets.read(recipe.dataset, recipe.dataset_version)
    shortened = recipe.truncate_dim is not None or recipe.code_bytes is not None
    if contract.dimensions and shortened:
        documents = reader.counts["documents"]
        make_plan(recipe, documents, contract.dimensions, contract.normalize)
    if contract.model_kind.reads_pictures and not has_pictures(reader):
        raise no_pictures(reader)
