"""Whether the first line of a table names its columns; and the columns where nothing names them.

A header is known by its names. Where they are not known ones, the first line is compared with those
below it: a row among rows is no header. Files that are published without one (MS MARCO's
``collection.tsv``, ``queries.tsv``, ``triples.tsv``; qrels) are known by what they are called.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from workbench.data.formats.fileformat import Head
from workbench.data.mapping import is_column_word
from workbench.data.shapes import beir
from workbench.data.shapes.recognise import recognise
from workbench.data.splits import part_of
from workbench.pictures.captions import CAPTIONS, FILES

Cells = Sequence[str]
#: So many rows are looked at.
LOOKED_AT = 50
#: The names of the columns stand in one of the first lines.
_TITLE_LINES = 6
#: No file without a header is as wide as this.
_WIDEST = 200
#: What is longer, or of more words, is no name of a column. Chinese says more in fewer signs.
_LONGEST, _MOST_WORDS, _LONGEST_UNSPACED = 30, 3, 8
_ENDS = tuple(".?!:;,。？！：；，")
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")
_BLANK = re.compile(r"\s")
_IDENTIFIER = re.compile(r"[A-Za-z_][\w-]*")
#: Names of columns beside pictures.
_PICTURES = {*FILES, *CAPTIONS}
_TRIPLES = re.compile(r"tripl(e|et)s?")


@dataclass(frozen=True, slots=True)
class Header:
    """``names`` are the columns of a table without a header; empty where a line names them: the
    first, or that below so many lines ``above`` it. ``problem``: (code, detail) where that was not
    beyond doubt."""

    names: tuple[str, ...] = ()
    problem: tuple[str, str] | None = None
    above: int = 0


def header_of(head: Head, rows: Sequence[Cells]) -> Header:
    """What the first rows say, the first line among them; ``head.header`` overrules it."""
    if not rows or head.header == "yes" or len(rows[0]) > _WIDEST:
        return Header()
    first, others = rows[0], rows[1:]
    if head.header == "no":
        return Header(_names(head, rows))
    sample = {cell: "" for cell in first if cell.strip()}
    if (head.columns and head.columns.applies(sample)) or _known(first):
        return Header()
    if above := _lines_above(rows):
        return Header((), ("lines-above-header", " / ".join(rows[0])), above)
    some = _some_known(first)
    if not some and (_is_row(first, others) or _is_published(head, first, others)):
        names = _names(head, rows)
        said = ", ".join(f"'{name}'" for name in names[:6])
        return Header(names, ("no-header", said + (" ..." if len(names) > 6 else "")))
    if not recognise(sample).format or (some and not _is_row(first, others)):
        return Header()  # Whoever reads it says which columns are not known.
    return Header((), ("unclear-header", ", ".join(f"'{name}'" for name in first)))


def _lines_above(rows: Sequence[Cells]) -> int:
    """How many lines stand above the names of the columns: a title, a remark."""
    for at, row in enumerate(rows[:_TITLE_LINES]):
        told = [cell for cell in row if cell.strip()]
        if at and len(told) > 1 and _known(row):
            return at
        if len(told) > 1 and not told[0].lstrip().startswith("#"):
            return 0
    return 0


def published(label: str) -> bool:
    """Whether files called so are usually without a header."""
    return part_of(label) is not None or _is_triples(label)


def _is_published(head: Head, first: Cells, others: Sequence[Cells]) -> bool:
    """Whether the first line is like the others of a file that usually has no header."""
    if not published(head.label):
        return False
    ids = bool(others) and _are_ids([row[0] for row in others if row])
    return not ids or _are_ids(first[:1])


def is_named(sample: Mapping[str, Any]) -> bool:
    """Whether all that columns say is known, with nothing guessed."""
    if beir.looks_like_qrels(dict(sample)):
        return True
    plan = recognise(dict(sample))
    known = plan.format and not plan.guessed and not plan.unknown
    # A line of prose may well hold the word 'text'.
    return bool(known) and (plan.family != "documents" or beir.looks_like_texts(dict(sample)))


def _known(first: Cells) -> bool:
    """Whether the cells are names that columns are known by."""
    lower = [cell.strip().lower() for cell in first]
    told = [cell for cell in lower if cell]
    if not told or not all(_is_name(cell) for cell in told):
        return False
    sample = dict.fromkeys(told, "")
    if beir.looks_like_qrels(sample) or beir.looks_like_texts(sample):
        return True
    plan = recognise(sample)
    if plan.format and not plan.guessed and plan.family != "documents":
        return len(plan.own) < len(told) - 1
    return sum(map(_is_word, told)) >= min(2, len(told))


def _some_known(first: Cells) -> bool:
    """Whether one of several single words is such a name."""
    told = [cell.strip() for cell in first if cell.strip()]
    plain = all(_IDENTIFIER.fullmatch(cell) for cell in told)
    return plain and any(map(_is_word, told))


def _is_word(cell: str) -> bool:
    return is_column_word(cell) or cell.strip().lower() in _PICTURES


def _is_row(first: Cells, others: Sequence[Cells]) -> bool:
    """Whether the first line looks like a row, and not like names above the others."""
    told = [cell for cell in first if cell.strip()]
    if any(is_number(cell) for cell in told) or not all(_is_name(cell) for cell in told):
        return True
    if len(told) > len(set(told)):
        return False
    for place in range(len(first)):
        column = [row[place] for row in others if place < len(row) and row[place].strip()]
        if column and 10 * sum(map(is_number, column)) >= 9 * len(column):
            return False
    alike = sum(all(_is_name(cell) for cell in row if cell.strip()) for row in others)
    return bool(others) and 2 * alike >= len(others)


def _is_name(cell: str) -> bool:
    said = cell.strip()
    if not said or len(said) > _LONGEST or len(said.split()) > _MOST_WORDS or is_number(said):
        return False
    if said.endswith(_ENDS) or said[0] in "[{(":
        return False
    return len(said) <= _LONGEST_UNSPACED or not _UNSPACED.search(said)


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _names(head: Head, rows: Sequence[Cells]) -> tuple[str, ...]:
    """What the columns of a table without a header hold, by its name and by what stands in them."""
    lengths = [len(row) for row in rows]
    width = max(set(lengths), key=lengths.count)
    plain = tuple(f"column {number + 1}" for number in range(width))
    if head.columns and head.columns.applies(dict.fromkeys(plain)):
        return plain
    columns = [[row[place] for row in rows if len(row) == width] for place in range(width)]
    ids = [_are_ids(column) for column in columns]
    part = part_of(head.label)
    if part == "qrels" and width in (2, 3, 4):
        return {
            2: ("query-id", "corpus-id"),
            3: ("query-id", "corpus-id", "score"),
            4: ("query-id", "iteration", "corpus-id", "score"),
        }[width]
    if part in ("corpus", "queries"):  # An id may be a word.
        ids[0] |= not any(map(_BLANK.search, columns[0]))
    if ids[0] and not any(ids[1:]):
        return _by_id(columns) or plain
    if not any(ids) and width <= 3:
        return (("text",), ("query", "positive"), ("query", "positive", "negative"))[width - 1]
    if width == 3 and not any(ids[:2]) and all(map(is_number, columns[2])):
        return ("sentence1", "sentence2", "label")
    return plain


def _by_id(columns: list[list[str]]) -> tuple[str, ...]:
    """Of texts behind an id the longest is the text; a web address is none."""
    if len(columns) == 2:
        return ("_id", "text")
    if len(columns) == 3:
        longer = sum(map(len, columns[1])) > sum(map(len, columns[2]))
        return ("_id", "text", "title") if longer else ("_id", "title", "text")
    if len(columns) == 4 and all(one.startswith("http") for one in columns[1]):
        return ("_id", "url", "title", "text")
    return ()


def _are_ids(column: Sequence[str]) -> bool:
    """Numbers, or names without a blank of which each has a digit."""
    return all(
        is_number(one) or (bool(one) and not _BLANK.search(one) and any(map(str.isdigit, one)))
        for one in column
    )


def _is_triples(label: str) -> bool:
    return bool(_TRIPLES.search(PurePosixPath(label).name.lower()))
