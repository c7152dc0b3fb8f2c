"""A text file as lines of UTF-8 bytes, block by block, whatever encoding it came in.

Lines end at '
' or '
' and nowhere else: U+2028 and its kin are text. Memory stays at a few
blocks, however long the file is.
"""

import codecs
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from workbench.errors import BadInput

# Which encoding a text file is in: its byte order mark, UTF-16's zeros, UTF-8, else a guess.
#
# The guess is charset-normalizer's, narrowed to what people's spreadsheets write, and checked by
# decoding. A file that is mostly UTF-8 with some broken lines is UTF-8 with broken lines.

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: Tried in this order of preference by charset-normalizer; gb18030 contains GBK and GB2312.
_LEGACY = ("gb18030", "big5", "shift_jis", "euc_kr", "euc_jp", "cp1252", "cp1251", "cp1250")
_NAMES = {"gb18030": "GBK / GB18030", "big5": "Big5", "utf-16": "UTF-16", "utf-32": "UTF-32"}


@dataclass(frozen=True, slots=True)
class Encoding:
    """``codec`` is Python's name; ``mark`` the bytes of a byte order mark to skip."""

    codec: str
    mark: int = 0

    @property
    def wide(self) -> bool:
        """More than one byte per character: cannot be split into lines before decoding."""
        return self.codec.startswith(("utf-16", "utf-32"))

    @property
    def label(self) -> str:
        return _NAMES.get(self.codec.removesuffix("-le").removesuffix("-be"), self.codec.upper())


UTF8 = Encoding("utf-8")


def named(name: str) -> Encoding:
    """The encoding a person asked for by name; raises :class:`BadInput` for an unknown one."""
    try:
        codec = codecs.lookup(name)
        "".encode(codec.name)
    except (LookupError, ValueError) as error:
        raise BadInput(
            f"There is no text encoding called '{name}'.",
            "Use 'auto', or a name such as utf-8, utf-16, gb18030 or big5.",
        ) from error
    if not getattr(codec, "_is_text_encoding", True) or codec.name in ("idna", "punycode"):
        raise BadInput(f"'{name}' is not a text encoding.", "Use 'auto', or for example gb18030.")
    return Encoding({"gbk": "gb18030", "gb2312": "gb18030"}.get(codec.name, codec.name))


def from_start(head: bytes) -> Encoding | None:
    """What the file's first bytes say beyond doubt, or None."""
    for mark, codec in _MARKS:
        if head.startswith(mark) and (codec == "utf-8" or 0 in head[len(mark) : 64]):
            # 'utf-16' and 'utf-32' read their own mark; UTF-8's we skip.
            return Encoding(codec, len(mark) if codec == "utf-8" else 0)
    return _by_zeros(head[:16])


def _by_zeros(start: bytes) -> Encoding | None:
    """UTF-16 without a mark: rows begin with ASCII, so every other byte is zero."""
    even, odd = start[0::2].count(0), start[1::2].count(0)
    if odd >= 4 and not even:
        return Encoding("utf-16-le")
    return Encoding("utf-16-be") if even >= 4 and not odd else None


def of_lines(lines: list[bytes]) -> Encoding:
    """The encoding of the first lines that are not plain ASCII."""
    sample = lines[:400]
    good = sum(_decodes(line, "utf-8") for line in sample)
    if 10 * good >= len(sample) or any(surely_utf8(line) for line in sample):
        return UTF8
    found = _guess(b"\n".join(sample))
    readable = sum(_decodes(line, found.codec) for line in sample) if found else 0
    return found if found and 10 * readable >= 8 * len(sample) else UTF8


def surely_utf8(line: bytes) -> bool:
    """Four characters outside ASCII that happen to be UTF-8 are UTF-8."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return sum(char > "\x7f" for char in text[:10_000]) >= 4


def _guess(sample: bytes) -> Encoding | None:
    # Chinese first, by how common the characters are that come out: charset-normalizer needs more
    # text than a ten-row file has to tell GBK from its neighbours.
    for codec in _chinese(sample):
        return Encoding(codec)
    from charset_normalizer import from_bytes

    best = from_bytes(sample[:65_536], cp_isolation=list(_LEGACY)).best()
    return Encoding(best.encoding.replace("_", "-")) if best else None


def _chinese(sample: bytes) -> list[str]:
    """GB18030 or Big5, if most characters outside ASCII are among that code's everyday ones.

    Both codes put their everyday characters first: GB 2312 in lead bytes B0-D7, Big5 in A4-C6.
    Big5's second bytes also fall into 40-7E, which GB 2312's never do.
    """
    scores: dict[str, float] = {}
    for codec, low, high in (("gb18030", 0xB0, 0xD7), ("big5", 0xA4, 0xC6)):
        text = _decode_most(sample, codec)
        outside = [char for char in text if ord(char) > 0x7F]
        if not outside or text.count("\ufffd") > len(outside) // 10:
            continue
        everyday = 0
        for char in outside:
            raw = char.encode(codec, "ignore")
            two = len(raw) == 2 and low <= raw[0] <= high
            everyday += two and (codec == "big5" or raw[1] >= 0xA1)
        scores[codec] = everyday / len(outside)
    best = max(scores, key=lambda codec: scores[codec], default="")
    return [best] if best and scores[best] >= 0.6 else []


def _decode_most(sample: bytes, codec: str) -> str:
    return sample[:65_536].decode(codec, "replace")


def _decodes(data: bytes, codec: str) -> bool:
    try:
        data.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


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

    def cut(self, start: int, end: int) -> "Block":
        """Some of its lines."""
        bad, long = (
            frozenset(one - start for one in places if start <= one < end)
            for places in (self.bad, self.long)
        )
        lines = self.lines[start:end]
        open_ = self.open and end >= len(self.lines)
        return Block(self.first + start, b"", lines, bad, long, open_)


#: Lines of a file's beginning that are read one by one, so that its columns are known.
_BEGINNING = 20


def begun(blocks: Iterator[Block]) -> Iterator[Block]:
    """The blocks, with the first lines as a block of their own."""
    for block in islice(blocks, 1):
        yield block.cut(0, _BEGINNING)
        if len(block.lines) > _BEGINNING:
            yield block.cut(_BEGINNING, len(block.lines))
    yield from blocks


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
        yield block
        if block.decoded is None:
            number += data.count(b"\n")
        else:
            number += len(block.decoded) - (not data.endswith(b"\n"))


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
