"""Zips, read in place and never unpacked: links, paths that escape and bombs are refused."""

import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from workbench.data.problems import ProblemLog

_PACKED = {".zip", ".gz", ".bz2", ".xz", ".7z", ".rar", ".tar", ".tgz", ".zst"}
#: Text packs about ten to one. What packs far better than that, and is large, is a bomb.
_RATIO, _ALWAYS_FINE = 200, 256 << 20
_MOST_MEMBERS = 100_000


@dataclass(frozen=True, slots=True)
class Member:
    label: str
    size: int
    open: Callable[[], AbstractContextManager[BinaryIO]]


def members(path: Path, label: str, log: ProblemLog) -> Iterator[Member]:
    """The files of a zip that may be read; the others become problems."""
    try:
        # Closed when the last member that can be opened is forgotten: opening an archive anew for
        # each of ten thousand pictures would read its long list of names as often.
        archive = zipfile.ZipFile(path)
        entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        log.add("unreadable", label, detail=f"it is no zip archive ({error})")
        return
    if too_big := _too_big(path, entries):
        log.add("archive-too-big", label, detail=too_big)
        return
    for entry in entries:
        if entry.is_dir() or _hidden(entry.filename):
            continue
        inside = f"{label}/{entry.filename}"
        if refusal := _refusal(entry):
            log.add("unsafe-path", inside, detail=refusal)
        elif PurePosixPath(entry.filename).suffix.lower() in _PACKED:
            log.add("nested-archive", inside)
        else:
            yield Member(inside, entry.file_size, _opener(archive, entry))


def _too_big(path: Path, entries: list[zipfile.ZipInfo]) -> str:
    total = sum(entry.file_size for entry in entries)
    if len(entries) > _MOST_MEMBERS:
        return f"{len(entries):,} files"
    if total > _ALWAYS_FINE and total > _RATIO * path.stat().st_size:
        return f"{total / 1e9:,.1f} GB, far more than text packs to"
    return ""


def _hidden(name: str) -> bool:
    return any(part.startswith(".") and part != ".." for part in PurePosixPath(name).parts) or (
        name.startswith("__MACOSX/")
    )


def _refusal(entry: zipfile.ZipInfo) -> str:
    mode = entry.external_attr >> 16
    name = entry.filename.replace("\\", "/")
    if stat.S_ISLNK(mode):
        return "a link"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "something that is no plain file"
    if name.startswith("/") or ".." in name.split("/") or name[1:2] == ":":
        return "a path that leads outside"
    return "a file with a password" if entry.flag_bits & 1 else ""


def _opener(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo
) -> Callable[[], AbstractContextManager[BinaryIO]]:
    @contextmanager
    def opened() -> Iterator[BinaryIO]:
        # zipfile stops at the size the entry declares, which the check above has bounded.
        with archive.open(entry) as stream:
            yield cast(BinaryIO, stream)

    return opened
