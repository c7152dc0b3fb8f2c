"""JSON lines: one object per line. A bad line costs that line and no other."""

import json
import math
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import orjson

from workbench.data.lines import LONGEST_LINE, Block
from workbench.data.problems import Report

Record = tuple[int, dict[str, Any]]
#: What a backslash begins in JSON: two halves of one character, half a character, anything else.
_ESCAPED = re.compile(
    r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(?P<half>u[dD][89a-fA-F]..)|.)", re.DOTALL
)


def read(blocks: Iterator[Block], report: Report) -> Iterator[Record]:
    """The good objects with their line numbers; everything else goes to the report."""
    loads = orjson.loads
    for block in blocks:
        number = block.first - 1
        odd = bool(block.bad or block.long)
        for line in block.lines:
            number += 1
            if odd and _told(block, number, report):
                continue
            try:
                value = loads(line)
            except orjson.JSONDecodeError:
                for value in _second_look(line, number, report):
                    yield number, value
                continue
            if type(value) is dict:
                tell_doubled(line, value, number, report)
                yield number, value
            else:
                report.add("not-object", number, detail=describe(value))


def _told(block: Block, number: int, report: Report) -> bool:
    position = number - block.first
    if position in block.bad:
        report.add("not-utf8", number, detail=report.encoding)
    elif position in block.long:
        report.add("line-too-long", number, detail=f"{LONGEST_LINE >> 20} MB")
    return position in block.bad or position in block.long


def _second_look(line: bytes, number: int, report: Report) -> Iterator[dict[str, Any]]:
    """What orjson refuses but people send: blank lines, NaN, lone surrogates, a lone CR."""
    if line.isspace() or not line:
        return
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        if b"\r" in line.rstrip():
            yield from _by_cr(line, number, report)
        else:
            report.add("not-utf8", number, detail=report.encoding)
        return
    try:
        value = lenient(text)
    except ValueError as error:
        # In valid JSON a CR can only stand between tokens: what it parts may be whole rows.
        if "\r" in text.rstrip():
            yield from _by_cr(line, number, report)
        else:
            report.add("not-json", number, detail=_where(error))
        return
    if isinstance(value, dict):
        tell_doubled(line, value, number, report)
        yield whole_characters(value, text, number, report)
    else:
        report.add("not-object", number, detail=describe(value))


def tell_doubled(source: bytes, value: dict[str, Any], number: int, report: Report) -> None:
    """Report a name that an object has twice: readers of JSON keep the last value."""
    if source.count(b'":') == len(value):
        return  # Nearly always: as many names in it as it has.
    if not any(source.count(tight) + source.count(wide) > 1 for tight, wide in map(_named, value)):
        return
    doubled: dict[str, None] = {}

    def look(pairs: list[tuple[str, Any]]) -> None:
        names = [name for name, _ in pairs]
        doubled.update(dict.fromkeys(name for name in names if names.count(name) > 1))

    json.loads(source, object_pairs_hook=look)
    for name in doubled:
        report.add("doubled-key", number, name, detail=name)


@lru_cache(1_000)
def _named(key: str) -> tuple[bytes, bytes]:
    """A name as it stands before its value."""
    name = orjson.dumps(key)
    return name + b":", name + b" :"


def _by_cr(line: bytes, number: int, report: Report) -> Iterator[dict[str, Any]]:
    for part in line.split(b"\r"):
        yield from _second_look(part, number, report)


def lenient(text: str) -> Any:
    """JSON with NaN and Infinity; raises ValueError, also where it is nested too deeply."""
    try:
        return json.loads(text.lstrip("\ufeff"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def whole_characters(value: Any, source: str, number: int, report: Report) -> Any:
    """The value with each lone surrogate replaced, which no file of text can hold."""
    if "\\ud" not in source.lower():
        return value
    repaired = _ESCAPED.sub(_whole, source)
    if repaired == source:
        return value
    report.add("odd-characters", number)
    return lenient(repaired)


def _whole(found: re.Match[str]) -> str:
    """An escape as it stands; half a character is none."""
    return "\\ufffd" if found["half"] else found.group()


def _where(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        reason = error.msg[:1].lower() + error.msg[1:]
        return f"{reason.removesuffix(' at')} at character {error.colno}"
    return str(error)


def describe(value: Any) -> str:
    """What a value is, for a sentence: 'a list', 'a number', 'nothing (null)'."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, float) and math.isnan(value):
        return "not a number (NaN)"
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text"}
    names |= {list: "a list", dict: "an object", bytes: "raw bytes"}
    return names.get(type(value), f"a value of type {type(value).__name__}")
