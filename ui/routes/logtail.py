"""Reading a growing log piece by piece: whole lines, and of progress bars only the last state."""

import codecs
from pathlib import Path

#: What one answer carries at most, and how much of an old log is shown.
MOST_BYTES = 64 * 1024


def read_new(path: Path, start: int, finished: bool) -> tuple[str, int, int]:
    """Text of a log from byte ``start``: (text, where it begins, where the next piece begins).

    ``start`` of -1, or one that is beyond the file or too far behind it, gives the tail from the
    start of a line: where the text begins then differs from ``start``, and the page begins anew.
    While the job runs, a line that is not complete is left for the next time.
    """
    if not path.is_file():
        return "", 0, 0
    size = path.stat().st_size
    begin = start if 0 <= size - start <= MOST_BYTES and start >= 0 else max(0, size - MOST_BYTES)
    with path.open("rb") as file:
        file.seek(begin)
        data = file.read(MOST_BYTES)
    if begin > 0 and begin != start:
        cut = data.find(b"\n") + 1
        begin, data = begin + cut, data[cut:]
    if not finished and len(data) < MOST_BYTES:
        data = data[: data.rfind(b"\n") + 1]
    return _plain(data), begin, begin + len(data)


def _plain(data: bytes) -> str:
    text = codecs.decode(data, "utf-8", "replace").replace("\r\n", "\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
