"""A data set's picture files: the bytes as they came, once for each content."""

import hashlib
import os
import shutil
from pathlib import Path, PurePosixPath

from workbench.pictures import decode_subprocess
from workbench.pictures.opening import SUFFIXES

FOLDER = "pictures"


def keep_picture(folder: Path, data: bytes, name: str) -> str:
    """Keep a picture below a data set's folder; returns its path there.

    Raises :class:`PictureUnusable` for what cannot be opened: nothing is kept then.
    """
    place = place_of(data, name)
    target = folder / place
    if not target.is_file():
        decode_subprocess.check(data)
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_suffix(".new")
        beside.write_bytes(data)
        beside.replace(target)
    return place


def place_of(data: bytes, name: str) -> str:
    """pictures/<two digits>/<SHA-256>.<suffix>: named by content, never as a file came."""
    digest = hashlib.sha256(data).hexdigest()
    suffix = PurePosixPath(name).suffix.lower()
    return f"{FOLDER}/{digest[:2]}/{digest}{suffix if suffix in SUFFIXES else '.img'}"


def link_picture(source: Path, place: str, target: Path) -> None:
    """The same picture in another data set's folder: as a hard link where the disk has such."""
    kept = target / place
    if kept.is_file():
        return
    kept.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source / place, kept)
    except OSError:
        # Another file system, or one without links.
        shutil.copy2(source / place, kept)
