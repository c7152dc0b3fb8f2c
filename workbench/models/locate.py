"""Brings a model to where it can be loaded: on this machine, as files that run nothing.

Loading reads such a model's files and does nothing else: here it is downloaded, looked into, and
its pickled weights (.bin, .pt) are turned into safetensors once. Unpickling can run any code, so
that is done with ``torch.load(weights_only=True)``, which knows tensors and plain containers only
and refuses the rest. Workers only.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from workbench.errors import ModelNotFound, ModelUnusable
from workbench.models.architecture import (
    is_pickled_weights,
    needs_conversion,
    pickled_folders,
    pickled_of,
    safetensors_of,
)
from workbench.models.contract import Contract
from workbench.models.files import JUNK, copy_model
from workbench.models.inspect import Layout
from workbench.models.resolve import ResolvedModel, cached_snapshot, from_folder, resolve
from workbench.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalModel(ResolvedModel):
    """A model whose files are on this machine, were looked into, and can be loaded as they are."""

    contract: Contract
    layout: Layout
    base: "LocalModel | None" = None
    #: Its folder, or where its weights are pickled, the converted copy of it.
    weights: Path
    #: Whether code that comes with a model may run, as whoever started the workbench decided.
    trust_remote_code: bool = False

    @property
    def folder(self) -> Path:
        return Path(self.source)


def locate(workspace: Workspace, model: str | ResolvedModel, kind: str | None = None) -> LocalModel:
    """A model by its name, folder or hub id, downloaded and converted where that is needed.

    ``kind`` is what a hub model is wanted for. Raises what :func:`resolve` and :func:`fetch` raise,
    and :class:`ModelUnusable` for weights that cannot be read.
    """
    if isinstance(model, LocalModel):
        return model
    found = resolve(workspace, model, kind) if isinstance(model, str) else model
    if not found.local:
        folder = fetch(found.hub_id)
        found = from_folder(workspace, folder, found.name, hub_id=found.hub_id, kind=kind)
    base = locate(workspace, found.base) if found.base else None
    contract = found.contract
    if base and not contract:
        # What its base is was not known before that was here.
        contract = base.contract.model_copy(update={"base_model": base.name})
    assert contract and found.layout, "a folder says both"
    return LocalModel(
        name=found.name,
        source=found.source,
        contract=contract,
        model_id=found.model_id,
        base=base,
        hub_id=found.hub_id,
        layout=found.layout,
        weights=_safe_folder(Path(found.source), workspace.path("cache")),
        trust_remote_code=workspace.trust_remote_code,
    )


def locate_folder(
    workspace: Workspace,
    folder: Path,
    *,
    contract: Contract | None = None,
    base: LocalModel | None = None,
) -> LocalModel:
    """A model that a job has just written; ``contract`` and an adapter's ``base`` where the job
    knows them better than the files."""
    found = from_folder(workspace, folder, folder.name, base=base)
    return locate(workspace, replace(found, contract=contract or found.contract))


# A hub model is brought into the local cache.
#
# The hub's own settings hold: ``HF_ENDPOINT`` for mirrors, ``HF_HUB_OFFLINE``, ``HF_HOME`` for the
# cache, ``HF_TOKEN`` for models that need a login.

_LOGIN = "Set HF_TOKEN in the environment to a token that may read it."
_NETWORK = "Check the network and HF_ENDPOINT, or add the model from a folder."

#: How long the hub may take to list a repository.
_SECONDS = 20.0


def fetch(hub_id: str) -> Path:
    """The local folder of a hub model, downloaded if it is not there yet.

    Pickled weights are left on the hub where the model has safetensors. Raises
    :class:`ModelNotFound` or :class:`ModelUnusable`.
    """
    from httpx2 import HTTPError
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    try:
        return Path(snapshot_download(hub_id, ignore_patterns=_unneeded(hub_id)))
    except GatedRepoError as error:
        raise ModelUnusable(f"The model '{hub_id}' needs a login at the Hub.", _LOGIN) from error
    except RepositoryNotFoundError as error:
        raise ModelNotFound(f"The Hub has no model '{hub_id}'.", _LOGIN) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        # The cache may lack only what was left on the hub on purpose.
        if cached := cached_snapshot(hub_id):
            return cached
        raise ModelNotFound(
            f"The model '{hub_id}' is not on this machine, and the Hub cannot be reached.", _NETWORK
        ) from error
    except (HTTPError, OSError) as error:
        raise ModelUnusable(f"Downloading '{hub_id}' failed: {error}.", _NETWORK) from error


def _unneeded(hub_id: str) -> list[str]:
    """Patterns of files not worth downloading; all but the general ones need the hub's list."""
    names = _listed(hub_id)
    safe = {Path(name).parent for name in names if fnmatch(name, "*.safetensors")}
    pickled = [name for name in names if is_pickled_weights(Path(name))]
    return [*JUNK, *(name for name in pickled if Path(name).parent in safe)]


def _listed(hub_id: str) -> list[str]:
    """The repository's files; none where the hub cannot be asked (the cache is tried then)."""
    from httpx2 import HTTPError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    try:
        # One request without retries: where there is no network, it should show at once.
        about = HfApi().model_info(hub_id, timeout=_SECONDS)
    except (RepositoryNotFoundError, GatedRepoError):
        raise
    except (OfflineModeIsEnabled, HTTPError, OSError):
        return []
    return [file.rfilename for file in about.siblings or []]


# Pickled weights become safetensors.

#: Checkpoints of training frameworks keep the weights under one of these.
_NESTED = ("state_dict", "model_state_dict", "model", "module")


def convert_in_place(folder: Path, stop: Callable[[], None] | None = None) -> list[str]:
    """Replace the pickled weights of a folder of ours by safetensors; the new files' names.

    Raises :class:`ModelUnusable` for a pickle that holds more than weights.
    """
    written = []
    for place in pickled_folders(folder):
        pickled = pickled_of(place)
        for path in pickled:
            if stop:
                stop()
            written.append(_convert(path, place / _safe_name(path, len(pickled))).name)
        _convert_index(place)
        for path in pickled:
            path.unlink()
    return written


def _safe_folder(folder: Path, cache: Path) -> Path:
    """``folder`` itself, or where its weights are pickled, its converted copy under ``cache``."""
    if not needs_conversion(folder):
        return folder
    target = cache / "converted" / _fingerprint(folder)
    if not target.is_dir():
        _convert_copy(folder, target)
    return target


def _convert_copy(folder: Path, target: Path) -> None:
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        copy_model(folder, partial)
        convert_in_place(partial)
        try:
            partial.rename(target)
        except OSError:
            # Another worker was faster: its copy is the same.
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _fingerprint(folder: Path) -> str:
    """Changes when the folder's weights do, as far as size and time tell."""
    digest = hashlib.sha256(str(folder.resolve()).encode())
    for place in pickled_folders(folder):
        for path in pickled_of(place):
            about = path.stat()
            digest.update(f"{path.name} {about.st_size} {about.st_mtime_ns}".encode())
    return digest.hexdigest()[:24]


def _safe_name(path: Path, among: int) -> str:
    """'pytorch_model-00001-of-00002.bin' -> 'model-00001-of-00002.safetensors'."""
    if path.stem.startswith("adapter_model"):
        return f"{path.stem}.safetensors"
    shard = path.stem[path.stem.index("-") :] if among > 1 and "-" in path.stem else ""
    return f"model{shard}.safetensors"


def _convert(path: Path, target: Path) -> Path:
    from safetensors.torch import save_file

    tensors = _own_memory(read_pickled(path))
    # transformers refuses files without this remark.
    save_file(tensors, str(target), metadata={"format": "pt"})
    return target


def read_pickled(path: Path) -> dict[str, Any]:
    """The tensors of a pickled file by name; raises :class:`ModelUnusable` if there is more."""
    import pickle

    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise ModelUnusable(
            f"The weights in '{path.name}' were refused: the file is damaged, or holds code"
            " besides numbers.",
            "Ask for the weights as safetensors, or convert them where you trust the file.",
        ) from error
    tensors = _tensors(content, torch.Tensor)
    if not tensors:
        raise ModelUnusable(f"'{path.name}' holds no weights.")
    return tensors


def _tensors(content: Any, kind: type) -> dict[str, Any]:
    if not isinstance(content, dict):
        return {}
    for key in _NESTED:
        if isinstance(content.get(key), dict):
            return _tensors(content[key], kind)
    return {str(name): value for name, value in content.items() if isinstance(value, kind)}


def _own_memory(tensors: dict[str, Any]) -> dict[str, Any]:
    """Copies of tensors that share memory: safetensors keeps each one apart."""
    seen: set[int] = set()
    own = {}
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        whole = tensor.is_contiguous() and tensor.nbytes == tensor.untyped_storage().nbytes()
        own[name] = tensor if whole and place not in seen else tensor.clone().contiguous()
        seen.add(place)
    return own


def _convert_index(folder: Path) -> None:
    """Rewrite the list of shards, where there is one."""
    for path in folder.glob("pytorch_model*.index.json"):
        index = json.loads(path.read_text(encoding="utf-8"))
        names = {name: _safe_name(Path(name), 2) for name in set(index["weight_map"].values())}
        index["weight_map"] = {key: names[name] for key, name in index["weight_map"].items()}
        text = json.dumps(index, indent=2)
        (folder / "model.safetensors.index.json").write_text(text, encoding="utf-8")
        path.unlink()
    assert safetensors_of(folder), f"nothing was converted in {folder}"
