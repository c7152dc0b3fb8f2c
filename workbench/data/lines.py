"""A text file as lines of UTF-8 bytes, block by block, whatever encoding it came in.

Lines end at '\\n' or '\\r\\n' and nowhere else: U+2028 and its kin are text. Memory stays at a few
blocks, however long the file is.
"""

import codecs
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from workbench.data.encoding import UTF8, Encoding, from_start, named, of_lines, surely_utf8

BLOCK = 3 << 18
LONGEST_LINE = 64 << 20
#: A line of so many bytes is handed over in parts where it may be.
LONG_PART = 1 << 20


class Stream(Protocol):
    """Anything bytes can be read from: a file, a member of a zip."""

    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(slots=True)
class Block:
    """Consecutive whole lines, the first of them number ``first``: as they stand in the file with
    their line ends (``data``; empty where they had to be decoded), and as a list when asked for.

    ``bad`` holds the positions of lines that do not decode, ``long`` of those that were cut off
    because they are longer than we read. ``open``: the last line goes on in the next block."""

    first: int
    data: bytes
    decoded: list[bytes] | None = None
    bad: frozenset[int] = frozenset()
    long: frozenset[int] = frozenset()
    open: bool = False

    @property
    def lines(self) -> list[bytes]:
        if self.decoded is None:
            self.decoded = self.data.split(b"\n")
            if not self.decoded[-1]:
                self.decoded.pop()
        return self.decoded


@dataclass(slots=True)
class Decoding:
    """What was decided about a file's encoding, while reading it."""

    wanted: str = "auto"
    found: Encoding | None = None
    on_found: Callable[[Encoding], None] | None = field(default=None, repr=False)

    def settle(self, encoding: Encoding) -> Encoding:
        self.found = encoding
        if self.on_found:
            self.on_found(encoding)
        return encoding


def read_blocks(
    stream: Stream, decoding: Decoding, size: int | None = None, *, parts: bool = False
) -> Iterator[Block]:
    """The stream's lines without their line ends, as UTF-8. With ``parts`` a long line comes in
    several blocks, cut after a comma: for formats in which a line end means nothing."""
    number = 1
    blocks = _utf8_or_ascii_compatible(stream, decoding, size or BLOCK)
    for data, long in _pieces(blocks, parts):
        encoding = _settled(data, decoding)
        cut = parts and not data.endswith(b"\n")
        block = Block(number, data, long=frozenset({0}) if long else frozenset(), open=cut)
        if encoding.codec != "utf-8" and not encoding.wide:
            lines, bad = _transcode(block.lines, encoding.codec, decoding.wanted == "auto")
            block = Block(number, b"", lines, bad, block.long, cut)
        number += data.count(b"\n")
        yield block


def _settled(data: bytes, decoding: Decoding) -> Encoding:
    """The encoding, decided at the first lines that are not ASCII."""
    if decoding.found is not None:
        return decoding.found
    if data.isascii():
        return UTF8
    return decoding.settle(of_lines([line for line in data.split(b"\n") if not line.isascii()]))


def _transcode(lines: list[bytes], codec: str, guessed: bool) -> tuple[list[bytes], frozenset[int]]:
    out: list[bytes] = []
    bad: set[int] = set()
    for position, line in enumerate(lines):
        if line.isascii() or (guessed and surely_utf8(line)):
            out.append(line)
            continue
        try:
            out.append(line.decode(codec).encode())
        except UnicodeError:
            out.append(line)
            bad.add(position)
    return out, frozenset(bad)


def _utf8_or_ascii_compatible(stream: Stream, decoding: Decoding, block: int) -> Iterator[bytes]:
    """Raw blocks; UTF-16 and UTF-32 become UTF-8 here, because their line ends are not bytes."""
    head = stream.read(block)
    encoding = from_start(head)
    if decoding.wanted != "auto":
        asked = named(decoding.wanted)
        same = encoding is not None and asked.codec.startswith(encoding.codec[:6])
        encoding = encoding if same else asked
    if encoding is not None:
        decoding.settle(encoding)
    if encoding is not None and encoding.wide:
        yield from _narrow(stream, head, encoding, block)
        return
    data = head[encoding.mark :] if encoding else head
    while data:
        yield data
        data = stream.read(block)


def _narrow(stream: Stream, head: bytes, encoding: Encoding, block: int) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding.codec)("replace")
    data = head
    while data:
        yield decoder.decode(data).encode("utf-8", "replace")
        data = stream.read(block)
    yield decoder.decode(b"", True).encode("utf-8", "replace")


def _pieces(blocks: Iterator[bytes], parts: bool) -> Iterator[tuple[bytes, bool]]:
    """Blocks cut at line ends, with ``parts`` after a comma where a line is long. True marks the
    start of a line that is too long to read."""
    kept: list[bytes] = []
    size, skipping = 0, False
    for data in blocks:
        end = data.rfind(b"\n") + 1
        start = data.find(b"\n") + 1 if skipping else 0
        if end > start:
            yield b"".join([*kept, memoryview(data)[start:end]]), False
        if end:
            kept, size, skipping = [], 0, False
        if end < len(data) and not skipping:
            kept.append(data[end:])
            size += len(data) - end
        # In no encoding that is read is a comma's byte a part of another character.
        if parts and size > LONG_PART and (comma := data.rfind(b",", end) + 1):
            kept[-1] = data[end:comma]
            yield b"".join(kept), False
            kept, size = [data[comma:]], len(data) - comma
        if size > LONGEST_LINE:
            yield b"".join(kept)[:200] + b"\n", True
            kept, size, skipping = [], 0, True
    if size:
        yield b"".join(kept), False
