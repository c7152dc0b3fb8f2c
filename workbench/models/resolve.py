"""From what a person calls a model to where it is: the workspace, a folder, or the hub; and
which models can be trained, merged, blended and quantized.

Torch-free and without network: a hub id is checked for its form and, when the hub may not be asked
(``HF_HUB_OFFLINE``), for being in the local cache. A worker downloads it (:mod:`.locate`).
"""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from storage.records import Model
from workbench.errors import BadInput, ModelNotFound, ModelUnusable
from workbench.extensions import OneOf
from workbench.model_kinds import MODEL_KINDS
from workbench.models import registry
from workbench.models.contract import CONTRACT_FILE, Contract, as_kind
from workbench.models.inspect import Layout, ModelFolder, inspect_folder
from workbench.models.named_classes import refuse_foreign_classes

if TYPE_CHECKING:
    from workbench.workspace import Workspace


# Models people start from, and the contract each needs. The data is in catalogue.toml.
#
# Nothing is downloaded by looking: a model comes to this machine when it is named in a run.

FILE = Path(__file__).with_name("catalogue.toml")


class CatalogueModel(BaseModel):
    """One model in one use. What is not known for sure is None."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    kind: Annotated[str, OneOf(MODEL_KINDS.names)]
    languages: str
    remark: str
    #: Millions.
    parameters: int | None = None
    #: Megabytes of the published weights.
    size: int | None = None
    dimensions: int | None = None
    #: The most tokens it reads.
    max_len: int | None = None
    licence: str | None = None
    #: The model that reads the pictures, where this one reads texts only.
    pictures_by: str = ""
    #: Fields of the contract that are known.
    contract: dict[str, Any] = {}

    @model_validator(mode="after")
    def _known_fields(self) -> "CatalogueModel":
        strange = self.contract.keys() - Contract.model_fields.keys()
        if strange:
            raise ValueError(f"{self.id}: the contract has no field {sorted(strange)}")
        Contract.model_validate(self.contract)
        return self


def manner(model: CatalogueModel) -> str:
    """How a model makes its answer, as far as that is known: its pooling, whether its vectors
    are L2-normalized, or a reranker's architecture."""
    known = model.contract
    pooling, length = known.get("pooling"), known.get("normalize")
    said = [
        f"{pooling} pooling" if pooling else "",
        "" if length is None else "L2-normalized" if length else "not normalized",
        str(known.get("architecture", "")),
    ]
    return ", ".join(part for part in said if part)


def listed(kind: str) -> list[str]:
    """The hub ids of one kind, in the file's order."""
    return [model.id for model in catalogue(kind)]


@cache
def catalogue(kind: str | None = None) -> tuple[CatalogueModel, ...]:
    """All entries in the file's order, or those of one kind."""
    if kind is not None:
        return tuple(model for model in catalogue() if model.kind == kind)
    rows = tomllib.loads(FILE.read_text(encoding="utf-8"))["model"]
    return tuple(CatalogueModel.model_validate(row) for row in rows)


def find(name: str, kind: str | None = None) -> CatalogueModel | None:
    """The entry of a hub id, or of its last part (a copy in a folder, say); None where unknown.

    Of a model with several uses the one of ``kind`` is taken, else the first.
    """
    wanted = name.rstrip("/").lower()
    for whole in (True, False):
        found = [
            model
            for model in catalogue()
            if wanted == model.id.lower()
            or (not whole and wanted.rpartition("/")[2] == model.id.lower().rpartition("/")[2])
        ]
        if found:
            return next((model for model in found if model.kind == kind), found[0])
    return None


def contract_for(hub_id: str, kind: str | None = None) -> dict[str, Any]:
    """Updates for the contract of a hub model whose own files say no prompts: pooling, prompts,
    attention direction, a reranker's answers and template. Empty for models not listed, and for a
    ``kind`` the model is not listed with.

    Only the whole id counts: a folder that happens to have the same name is another model.
    """
    for model in catalogue():
        if model.id.lower() == hub_id.lower() and kind in (None, model.kind):
            known = dict(model.contract)
            of = MODEL_KINDS.get(model.kind)
            if of.reads_pictures:
                return {}
            if not of.reads_pairs and model.dimensions:
                known.setdefault("dimensions", model.dimensions)
            return {"kind": model.kind, **known}
    return {}


#: 'owner/name' as the hub allows it.
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95}")
_OFFLINE = "Add it from a folder, or unset HF_HUB_OFFLINE where there is a network."


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model found. ``contract`` is None for a hub model that is not on this machine yet."""

    name: str
    #: A folder's absolute path, or a hub id.
    source: str
    contract: Contract | None
    #: Its record's id where it is in the workspace.
    model_id: str | None = None
    #: An adapter's base, resolved.
    base: "ResolvedModel | None" = None
    #: What the hub calls it, where it comes from there.
    hub_id: str = ""
    #: How its files lie in its folder; None for one that the hub is to be asked for.
    layout: Layout | None = None

    @property
    def local(self) -> bool:
        return Path(self.source).is_absolute()

    @property
    def folder(self) -> Path | None:
        """Where its files are on this machine; for a hub model the newest complete copy."""
        return Path(self.source) if self.local else cached_snapshot(self.source)


def resolve(workspace: "Workspace", model: str, kind: str | None = None) -> ResolvedModel:
    """Find a model by its name in the workspace, its folder, or its hub id, in this order.

    ``kind`` is what a hub model is wanted for, where the catalogue lists it in several uses.
    Raises :class:`ModelNotFound` (with 'did you mean') or :class:`ModelUnusable`.
    """
    name = model.strip()
    if not name:
        raise ModelNotFound("No model was named.", "Choose one of the workspace's models.")
    if name.lower() == "bm25":
        raise BadInput(
            "BM25 has no weights: it can be compared, but neither trained nor indexed.",
            "Choose an embedding model.",
        )
    if workspace.models.exists(name):
        return _from_workspace(workspace, workspace.models.get(name))
    if name in registry.ALIASES:
        return _from_workspace(workspace, workspace.models.ensure_packaged())
    folder = Path(name).expanduser()
    if folder.is_dir() or _looks_like_path(name):
        return from_folder(workspace, folder.absolute(), folder.name, None)
    if _HUB_ID.fullmatch(name):
        return _from_hub(workspace, name, kind)
    raise _unknown(workspace, name)


def hub_is_offline() -> bool:
    """Whether the environment forbids asking the hub."""
    words = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(os.environ.get(word, "").upper() in ("1", "ON", "YES", "TRUE") for word in words)


def _from_workspace(workspace: "Workspace", model: Model) -> ResolvedModel:
    folder = workspace.path(model.path)
    if not folder.is_dir():
        raise ModelUnusable(
            f"The folder of the model '{model.name}' is missing from the workspace.",
            "Remove the model and add it again.",
        )
    return from_folder(workspace, folder, model.name, model)


def from_folder(
    workspace: "Workspace",
    folder: Path,
    name: str,
    model: Model | None = None,
    *,
    base: ResolvedModel | None = None,
    hub_id: str = "",
    kind: str | None = None,
) -> ResolvedModel:
    """The model in a folder; an adapter comes with its base (``base``, where it is known).

    ``hub_id`` and ``kind``: of a copy of a hub model, for what the catalogue knows of that use.
    """
    found = inspect_folder(folder)
    refuse_foreign_classes(folder, trust_remote_code=workspace.trust_remote_code)
    if found.layout != "adapter":
        base = None
    elif base is None:
        base = resolve_base(workspace, found, model.summary.get("base_id") if model else None)
    return ResolvedModel(
        name=name,
        source=str(folder),
        contract=adapter_contract(found, base) if base else listed_contract(hub_id, found, kind),
        model_id=model.id if model else None,
        base=base,
        hub_id=hub_id,
        layout=found.layout,
    )


def resolve_base(
    workspace: "Workspace", adapter: ModelFolder, known: str | None = None
) -> ResolvedModel:
    """The base of an adapter, wherever it is by now; raises :class:`ModelUnusable` if nowhere.

    An adapter's file names the base as it was called on the machine it was trained on. Where that
    is not here, a model of the workspace with the last part of the name is taken. ``known`` is the
    id of the base found when the adapter was added to the workspace.
    """
    wanted = adapter.base or ""
    if known and workspace.models.exists(known):
        return resolve(workspace, known)
    name = _base_name(workspace, wanted, adapter.path)
    if name is None:
        raise ModelUnusable(
            f"The adapter in {adapter.path} belongs to the base model '{wanted}', which is not"
            " here.",
            "Add the base model to the workspace first, under the last part of that name.",
        )
    base = resolve(workspace, name)
    if base.base is not None:
        raise ModelUnusable(f"The base of the adapter in {adapter.path} is an adapter itself.")
    return base


def _base_name(workspace: "Workspace", wanted: str, adapter: Path) -> str | None:
    """What :func:`resolve` finds the base by, or None."""
    if workspace.models.exists(wanted) or wanted in registry.ALIASES or Path(wanted).is_dir():
        return wanted
    beside = (adapter / wanted).resolve()
    if beside.is_dir() and beside != adapter.resolve():
        return str(beside)
    on_hub = not _looks_like_path(wanted) and _HUB_ID.fullmatch(wanted)
    if on_hub and (not hub_is_offline() or cached_snapshot(wanted)):
        return wanted
    last = Path(wanted).name
    return last if workspace.models.exists(last) or last in registry.ALIASES else None


def adapter_contract(found: ModelFolder, base: ResolvedModel) -> Contract | None:
    """An adapter's own contract, or where it has none its base's."""
    if any((found.path / name).is_file() for name in (CONTRACT_FILE, "modules.json")):
        return found.contract
    return base.contract and base.contract.model_copy(update={"base_model": base.name})


def _from_hub(workspace: "Workspace", name: str, kind: str | None) -> ResolvedModel:
    cached = cached_snapshot(name)
    found = from_folder(workspace, cached, name, hub_id=name, kind=kind) if cached else None
    if not hub_is_offline():
        return ResolvedModel(name, name, found.contract if found else None, hub_id=name)
    if found is None:
        raise ModelNotFound(
            f"The model '{name}' is not on this machine, and access to the Hub is off.",
            _meant(workspace, name) or _OFFLINE,
        )
    return found


def listed_contract(hub_id: str, found: ModelFolder, kind: str | None = None) -> Contract:
    """A folder's contract, with what the catalogue knows of the hub model where its own files are
    silent: a sentence-transformers folder says everything but, often, its prompts.

    ``kind`` takes what is listed for that use alone; without it, the first use counts.
    """
    known = contract_for(hub_id, kind)
    own = found.contract
    if not known or found.layout == "adapter" or (found.path / CONTRACT_FILE).is_file():
        return own
    if found.layout == "sentence-transformers":
        names = ("query_prompt", "document_prompt")
        known = {name: known[name] for name in names if name in known and not getattr(own, name)}
        return own.model_copy(update=known)
    llm = known.get("architecture") == "llm"
    return as_kind(own, known["kind"], llm=llm).model_copy(update=known)


def cached_snapshot(name: str) -> Path | None:
    """The folder of a hub model's newest complete copy in the local cache, if there is one."""
    from huggingface_hub import try_to_load_from_cache

    for file in ("modules.json", "config.json", "adapter_config.json"):
        found = try_to_load_from_cache(name, file)
        if isinstance(found, str):
            return Path(found).parent
    return None


def _looks_like_path(name: str) -> bool:
    return name.startswith(("/", "./", "../", "~")) or name.count("/") > 1 or "\\" in name


def _unknown(workspace: "Workspace", name: str) -> ModelNotFound:
    hint = (
        _meant(workspace, name) or "Give a name of the workspace, a folder, or a Hub id owner/name."
    )
    return ModelNotFound(f"There is no model named '{name}'.", hint)


def _meant(workspace: "Workspace", name: str) -> str:
    known = [model.name for model in workspace.models.list()] + [registry.NAME]
    close = difflib.get_close_matches(name.rpartition("/")[2], known, n=1)
    return f"Did you mean '{close[0]}'?" if close else ""


# Which models can be trained, merged, blended and quantized.


def can_be_trained(contract: Mapping[str, Any]) -> bool:
    """Whether a model of this contract could be trained further: a pair of two could not, nor one
    of a smaller format."""
    return not contract.get("pictures_by") and not contract.get("weights")


def refuse_two(name: str, contract: Contract | None) -> None:
    """Raise :class:`BadInput` where a model's texts and pictures are read by two models: what
    changes weights changes those of one model."""
    if contract is not None and contract.pictures_by:
        raise BadInput(
            f"'{name}' encodes texts and pictures with two models: it can be used, but not "
            "trained or blended.",
            f"Take the model that reads its pictures, '{contract.pictures_by}': it learns both.",
        )


def adapter_of(workspace: "Workspace", model: str) -> ResolvedModel:
    """The adapter of that name, with its base; raises :class:`BadInput` for any other model."""
    found = resolve(workspace, model)
    if found.base is None:
        raise BadInput(
            f"'{found.name}' is not an adapter, so there is nothing to merge.",
            "It can be used, downloaded and trained further as it is.",
        )
    return found


def full_model(workspace: "Workspace", model: str) -> ResolvedModel:
    """A model with all its weights; raises :class:`BadInput` for an adapter."""
    found = resolve(workspace, model)
    if found.base is not None:
        raise BadInput(
            f"'{found.name}' is an adapter, whose weights are not its base's.",
            f"Merge it first: python -m workbench merge {found.name}",
        )
    refuse_two(found.name, found.contract)
    return found


def whole_model(workspace: "Workspace", model: str) -> ResolvedModel:
    """A model with weights of its own; raises :class:`BadInput` for an adapter."""
    found = resolve(workspace, model)
    if found.base is not None:
        raise BadInput(
            f"'{found.name}' is an adapter: what is quantized are a whole model's weights.",
            f"Merge it first: python -m workbench merge {found.name}",
        )
    return found


def is_adapter(folder: Path) -> bool:
    """Whether a model's folder holds an adapter."""
    return (folder / "adapter_config.json").is_file()
