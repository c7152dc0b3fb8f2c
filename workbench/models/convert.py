"""Turns pickled weights (.bin, .pt) into safetensors once, so that nothing unpickles them again.

Unpickling can run any code, so the reading is done with ``torch.load(weights_only=True)``, which
knows tensors and plain containers only and refuses the rest. Workers only.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.errors import ModelUnusable
from workbench.models.architecture import (
    needs_conversion,
    pickled_folders,
    pickled_of,
    safetensors_of,
)
from workbench.models.files import copy_model

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


def safe_folder(folder: Path, cache: Path | None) -> Path:
    """``folder`` itself, or where its weights are pickled, its converted copy under ``cache``."""
    if not needs_conversion(folder):
        return folder
    if cache is None:
        raise ModelUnusable(
            f"The weights in {folder} are pickled.", "Add the model to the workspace first."
        )
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
