"""Which JSON a file is: an object on each line, one value over many lines, or LlamaIndex's set."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from workbench.data.formats import jsonblocks, jsonrows
from workbench.data.formats.fileformat import FileFormat, Head, Look, OpenFile, Part
from workbench.data.formats.jsonrows import Record
from workbench.data.lines import Block, begun
from workbench.data.problems import ProblemLog, Report
from workbench.data.shapes import llamaindex

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
        for rows, lines in jsonblocks.parts(block):
            yield Part(rows, partial(jsonrows.read, iter([lines]), file.report))


def _read_value(file: OpenFile) -> Iterator[Record]:
    return jsonrows.read_value(file.blocks(), file.report)


LINES = FileFormat("jsonl", "JSON Lines", _LINED, _read_lines, order=62, look=_look, parts=_parts)
VALUE = FileFormat("json", "JSON", (".json",), _read_value, order=61, look=_look, one_value=True)
LLAMAINDEX = FileFormat("llamaindex", "LlamaIndex's JSON", (), order=60, look=_look, one_value=True)
FORMATS = (LLAMAINDEX, VALUE, LINES)
