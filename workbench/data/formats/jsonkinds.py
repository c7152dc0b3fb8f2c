"""Which JSON a file is: an object on each line, one value over many lines, or LlamaIndex's set.

JSON lines are read many at a time: a block's objects as columns, its other lines by themselves.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from workbench.data.formats import jsonrows
from workbench.data.formats.fileformat import FileFormat, Head, Look, OpenFile, Part
from workbench.data.formats.jsonrows import Record, may_be_doubled
from workbench.data.lines import Block, begun
from workbench.data.problems import ProblemLog, Report
from workbench.data.shapes import llamaindex
from workbench.data.shapes.blocks import ValueBlock

_LINED = (".jsonl", ".ndjson")


def _look(head: Head, format: FileFormat) -> Look | None:
    name, sample = _kind(head)
    if name != format.name or (head.is_prose and not sample):
        return None
    return Look(sample, "llamaindex" if name == LLAMAINDEX.name else "")


def _kind(head: Head) -> tuple[str, dict[str, Any]]:
    """JSON lines unless the file is one value: an array of objects, or objects over many lines."""
    text, lined = head.text, head.suffix in _LINED
    if text[:1] not in (b"{", b"[") and not lined and head.suffix != ".json":
        return (LINES.name if _is_text(head) else ""), {}
    if text[:1] == b"[" and text[1:].lstrip()[:1] == b"{":
        return VALUE.name, _within(text[1:].lstrip())
    for line in head.lines[:50]:
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(value, dict):
            return (LLAMAINDEX.name if value.keys() >= llamaindex.KEYS else LINES.name), value
    if lined or text[:1] != b"{":
        return LINES.name, {}
    # A long object on one line, or an object over many lines.
    sample = _within(text)
    names = set(sample)
    if names & llamaindex.KEYS and not names - llamaindex.KEYS - {"mode"}:
        return LLAMAINDEX.name, sample
    whole = len(text.split(b"\n", 1)[0].strip()) <= 1
    return (VALUE.name if whole else LINES.name), sample


def _is_text(head: Head) -> bool:
    """A JSON text on the first line, in a file that is no table: each line will be told of."""
    first = head.lines[:1]
    tabular = any(mark in line for line in first for mark in (b"\t", b",", b";", b"|"))
    return head.text[:1] == b'"' and not tabular and head.suffix not in (".csv", ".tsv", ".tab")


def _within(text: bytes) -> dict[str, Any]:
    """The first members of the object that begins here, as far as the file's beginning goes."""
    cursor = jsonrows.Cursor(iter([Block(1, text)]))
    nowhere = Report(ProblemLog(Path()), "", quiet=True)
    found: dict[str, Any] = {}
    try:
        for _, key in jsonrows.members(cursor, nowhere):
            found[key] = None
            found[key] = cursor.value()[0]
    except ValueError:
        return found  # The sample ends in the middle of the object, or it is broken.
    return found


def _read_lines(file: OpenFile) -> Iterator[Record]:
    return jsonrows.read(file.blocks(), file.report)


def _parts(file: OpenFile) -> Iterator[Part]:
    for block in begun(file.blocks()):
        for rows, lines in parts_of(block):
            yield Part(rows, partial(jsonrows.read, iter([lines]), file.report))


def _read_value(file: OpenFile) -> Iterator[Record]:
    return jsonrows.read_value(file.blocks(), file.report)


# Many lines at a time.

Objects = list[dict[str, Any] | None]
#: A block that falls into more parts than this is read line by line: each part costs as much as
#: some hundred rows do.
_PARTS = 16


def parts_of(block: Block) -> Iterator[tuple[ValueBlock | None, Block]]:
    """The block in parts, each with its lines: rows of the same columns where those can be read
    together, or None for lines that have to be looked at one by one."""
    objects = _objects(block)
    names = [() if one is None else tuple(one) for one in objects]
    for place in _doubled(block, objects, names):
        objects[place], names[place] = None, ()
    runs = _runs(names)
    if len(runs) > _PARTS:
        yield None, block
        return
    start = 0
    for same, count in runs:
        lines = block if count == len(objects) else block.cut(start, start + count)
        rows = objects[start : start + count]
        yield (_columns(same, rows, lines.first) if same else None), lines
        start += count


def _columns(names: tuple[str, ...], rows: Sequence[Any], first: int) -> ValueBlock:
    values = zip(*map(dict.values, rows), strict=True)
    lines = np.arange(first, first + len(rows))
    return ValueBlock(lines, dict(zip(names, values, strict=True)))


def _runs(names: Sequence[tuple[str, ...]]) -> list[tuple[tuple[str, ...], int]]:
    """The names that rows in succession have in common, () for lines that are no plain objects,
    and how many they are."""
    if names and names.count(names[0]) == len(names):
        return [(names[0], len(names))]
    return [(same, len(list(group))) for same, group in groupby(names)]


def _objects(block: Block) -> Objects:
    """Each line's object, None for a line that is none or that needs a second look."""
    lines = block.lines
    try:
        found: list[Any] = list(map(orjson.loads, lines))
    except orjson.JSONDecodeError:
        found = [_object(line) for line in lines]
    if set(map(type, found)) != {dict}:
        found = [one if type(one) is dict else None for one in found]
    for position in (*block.bad, *block.long):
        found[position] = None
    return found


def _object(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def _doubled(block: Block, objects: Objects, names: Sequence[tuple[str, ...]]) -> list[int]:
    """The lines with objects in which a name may stand twice; ``names``: those of each."""
    lines = block.lines
    sizes = np.fromiter(map(len, names), np.int64, len(names))
    if block.data:
        text = np.frombuffer(block.data, np.uint8)
        found = text == ord(":")
        if np.count_nonzero(found) == sizes.sum():
            return []  # As many as there are names: none stands twice.
        colons = np.flatnonzero(found)
        after_names = colons[text[colons - 1] == ord('"')]
        ends = np.cumsum(np.fromiter(map(len, lines), np.int64, len(lines)) + 1)
        named = np.diff(np.searchsorted(after_names, ends), prepend=0)
    else:
        named = np.fromiter((line.count(b'":') for line in lines), np.int64, len(lines))
    suspects = ((place, objects[place]) for place in np.flatnonzero(named != sizes).tolist())
    return [place for place, one in suspects if one and may_be_doubled(lines[place], one)]


LINES = FileFormat("jsonl", "JSON Lines", _LINED, _read_lines, order=62, look=_look, parts=_parts)
VALUE = FileFormat("json", "JSON", (".json",), _read_value, order=61, look=_look, one_value=True)
LLAMAINDEX = FileFormat("llamaindex", "LlamaIndex's JSON", (), order=60, look=_look, one_value=True)
FORMATS = (LLAMAINDEX, VALUE, LINES)
