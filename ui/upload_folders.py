"""A folder on its way from a browser: its files end to end, sent as if they were one file.

The browser says first which files there are, by relative path and size, in the order it will send
them; the bytes that arrive are then cut where each file ends. So a folder of ten thousand notes
takes no more requests than a file as large, and goes on after a break by the same rule.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path, PurePosixPath

from ui.routes.replies import Refused
from ui.words import amounts, t

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
