"""When two texts count as the same, and what they are cut into to be compared."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.data import digests

Array = np.ndarray[Any, Any]

#: Characters of scripts that are written without spaces between words.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff]"
)
_NO_WORD = re.compile(r"[\W_]+")
#: Characters in a sequence: five letters, or three signs that are whole words or syllables.
_SPACED_GRAM, _UNSPACED_GRAM = 5, 3
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)


def plain_query(text: str) -> str:
    """Queries are the same whatever their case, spaces and width of characters."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def plain_document(text: str) -> str:
    """Documents are the same whatever their spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def bare(text: str) -> str:
    """Letters and digits alone, in words; without spaces where the script has none."""
    naked = _NO_WORD.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()
    return naked.replace(" ", "") if _is_unspaced(naked) else naked


def digests_of(texts: Sequence[str]) -> Array:
    """(n, 2) digests."""
    return digests.of_bytes([text.encode("utf-8", "surrogatepass") for text in texts])


def words(text: str) -> int:
    """How many words a text has. Without spaces two signs are taken for a word: an estimate."""
    naked = _NO_WORD.sub(" ", unicodedata.normalize("NFKC", text))
    unspaced = len(_UNSPACED.findall(naked))
    return len(_UNSPACED.sub(" ", naked).split()) + -(-unspaced // 2)


def joined(table: pa.Table) -> list[str]:
    """Titles and texts of documents, as they are shown; a picture's file besides: of two pictures
    with one caption neither is a copy of the other."""
    columns = (pc.fill_null(table[name], "") for name in ("title", "text", "picture"))
    rows = zip(*(column.to_pylist() for column in columns), strict=True)
    return ["\n".join(part for part in row if part) for row in rows]


def grams(texts: Iterable[str]) -> tuple[Array, Array]:
    """Hashes of all character sequences of bare texts, one text's after the other's, and where
    each text's begin (one more than texts). A text without letters has none."""
    parts = [_of_text(text) for text in texts]
    starts = np.concatenate([[0], np.cumsum([len(part) for part in parts])])
    flat = np.concatenate([np.zeros(0, np.uint64), *parts])
    return flat, starts.astype(np.uint64)


def _of_text(text: str) -> Array:
    if not text:
        return np.zeros(0, np.uint64)
    size = _UNSPACED_GRAM if _is_unspaced(text) else _SPACED_GRAM
    signs = np.frombuffer(text.ljust(size, "\0").encode("utf-32-le", "surrogatepass"), np.uint32)
    count = len(signs) - size + 1
    hashes = np.zeros(count, np.uint64)
    for place in range(size):
        hashes = (hashes + signs[place : place + count] + np.uint64(1)) * _PRIME
    return (hashes ^ (hashes >> np.uint64(32))) * _MIX


def _is_unspaced(text: str) -> bool:
    return not text.isascii() and 2 * len(_UNSPACED.findall(text)) >= len(text)
