"""The files to read: those named, those in folders named, and the members of zips."""

import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from workbench.data import archives
from workbench.data.formats import prose
from workbench.data.problems import ProblemLog
from workbench.pictures.opening import SUFFIXES as PICTURES

TEXT = {".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".tab", ".txt"}
#: Kinds of file that are read when they lie in a folder.
READABLE = {*TEXT, *prose.KINDS, *PICTURES, ".parquet", ".zip"}
_LATER = {".docx", ".doc", ".odt", ".html", ".heic", ".svg", ".psd"}
_PACKED = {".gz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".tar", ".tgz"}


@dataclass(frozen=True, slots=True)
class Source:
    """One file to read. ``label`` is what a person calls it; ``size`` is in bytes, unpacked."""

    label: str
    size: int
    open: Callable[[], AbstractContextManager[BinaryIO]]

    @property
    def suffix(self) -> str:
        return Path(self.label).suffix.lower()


def find(paths: list[Path], log: ProblemLog, notes: list[str]) -> Iterator[Source]:
    """All files to read under these paths. What cannot be read is a problem or a note."""
    for path in paths:
        if path.is_dir():
            yield from _folder(path, log, notes)
        else:
            yield from named(path, path.name, log)


def _folder(root: Path, log: ProblemLog, notes: list[str]) -> Iterator[Source]:
    ignored: list[str] = []
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        if any(part.startswith((".", "__MACOSX")) for part in inside.parts) or path.is_dir():
            continue
        label = f"{root.name}/{inside.as_posix()}"
        if not path.resolve().is_relative_to(root.resolve()):
            log.add("unsafe-path", label, detail="a link that leads outside")
        elif path.suffix.lower() not in READABLE or not stat.S_ISREG(path.stat().st_mode):
            ignored.append(inside.as_posix())
        else:
            yield from named(path, label, log)
    if ignored:
        some = ", ".join(ignored[:5]) + (" and others" if len(ignored) > 5 else "")
        notes.append(f"Not read, for their kind of file: {some}.")


def named(path: Path, label: str, log: ProblemLog) -> Iterator[Source]:
    """A file under that name, or the members of a zip."""
    try:
        with path.open("rb") as stream:
            start = stream.read(4)
        size = path.stat().st_size
    except OSError as error:
        log.add("unreadable", label, detail=(error.strerror or "it does not open").lower())
        return
    suffix = path.suffix.lower()
    if suffix == ".zip" or (start == b"PK\x03\x04" and suffix not in TEXT):
        for member in archives.members(path, label, log):
            if wanted(member.label, log):
                yield Source(member.label, member.size, member.open)
    elif wanted(label, log):
        yield Source(label, size, lambda: path.open("rb"))


def wanted(label: str, log: ProblemLog) -> bool:
    """False, with a problem that says what to do, for kinds of file that are not read."""
    suffix = Path(label).suffix.lower()
    hints: dict[str, Any] = dict.fromkeys(
        _LATER,
        "Rows are read from JSONL, JSON, CSV, TSV and Parquet, texts from .txt, .md and .pdf, "
        "pictures from PNG, JPEG, WebP, GIF, BMP and TIFF.",
    ) | dict.fromkeys(_PACKED, "Unpack it first, or pack the files as a zip.")
    if suffix in hints:
        detail = f"Files of the kind '{suffix}' are not supported yet."
        log.add("unsupported-shape", label, detail=detail, hint=hints[suffix])
    return suffix not in hints
