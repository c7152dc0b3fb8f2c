"""Files on their way from a browser: in pieces, each continuing where the file on disk ends.

``uploads/<id>/`` holds ``upload.json`` and the file itself, as ``<name>.part`` until all of it is
there. What has arrived is the size of that file, so a dropped connection or a restart of the app
loses at most what had not been written. A folder comes in the same way.
"""

import json
import secrets
import shutil
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path, PurePosixPath
from typing import Any

from ui.routes.replies import Refused
from ui.words import amounts, t

# A folder on its way from a browser: its files end to end, sent as if they were one file.
#
# The browser says first which files there are, by relative path and size, in the order it will
# send them; the bytes that arrive are then cut where each file ends. So a folder of ten thousand
# notes takes no more requests than a file as large, and goes on after a break by the same rule.

MOST_FILES = 20_000
_MOST_PART, _MOST_PATH, _MOST_DEPTH = 200, 1_000, 30
#: Beside the folder: how many bytes of it have arrived. The name is none that an upload may have.
_COUNT = "received.part"


@dataclass(frozen=True)
class Folder:
    """``root`` holds what has arrived; ``files`` are (relative path, bytes) in the order of
    sending."""

    root: Path
    files: Sequence[tuple[str, int]]

    @cached_property
    def ends(self) -> list[int]:
        """Where each file ends in the stream of all of them."""
        return list(accumulate(size for _, size in self.files))

    @property
    def received(self) -> int:
        """Bytes that have arrived, in the order of sending."""
        count = self.root.parent / _COUNT
        return int(count.read_text()) if count.is_file() else 0

    def begin(self) -> None:
        """An empty folder with the files that hold nothing."""
        self.root.mkdir()
        for path, size in self.files:
            if not size:
                self._place(path).touch()

    def append(self, offset: int, data: bytes) -> None:
        """Write bytes that begin at ``offset`` of the stream, each to its file.

        The count is written last: after a crash in between the same bytes come again, and go to
        the same places.
        """
        view, at = memoryview(data), offset
        number = bisect_right(self.ends, offset)
        while view:
            path, size = self.files[number]
            start = self.ends[number] - size
            part = view[: self.ends[number] - at]
            self._write(path, at - start, part)
            view, at, number = view[len(part) :], at + len(part), number + 1
        count = self.root.parent / _COUNT
        beside = count.with_suffix(".new.part")
        beside.write_text(str(at))
        beside.replace(count)

    def _write(self, path: str, place: int, data: memoryview) -> None:
        target = self._place(path)
        with target.open("r+b" if target.exists() else "wb") as file:
            file.seek(place)
            file.write(data)

    def _place(self, path: str) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target


def check_files(files: Sequence[tuple[str, int]], name: str, size: int) -> None:
    """Refuse too many files, sizes that do not add up, and paths that are no plain places below
    the folder or that another one stands in the way of."""
    if len(files) > MOST_FILES:
        places = {"count": amounts.count(len(files)), "limit": amounts.count(MOST_FILES)}
        raise Refused(413, t("upload.files", name=name, **places))
    if any(bytes_ < 0 for _, bytes_ in files) or sum(bytes_ for _, bytes_ in files) != size:
        raise Refused(400, t("upload.sizes", name=name))
    above: set[str] = set()
    for path, _ in files:
        _check_path(path)
        above.update(str(parent) for parent in PurePosixPath(path).parents)
    paths = {path for path, _ in files}
    if len(paths) < len(files) or paths & above:
        raise Refused(400, t("upload.twice", name=name))


def _check_path(path: str) -> None:
    parts = path.split("/")
    long = len(path.encode("utf-8", "replace")) > _MOST_PATH or len(parts) > _MOST_DEPTH
    if long or not all(_plain(part) for part in parts):
        raise Refused(400, t("upload.path", path=sayable(path)))


def sayable(name: str) -> str:
    """A name as it can be sent back: no halves of characters, and not too long."""
    return name.encode("utf-8", "replace").decode("utf-8")[:_MOST_PART]


def _plain(part: str) -> bool:
    """Whether this names a file or folder, and nothing else on any system: no '..', no drive."""
    if not part.strip() or part.startswith(".") or part[1:2] == ":":
        return False
    try:
        length = len(part.encode("utf-8"))
    except UnicodeEncodeError:  # Half of a surrogate pair.
        return False
    return length <= _MOST_PART and part.isprintable() and "\\" not in part


SLICE = 32 * 1024 * 1024
#: A client may send larger pieces than ours does, up to here.
MOST_SLICE = 2 * SLICE
MOST_BYTES = 200 * 10**9
MOST_WAITING = 1000
#: Left free on the disk whatever is uploaded: the database and logs live there too.
RESERVE = 500 * 10**6
#: Uploads that nothing has been added to for so long, and that no job needs, are removed.
STALE = 24 * 3600.0
ABOUT = "upload.json"
PART = ".part"
MOST_NAME = 200


@dataclass(frozen=True, slots=True)
class Upload:
    """One file or folder: its name and size as the browser gave them, and how many bytes are
    here. ``folder``: what is in it, for a folder."""

    id: str
    name: str
    size: int
    received: int
    folder: Folder | None = None

    @property
    def complete(self) -> bool:
        return self.received == self.size


class Uploads:
    """The staged files below one folder."""

    def __init__(self, folder: Path, free: Callable[[], int] | None = None) -> None:
        self.folder = folder
        self._free = free or (lambda: shutil.disk_usage(folder).free)

    def begin(self, name: str, size: int, files: Sequence[tuple[str, int]] | None = None) -> Upload:
        """Make room for a file, or for a folder of ``files``: (relative path, bytes) in the order
        they will be sent. Raises :class:`Refused` where a name or size will not do."""
        check_name(name)
        self._check_size(name, size)
        if files is not None:
            check_files(files, name, size)
        if sum(1 for _ in self.folder.iterdir()) >= MOST_WAITING:
            raise Refused(429, t("upload.many"))
        upload = Upload(secrets.token_hex(8), name, size, 0)
        folder = self.folder / upload.id
        folder.mkdir()
        about: dict[str, Any] = {"id": upload.id, "name": name, "size": size}
        if files is None:
            self._part(upload).touch()
        else:
            Folder(self._part(upload), files).begin()
            about["files"] = list(files)
        (folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")
        return upload

    def get(self, id: str) -> Upload:
        """An upload by id; raises :class:`Refused` (404) when there is none."""
        about = self._about(id)
        files = about.pop("files", None)
        whole = self.folder / about["id"] / about["name"]
        path = whole if whole.exists() else whole.with_name(whole.name + PART)
        try:
            if files is not None and path.is_dir():
                folder = Folder(path, files)
                return Upload(**about, received=folder.received, folder=folder)
            return Upload(**about, received=path.stat().st_size)
        except FileNotFoundError as error:
            raise Refused(404, t("upload.gone")) from error

    def whole(self, id: str) -> Path:
        """Where a complete upload is; raises :class:`Refused` (409) while it is not complete."""
        upload = self.get(id)
        if not upload.complete:
            raise Refused(409, t("upload.unfinished", name=upload.name))
        return self.folder / upload.id / upload.name

    def append(self, upload: Upload, offset: int, data: bytes) -> Upload:
        """Add bytes at ``offset``, which must be where the file ends; whole files are renamed.

        Raises :class:`Refused` (409, with ``received``) for another place: ask and go on there.
        """
        now = self.get(upload.id)
        if now.received != offset:
            raise Refused(409, t("upload.offset"), received=now.received)
        if offset + len(data) > now.size:
            raise Refused(400, t("upload.beyond"))
        if now.folder is not None:
            now.folder.append(offset, data)
        else:
            with self._part(now).open("ab") as file:
                file.write(data)
        received = offset + len(data)
        if received == now.size:
            self._part(now).replace(self.folder / now.id / now.name)
        return replace(now, received=received)

    def remove(self, id: str) -> None:
        """Let an upload go, finished or not."""
        shutil.rmtree(self.folder / self._about(id)["id"], ignore_errors=True)

    def clean(self, needed: str = "", now: float | None = None) -> list[str]:
        """Remove stale uploads; ``needed`` is text that names the ids which jobs still need."""
        moment = time.time() if now is None else now
        stale = [
            folder
            for folder in self.folder.iterdir()
            if moment - _touched(folder) > STALE and folder.name not in needed
        ]
        for folder in stale:
            shutil.rmtree(folder, ignore_errors=True)
        return [folder.name for folder in stale]

    def _about(self, id: str) -> dict[str, Any]:
        if not (id.isascii() and id.isalnum()):
            raise Refused(404, t("upload.gone"))
        try:
            found: dict[str, Any] = json.loads((self.folder / id / ABOUT).read_text("utf-8"))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise Refused(404, t("upload.gone")) from error
        return found

    def _part(self, upload: Upload) -> Path:
        return self.folder / upload.id / (upload.name + PART)

    def _check_size(self, name: str, size: int) -> None:
        if size <= 0:
            raise Refused(400, t("upload.empty", name=name))
        if size > MOST_BYTES:
            limit = amounts.size(MOST_BYTES)
            raise Refused(413, t("upload.size", size=amounts.size(size), limit=limit))
        if size > (free := max(0, self._free() - RESERVE)):
            places = {"size": amounts.size(size), "free": amounts.size(free)}
            raise Refused(507, t("upload.disk", name=name, **places))


def check_name(name: str) -> None:
    """Refuse what is not the plain name of a file: the name is kept, it says what the file is."""
    if len(name.encode("utf-8", "replace")) > MOST_NAME:
        raise Refused(400, t("upload.name_length"))
    hidden = not name.strip() or name.startswith(".") or name == ABOUT or name.endswith(PART)
    if hidden or not name.isprintable() or any(mark in name for mark in "/\\"):
        raise Refused(400, t("upload.name", name=sayable(name)))


def _touched(folder: Path) -> float:
    times = [path.lstat().st_mtime for path in (folder, *folder.glob("*"))]
    return max(times)
