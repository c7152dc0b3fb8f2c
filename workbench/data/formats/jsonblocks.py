"""JSON lines, many at a time: a block's objects as columns, and its other lines by themselves."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import orjson

from workbench.data.formats.jsonrows import may_be_doubled
from workbench.data.lines import Block
from workbench.data.shapes.blocks import ValueBlock

Objects = list[dict[str, Any] | None]
#: A block that falls into more parts than this is read line by line: each part costs as much as
#: some hundred rows do.
_PARTS = 16


def parts(block: Block) -> Iterator[tuple[ValueBlock | None, Block]]:
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
