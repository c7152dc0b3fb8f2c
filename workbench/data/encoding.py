"""Which encoding a text file is in: its byte order mark, UTF-16's zeros, UTF-8, else a guess.

The guess is charset-normalizer's, narrowed to what people's spreadsheets write, and checked by
decoding. A file that is mostly UTF-8 with some broken lines is UTF-8 with broken lines.
"""

import codecs
from dataclasses import dataclass

from workbench.errors import BadInput

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
