"""What the command line writes: results to stdout, everything else to stderr."""

import sys
import time
from collections.abc import Sequence
from typing import Any

import orjson

from storage.records import Job

#: A log that is no terminal gets a line this often.
SECONDS_BETWEEN_LINES = 5.0


def print_json(document: Any) -> None:
    """Exactly one JSON document on stdout."""
    text = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY)
    sys.stdout.write(text.decode() + "\n")


def say(text: str) -> None:
    """A line for the person watching."""
    print(text, file=sys.stderr, flush=True)


def columns(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A plain table, each column as wide as its widest cell."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in cells]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def clip(text: str, most: int = 160) -> str:
    """A text on one line, and of so many characters at most."""
    flat = " ".join(text.split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def size_words(count: int) -> str:
    """Bytes as a person reads them."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


class ProgressLine:
    """Where a job stands, on stderr: rewritten on a terminal, else a line every few seconds."""

    def __init__(self) -> None:
        self._shown = ""
        self._shown_at = 0.0
        self._live = sys.stderr.isatty()

    def __call__(self, job: Job) -> None:
        text = f"{job.name}: {_standing(job)}"
        if text == self._shown or not (self._live or job.status.finished or self._is_due()):
            return
        if self._live:
            sys.stderr.write("\r\x1b[2K" + text)
            sys.stderr.flush()
        else:
            say(text)
        self._shown, self._shown_at = text, time.monotonic()

    def end(self) -> None:
        """Leave the line standing."""
        if self._live and self._shown:
            sys.stderr.write("\n")

    def _is_due(self) -> bool:
        return time.monotonic() - self._shown_at >= SECONDS_BETWEEN_LINES


def _standing(job: Job) -> str:
    progress = job.progress or {}
    if job.status.finished or not progress:
        return job.status.value
    parts = [str(progress.get("message") or job.status.value)]
    done, total = progress.get("done"), progress.get("total")
    if done is not None and total:
        parts.append(f"{done:,.0f} of {total:,.0f} {progress.get('unit') or ''}".strip())
    if progress.get("seconds_left") is not None:
        parts.append(f"{progress['seconds_left']:.0f} s left")
    return ", ".join(parts)
