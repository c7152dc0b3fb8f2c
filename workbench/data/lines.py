"""A text file as lines of UTF-8 bytes, block by block, whatever encoding it came in.

Lines end at '\\n' or '\\r\\n' and nowhere else: U+2028 and its kin are text. Memory stays at a few
blocks, however long the file is.
"""

import codecs
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from workbench.data.encoding import UTF8, Encoding, from_start, named, of_lines, surely_utf8

BLOCK = 1 << 19
LONGEST_LINE = 64 << 20


class Stream(Protocol):
    """Anything bytes can be read from: a file, a member of a zip."""

    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(slots=True)
class Block:
    """Consecutive lines, the first of them number ``first``. ``bad`` holds the positions of lines
    that do not decode, ``long`` of those that were cut off because they are longer than we read."""

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


def read_blocks(stream: Stream, decoding: Decoding, size: int = BLOCK) -> Iterator[Block]:
    """The stream's lines without their line ends, as UTF-8."""
    number = 1
    for lines, long in _whole_lines(_utf8_or_ascii_compatible(stream, decoding, size)):
        encoding = _settled(lines, decoding)
        bad: frozenset[int] = frozenset()
        if encoding.codec != "utf-8" and not encoding.wide:
            lines, bad = _transcode(lines, encoding.codec, decoding.wanted == "auto")
        yield Block(number, lines, bad, frozenset({0}) if long else frozenset())
        number += len(lines)


def _settled(lines: list[bytes], decoding: Decoding) -> Encoding:
    """The encoding, decided at the first lines that are not ASCII."""
    if decoding.found is not None:
        return decoding.found
    odd = [line for line in lines if not line.isascii()]
    return decoding.settle(of_lines(odd)) if odd else UTF8


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


def _whole_lines(blocks: Iterator[bytes]) -> Iterator[tuple[list[bytes], bool]]:
    """Lines as they become whole. True marks the start of one that is too long to read."""
    kept: list[bytes] = []
    size, skipping = 0, False
    for data in blocks:
        *whole, last = data.split(b"\n")
        if whole:
            if skipping:
                del whole[0]
            else:
                whole[0] = b"".join([*kept, whole[0]])
            kept, size, skipping = [], 0, False
            yield whole, False
        if last and not skipping:
            kept.append(last)
            size += len(last)
        if size > LONGEST_LINE:
            yield [b"".join(kept)[:200]], True
            kept, size, skipping = [], 0, True
    if size:
        yield [b"".join(kept)], False
