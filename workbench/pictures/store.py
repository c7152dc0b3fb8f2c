"""A data set's picture files, once for each content: the bytes as they came, and small pictures for
people to look at, which are never the file as it came.
"""

import hashlib
import os
import shutil
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from workbench.errors import NotFound
from workbench.pictures import opening
from workbench.pictures.opening import SUFFIXES

if TYPE_CHECKING:
    from workbench.workspace import Workspace


FOLDER = "pictures"


def keep_picture(folder: Path, data: bytes, name: str) -> str:
    """Keep a picture below a data set's folder; returns its path there.

    Raises :class:`PictureUnusable` for what cannot be opened: nothing is kept then.
    """
    place = place_of(data, name)
    target = folder / place
    if not target.is_file():
        opening.check_apart(data)
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


# Small pictures for people to look at: made once, kept by content, never the file as it came.

#: The longer side in pixels. A few fixed sizes, so that nobody can fill the disk with others.
SIZES = (64, 128, 256, 512, 1024)


def thumbnail(
    workspace: "Workspace", dataset: str, version: int | None, row: int, size: int
) -> bytes:
    """A document's picture as WebP, ``size`` (or the next larger of SIZES) pixels at most.

    Raises :class:`NotFound` where the document has no picture, :class:`PictureUnusable` where its
    file was damaged.
    """
    reader = workspace.datasets.read(dataset, version)
    if not 0 <= row < int(reader.counts["documents"]):
        raise NotFound(f"The data set '{reader.name}' has no document {row}.")
    place = reader.documents(row, row + 1)["picture"][0].as_py()
    if not place or not (reader.folder / place).is_file():
        raise NotFound(f"Document {row} of '{reader.name}' has no picture.")
    return small(workspace.home, reader.folder / place, size)


def small(home: Path, picture: Path, size: int) -> bytes:
    """A picture of a data set, small; read from the cache where it was made before."""
    wanted = next((one for one in SIZES if one >= size), SIZES[-1])
    # Its name is the digest of its content.
    name = PurePosixPath(picture).stem
    kept = home / "cache" / "thumbnails" / name[:2] / f"{name}-{wanted}.webp"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        data = opening.shrunk(picture, wanted)
        beside = kept.with_suffix(f".{id(data)}.new")
        beside.write_bytes(data)
        beside.replace(kept)
    return kept.read_bytes()
