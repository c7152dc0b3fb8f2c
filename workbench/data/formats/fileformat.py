"""What a file format is: how its files are known, and how they are read.

One object a format, in :data:`FILE_FORMATS`: a file in this folder that defines ``FORMAT`` (or
``FORMATS``) is found by itself; code elsewhere calls ``FILE_FORMATS.register``. What is accepted by
name on the page, by the command line and in folders, and what the documents say of it, come from
there.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO

from workbench.data.formats.jsonrows import Record
from workbench.data.lines import Block, Decoding, read_blocks
from workbench.data.mapping import ColumnMap
from workbench.data.problems import ProblemLog, Report
from workbench.data.shapes.blocks import RowBlock
from workbench.extensions import Registry

if TYPE_CHECKING:
    from workbench.data.pieces import Cutter, Piece


#: So much of a file's beginning is looked at.
HEAD = 1 << 18
#: What texts are called that may hold rows as well.
PROSE = (".txt", ".text")


@dataclass(frozen=True)
class Head:
    """The beginning of a file, by which its format is known. ``header``: what a person said of a
    table's first line: auto, yes or no."""

    label: str
    data: bytes
    open: Callable[[], AbstractContextManager[BinaryIO]]
    encoding: str = "auto"
    header: str = "auto"
    columns: ColumnMap | None = None

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.label).suffix.lower()

    @property
    def is_prose(self) -> bool:
        """Whether it is called a text: then it is a table only if it surely looks like one."""
        return self.suffix in PROSE

    @cached_property
    def lines(self) -> list[bytes]:
        """Its lines as UTF-8; the last may be cut off."""
        blocks = read_blocks(_Once(self.data), Decoding(self.encoding))
        return [line for block in blocks for line in block.lines]

    @cached_property
    def whole_lines(self) -> list[str]:
        """Its lines as text, without one that is cut off."""
        lines = (self.lines[:-1] or self.lines) if len(self.data) == HEAD else self.lines
        return [line.decode("utf-8", "replace") + "\n" for line in lines]

    @cached_property
    def text(self) -> bytes:
        """All of it, from the first character that is no blank."""
        return b"\n".join(self.lines).lstrip(b"\xef\xbb\xbf \t\r\n")

    def renamed(self, sample: dict[str, Any]) -> dict[str, Any]:
        """A row by the names that a person gave to its columns."""
        return self.columns.rename(sample) if self.columns else sample


class _Once:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, _size: int = -1, /) -> bytes:
        data, self._data = self._data, b""
        return data


@dataclass(frozen=True, slots=True)
class Look:
    """What a file's beginning says. ``sample``: its first row, or its columns with empty values;
    ``part``: what the file is for, where its format alone tells; ``memo``: what its reader will
    want to know; ``problems``: (code, line, detail)."""

    sample: Mapping[str, Any] = field(default_factory=dict)
    part: str = ""
    memo: Any = None
    problems: tuple[tuple[str, int, str], ...] = ()


@dataclass(frozen=True)
class OpenFile:
    """A file as its format reads it. ``tick`` hears how many bytes were read, and may raise."""

    label: str
    size: int
    report: Report
    memo: Any
    #: Its lines, whatever encoding it is in, with ``tick`` called.
    blocks: Callable[[], Iterator[Block]]
    #: The file to read at any place; whoever uses it calls ``tick``.
    whole: Callable[[], AbstractContextManager[Any]]
    tick: Callable[[int], None]
    #: Rows in memory at a time, where a format reads so many at once.
    rows_at_once: int = 1_000

    @contextmanager
    def sharing(self) -> Iterator[Callable[[float], None]]:
        """For formats that know their share of rows rather than of bytes."""
        told = 0

        def done(share: float) -> None:
            nonlocal told
            now = int(min(1.0, share) * self.size)
            self.tick(now - told)
            told = now

        yield done


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that stand one after the other. ``rows``: all of them as columns, where they have the
    same; ``records``: the same rows one by one, with what is wrong said to the file's report. One
    of the two is used, before the next part is asked for."""

    rows: RowBlock | None
    records: Callable[[], Iterator[Record]]


def by_name(head: Head, format: "FileFormat") -> Look | None:
    """The usual way to know a file: its first bytes, or else the end of its name. The first row
    is then its sample."""
    named = head.suffix in format.suffixes and not format.first_bytes
    if not (named or any(head.data.startswith(start) for start in format.first_bytes)):
        return None
    return Look(_first_row(head, format) if format.rows else {})


def _first_row(head: Head, format: "FileFormat") -> dict[str, Any]:
    quiet = Report(ProblemLog(Path()), head.label, quiet=True)

    def blocks() -> Iterator[Block]:
        return read_blocks(_Once(head.data), Decoding(head.encoding))

    file = OpenFile(head.label, len(head.data), quiet, None, blocks, head.open, lambda _count: None)
    rows = format.rows(file) if format.rows else iter(())
    return next((row for _, row in rows), {})


@dataclass(frozen=True)
class FileFormat:
    """One format. It has either ``rows`` or ``pieces``, or is read by another hand (``part``)."""

    #: What records call it.
    name: str
    #: What sentences call it.
    label: str
    #: How names of such files end.
    suffixes: Sequence[str]
    #: The rows, each with its line; what is wrong with the file goes to its report.
    rows: Callable[[OpenFile], Iterator[Record]] | None = None
    #: The documents of a format that is a text.
    pieces: "Callable[[OpenFile, Cutter], Iterator[Piece]] | None" = None
    #: The formats are asked in this order, the lowest first: those that know their files for
    #: certain before those that take what looks like theirs.
    order: int = 0
    #: Bytes that such files begin with; then the name alone is not enough.
    first_bytes: Sequence[bytes] = ()
    #: Whether a file is of this format; None where it is not.
    look: "Callable[[Head, FileFormat], Look | None]" = by_name
    #: The columns stand once, above all rows: where they cannot be read that is said once.
    headed: bool = False
    #: The rows in parts, many of which can be read at once; a file is read this way or as ``rows``.
    parts: Callable[[OpenFile], Iterator[Part]] | None = None
    #: The file is one value, which many programs write on one line, however long.
    one_value: bool = False


#: All formats that are read, in the order in which they are asked whether a file is theirs.
FILE_FORMATS: Registry[FileFormat] = Registry(
    "format", package="workbench.data.formats", attribute="FORMAT"
)


def formats() -> tuple[FileFormat, ...]:
    return tuple(sorted(FILE_FORMATS.all(), key=lambda one: (one.order, one.name)))


def suffixes() -> frozenset[str]:
    """How the names of files end that are read."""
    return frozenset(suffix for one in formats() for suffix in one.suffixes)


def named(texts: bool) -> str:
    """What rows are read from, or what ``texts`` are, for a sentence."""
    rows = [one for one in formats() if one.rows and one.suffixes]
    words = [one.label for one in rows if not texts]
    words += [suffix for one in formats() if texts and one.pieces for suffix in one.suffixes]
    return ", ".join(words)


def format_of(head: Head) -> tuple[FileFormat, Look]:
    """The format of a file, and what its beginning says."""
    for one in formats():
        if (found := one.look(head, one)) is not None:
            return one, found
    return FILE_FORMATS.get("delimited"), Look()
