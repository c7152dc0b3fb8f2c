"""The files to read: those named, those in folders named, and the members of zips."""

import json
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from workbench.data.formats import fileformat
from workbench.data.formats.workbook import SUFFIXES as WORKBOOKS
from workbench.data.formats.workbook import is_workbook
from workbench.data.problems import ProblemLog
from workbench.pictures.opening import SUFFIXES as PICTURES

#: What can go wrong under a file that was fine when it was looked at, or in a broken zip.
BROKEN = (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError)

# Zips, read in place and never unpacked: links, paths that escape and bombs are refused.

_PACKED = {".gz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".tar", ".tgz"}
#: Text packs about ten to one. What packs far better than that, and is large, is a bomb.
_RATIO, _ALWAYS_FINE = 200, 256 << 20
_MOST_MEMBERS = 100_000


@dataclass(frozen=True, slots=True)
class Source:
    """One file to read. ``label`` is what a person calls it; ``size`` is in bytes, unpacked."""

    label: str
    size: int
    open: Callable[[], AbstractContextManager[BinaryIO]]

    @property
    def suffix(self) -> str:
        return Path(self.label).suffix.lower()


def members(path: Path, label: str, log: ProblemLog) -> Iterator[Source]:
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
        elif PurePosixPath(entry.filename).suffix.lower() in _PACKED | {".zip"}:
            log.add("nested-archive", inside)
        else:
            yield Source(inside, entry.file_size, _opener(archive, entry))


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


_LATER = {".docx", ".doc", ".odt", ".html", ".heic", ".svg", ".psd"}
#: What packed files begin with, whatever they are called.
_PACKED_STARTS = {
    b"\x1f\x8b\x08": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "Zstandard", b"7z\xbc\xaf\x27\x1c": "7-Zip", b"Rar!\x1a\x07": "RAR",
    b"PK\x03\x04": "zip",
}  # fmt: skip
_ZIP = b"PK\x03\x04"
_UNPACK = "Unpack it first, or pack the files as a zip."
#: What the ``datasets`` library writes beside the rows.
_NOTES = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json"}
_STATE = "state.json"


def readable() -> frozenset[str]:
    """How the names of files end that are read when they lie in a folder."""
    return fileformat.suffixes() | PICTURES | {".zip"}


def find(paths: list[Path], log: ProblemLog, notes: list[str]) -> Iterator[Source]:
    """All files to read under these paths. What cannot be read is a problem or a note."""
    for path in paths:
        if path.is_dir():
            yield from _folder(path, log, notes)
        else:
            yield from named(path, path.name, log)


def _folder(root: Path, log: ProblemLog, notes: list[str]) -> Iterator[Source]:
    ignored: list[str] = []
    kinds = readable()
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        if any(part.startswith((".", "__MACOSX")) for part in inside.parts) or path.is_dir():
            continue
        label = f"{root.name}/{inside.as_posix()}"
        if not path.resolve().is_relative_to(root.resolve()):
            log.add("unsafe-path", label, detail="a link that leads outside")
        elif path.suffix.lower() not in kinds or not stat.S_ISREG(path.stat().st_mode):
            ignored.append(inside.as_posix())
        elif not _is_about(path):
            yield from named(path, label, log)
    if ignored:
        some = ", ".join(ignored[:5]) + (" and others" if len(ignored) > 5 else "")
        notes.append(f"Not read, for their kind of file: {some}.")


def _is_about(path: Path) -> bool:
    """Whether a file holds no rows, but what ``datasets`` keeps beside them: its notes, and what it
    once computed."""
    if path.name in _NOTES:
        return True
    state = path.parent / _STATE
    if (path.suffix != ".arrow" and path.name != _STATE) or not state.is_file():
        return False
    files = _saved(state)
    return bool(files) and path.name not in files


def _saved(state: Path) -> set[str]:
    """The files that a folder of ``save_to_disk`` names as its own."""
    try:
        with state.open("rb") as stream:
            found = json.loads(stream.read(1 << 20))["_data_files"]
        return {str(one["filename"]) for one in found}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def named(path: Path, label: str, log: ProblemLog) -> Iterator[Source]:
    """A file under that name, or the members of a zip."""
    try:
        with path.open("rb") as stream:
            start = stream.read(1 << 16)
        size = path.stat().st_size
    except OSError as error:
        log.add("unreadable", label, detail=(error.strerror or "it does not open").lower())
        return
    suffix = path.suffix.lower()
    packed_as_zip = start.startswith(_ZIP) and suffix not in (*WORKBOOKS, *_LATER)
    if suffix == ".zip" or (packed_as_zip and not is_workbook(start)):
        inside = _rows_only(list(members(path, label, log)))
        yield from (member for member in inside if wanted(member.label, log))
    elif wanted(label, log):
        yield Source(label, size, lambda: path.open("rb"))


def _rows_only(members: list[Source]) -> Iterator[Source]:
    """Without what ``datasets`` keeps beside its rows."""
    paths = [PurePosixPath(one.label) for one in members]
    saved = {path.parent for path in paths if path.suffix == ".arrow"}
    for path, one in zip(paths, members, strict=True):
        state = path.name == _STATE and path.parent in saved
        if path.name not in _NOTES and not state:
            yield one


def wanted(label: str, log: ProblemLog) -> bool:
    """False, with a problem that says what to do, for kinds of file that are not read."""
    suffix = Path(label).suffix.lower()
    if suffix not in _LATER | _PACKED:
        return True
    rows, texts = fileformat.named(texts=False), fileformat.named(texts=True)
    hint = (
        f"Rows are read from {rows}, texts from {texts}, "
        "pictures from PNG, JPEG, WebP, GIF, BMP and TIFF."
    )
    log.add(
        "unsupported-shape",
        label,
        detail=f"Files of the kind '{suffix}' are not supported yet.",
        hint=_UNPACK if suffix in _PACKED else hint,
    )
    return False


def packed(start: bytes) -> tuple[str, str] | None:
    """What to say of a file that is packed, whatever it is called, and what to do; else None."""
    for first, name in _PACKED_STARTS.items():
        if start.startswith(first) and (first != b"BZh" or start[4:10] == b"1AY&SY"):
            return f"The file is packed by {name}, though its name ends otherwise.", _UNPACK
    return None
