"""Files on their way from a browser: in pieces, each continuing where the file on disk ends.

``uploads/<id>/`` holds ``upload.json`` and the file itself, as ``<name>.part`` until all of it is
there. What has arrived is the size of that file, so a dropped connection or a restart of the app
loses at most what had not been written. A folder comes in the same way
(``ui/upload_folders.py``).
"""

import json
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ui.routes.replies import Refused
from ui.upload_folders import Folder, check_files, sayable
from ui.words import amounts, t

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
