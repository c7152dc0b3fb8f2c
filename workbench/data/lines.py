"""A text file as lines of UTF-8 bytes, block by block, whatever encoding it came in.

Lines end at '\\n' or '\\r\\n' and nowhere else: U+2028 and its kin are text. Memory stays at a few
blocks, however long the file is.
"""

import codecs
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from workbench.data.encoding import UTF8, Encoding, from_start, named, of_text, surely_utf8

BLOCK = 1 << 20
LONGEST_LINE = 64 << 20


class Stream(Protocol):
    """Anything bytes can be read from: a file, a member of a zip."""

    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(slots=True)
class Block:
    """Consecutive lines. ``bad`` holds positions (in this block) of lines that do not decode,
    ``long`` those that were cut off because they are longer than we read."""

    first: int
    lines: list[bytes]
    bad: frozenset[int] = frozenset()
    long: frozenset[int] = frozenset()


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


def read_blocks(stream: Stream, decoding: Decoding, block: int = BLOCK) -> Iterator[Block]:
    """The stream's lines without their line ends, as UTF-8."""
    number = 1
    for data, long in _pieces(_utf8_or_ascii_compatible(stream, decoding, block)):
        lines = data.split(b"\n")
        if lines and not lines[-1]:
            lines.pop()
        encoding = _settled(data, decoding)
        bad: frozenset[int] = frozenset()
        if encoding.codec != "utf-8" and not encoding.wide:
            lines, bad = _transcode(lines, encoding.codec, decoding.wanted == "auto")
        yield Block(number, lines, bad, frozenset({0}) if long else frozenset())
        number += len(lines)


def _settled(data: bytes, decoding: Decoding) -> Encoding:
    """The encoding, decided at the first bytes that are not ASCII."""
    if decoding.found is not None:
        return decoding.found
    return UTF8 if data.isascii() else decoding.settle(of_text(data))


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


def _pieces(blocks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Blocks cut at line ends. True marks a piece that is the start of a line too long to read."""
    kept: list[bytes] = []
    size, skipping = 0, False
    for data in blocks:
        end = data.rfind(b"\n") + 1
        if skipping:
            start = data.find(b"\n") + 1
            if not start:
                continue
            data, end, skipping = data[start:], end - start, False
        if not end:
            kept.append(data)
            size += len(data)
            if size > LONGEST_LINE:
                yield b"".join(kept)[:200] + b"\n", True
                kept, size, skipping = [], 0, True
            continue
        yield b"".join([*kept, data[:end]]), False
        kept = [data[end:]] if end < len(data) else []
        size = len(kept[0]) if kept else 0
    if size:
        yield b"".join(kept), False
