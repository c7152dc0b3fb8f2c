"""A model's files as they are taken away: without a path of this machine in them. Torch-free."""

import json
from pathlib import Path
from typing import Any

from workbench.errors import ModelUnusable
from workbench.models.contract import CONTRACT_FILE
from workbench.models.inspect import read_json
from workbench.models.resolve import from_folder
from workbench.records import Model
from workbench.takeaway.origin import CONFIG, name_elsewhere

ADAPTER_FILE = "adapter_config.json"


def replaced_files(workspace: Any, model: Model) -> dict[str, bytes]:
    """The files of the model's folder that name its base, by their relative paths, rewritten.

    Programs elsewhere find an adapter's base by the name in adapter_config.json: a hub id where it
    has one, else the base's name here, under which it must be taken along. A folder of this machine
    would mean nothing there.
    """
    folder = workspace.path(model.path)
    found: dict[str, bytes] = {}
    base = _base_name(workspace, model, folder)
    if base:
        config = read_json(folder / ADAPTER_FILE)
        found[ADAPTER_FILE] = _json({**config, "base_model_name_or_path": base})
    for name, field in ((CONTRACT_FILE, "base_model"), (CONFIG, "model")):
        values = read_json(folder / name, missing={})
        if _is_path(values.get(field)):
            found[name] = _json({**values, field: base or Path(str(values[field])).name})
    return found


def missing_base(workspace: Any, model: Model) -> str:
    """The name of an adapter's base that exists in this workspace only, or ''."""
    base = _base_name(workspace, model, workspace.path(model.path))
    return "" if "/" in base else base


def _base_name(workspace: Any, model: Model, folder: Path) -> str:
    if not (folder / ADAPTER_FILE).is_file():
        return ""
    try:
        base = from_folder(workspace, folder, model.name, model).base
    except ModelUnusable:
        # The base is not here any more; the adapter can be taken along all the same.
        wanted = str(read_json(folder / ADAPTER_FILE).get("base_model_name_or_path", ""))
        return Path(wanted).name if _is_path(wanted) else wanted
    return name_elsewhere(base, workspace) if base else ""


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and (Path(value).is_absolute() or value.startswith(("~", ".")))


def _json(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode()
