"""What a model may be called, and a name for one that has none yet."""

import re
from fnmatch import fnmatch
from pathlib import Path

from workbench.errors import BadInput

_RESERVED = ("bm25",)
#: Folder names that say nothing about the model in them.
_GENERIC = (
    "final",
    "model",
    "best",
    "output",
    "checkpoint-*",
    "epoch*",
    "step*",
    "lora",
    "adapter",
)
_REVISION = re.compile(r"[0-9a-f]{40}")


def check_name(name: str) -> str:
    """The name without spaces around it; raises :class:`BadInput` where it would be ambiguous.

    A name with slashes would look like a hub id or a folder.
    """
    clean = name.strip()
    if not clean or any(sign in clean for sign in "/\\") or not clean.isprintable():
        raise BadInput(
            f"'{name}' cannot be a model's name.", "Use letters, digits, spaces, dots and dashes."
        )
    if clean.lower() in _RESERVED or clean.startswith((".", "-")):
        raise BadInput(f"'{clean}' cannot be a model's name.", "Choose another one.")
    return clean


def name_from(source: str) -> str:
    """A name from a hub id or a folder: .../my-run/final becomes my-run-final."""
    path = Path(source)
    name = path.name
    if _REVISION.fullmatch(name) and path.parent.name == "snapshots":
        return path.parent.parent.name.rpartition("--")[2]
    if any(fnmatch(name, pattern) for pattern in _GENERIC) and path.parent.name:
        name = f"{path.parent.name}-{name}"
    return name.lstrip(".-")[:100] or "model"
