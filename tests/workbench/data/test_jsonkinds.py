"""Many rows at once give what reading row by row gives, and leave every doubtful line to that."""

import json
from typing import Any

import numpy as np
import pytest

from workbench.data.formats.jsonkinds import parts_of
from workbench.data.lines import Block
from workbench.data.shapes.blocks import Doubt, blockwise
from workbench.data.shapes.recognise import recognise

ROW: dict[str, Any] = {"query": "q", "pos": ["p"], "neg": ["n", "m"]}


def split(*lines: str) -> list[tuple[tuple[str, ...], list[bytes]]]:
    block = Block(5, "".join(line + "\n" for line in lines).encode())
    return [(rows.names if rows else (), part.lines) for rows, part in parts_of(block)]


def parse(*rows: dict[str, Any], like: dict[str, Any] = ROW) -> Any:
    """The batch that rows like this one become; None where they are left to be read one by one."""
    text = "".join(json.dumps(row) + "\n" for row in rows)
    ((found, _),) = parts_of(Block(5, text.encode()))
    read = blockwise(recognise(like).read)
    assert found is not None
    assert read is not None
    try:
        return read(found)
    except Doubt:
        return None


def test_columns() -> None:
    batch = parse(
        {"query": "q1", "pos": ["a"], "neg": ["b", "c"]},
        {"query": "q2 😀", "pos": ["d", "e\u0000中"], "neg": []},
    )
    assert batch.lines.tolist() == [5, 6]
    assert batch.queries.to_pylist() == ["q1", "q2 😀"]
    assert batch.texts.to_pylist() == ["a", "b", "c", "d", "e\x00中"]
    assert batch.owner.tolist() == [0, 0, 0, 1, 1]
    assert batch.place.tolist() == [0, 1, 2, 0, 1]
    assert batch.grades.tolist() == [1, 0, 0, 1, 1]
    assert (batch.scores, batch.details, batch.fields) == (None, None, None)


def test_what_stands_beside_the_texts() -> None:
    row = {
        "id": 7,
        "question": "q",
        "positive": "p",
        "negative_1": "n",
        "negative_2": "m",
        "prompt": "find",
        "year": 2001,
        "note": 'a "b"',
        "good": True,
        "share": 0.5,
        "no": None,
    }
    batch = parse(row, {**row, "negative_2": "", "year": None, "note": ""}, like=row)
    assert batch.texts.to_pylist() == ["p", "n", "m", "p", "n"]
    assert batch.ids.to_pylist() == ["7", "7"]
    assert batch.prompts.to_pylist() == ["find", "find"]
    assert batch.fields.to_pylist() == [
        '{"year": 2001, "note": "a \\"b\\"", "good": true, "share": 0.5}',
        '{"good": true, "share": 0.5}',
    ]


def test_scores_and_ids_side_by_side() -> None:
    row = {**ROW, "pos_scores": [1], "neg_scores": [0.5, None], "pos_id": ["x"], "neg_id": [1, ""]}
    batch = parse(row, {**row, "neg_scores": None, "pos_id": []}, like=row)
    assert np.nan_to_num(batch.scores, nan=-1).tolist() == [1, 0.5, -1, 1, -1, -1]
    assert batch.details.ids.to_pylist() == ["x", "1", None, None, "1", None]


def test_a_title_is_the_documents() -> None:
    row = {"question": "q", "passage": "p", "title": "t"}
    batch = parse(row, {**row, "title": ""}, like=row)
    assert batch.details.titles.to_pylist() == ["t", ""]
    assert batch.fields is None
    assert parse(row, {**row, "title": " "}, like=row) is None


@pytest.mark.parametrize(
    "row",
    [
        {"neg": [None]},
        {"neg": ["n", 3]},
        {"pos": [], "neg": ["n"]},
        {"pos": ["p", ""]},
        {"query": " \t"},
        {"query": ["q"]},
        {"pos": ["\u3000\u2003"]},
        {"query": 7},
        {"pos": {"text": "p"}},
        {"pos": [{"text": "p"}]},
    ],
)
def test_doubt(row: dict[str, Any]) -> None:
    assert parse(ROW, ROW) is not None
    assert parse(ROW, {**ROW, **row}, ROW) is None


@pytest.mark.parametrize(
    "more",
    [
        {"pos_scores": 1.0},
        {"pos_scores": [1.0, 2.0]},
        {"pos_scores": [True]},
        {"pos_scores": ["1"]},
        {"pos_scores": [1e39]},
        {"pos_scores": [10**400]},
        {"pos_id": ["a", "b"]},
    ],
)
def test_doubt_beside_the_texts(more: dict[str, Any]) -> None:
    like = {**ROW, **dict.fromkeys(more)}
    block = [{**ROW, **more}]
    read = blockwise(recognise(like).read)
    assert read is not None
    text = "".join(json.dumps(row) + "\n" for row in block)
    for rows, _ in parts_of(Block(1, text.encode())):
        # A number that is no JSON to orjson is left to the reader of single lines.
        if rows is not None:
            with pytest.raises(Doubt):
                read(rows)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "{}",
        "[1]",
        "7",
        '{"query": NaN, "pos": ["p"], "neg": []}',
        '{"query": "\\ud800", "pos": ["p"], "neg": []}',
        '{"query": "q", "query": "r", "pos": ["p"], "neg": []}',
        '{"query" : "q", "query":"r", "pos" : ["p"], "neg": []}',
        '{"query": "q", "pos": ["p"], "neg": []} {"query": "r", "pos": ["p"], "neg": []}',
        '{"query": "q", "pos": [',
    ],
)
def test_lines_that_are_looked_at_by_themselves(line: str) -> None:
    good = json.dumps(ROW)
    names = tuple(ROW)
    assert split(good, line, good, good) == [
        (names, [good.encode()]),
        ((), [line.encode()]),
        (names, [good.encode()] * 2),
    ]


def test_lines_that_are_whole() -> None:
    good = json.dumps(ROW)
    colons = json.dumps({**ROW, "query": 'it said "a": "b": c'})
    spaced = '{"query" : "q", "pos" : ["p"], "neg":[]}\r'
    assert len(split(good, colons, spaced)) == 1


def test_bytes_that_are_not_utf8() -> None:
    good = json.dumps(ROW).encode() + b"\n"
    bad = good.replace(b'"q"', b'"\xff"')
    assert [rows is None for rows, _ in parts_of(Block(1, good + bad))] == [False, True]
    block = Block(1, b"", [good, good], bad=frozenset({0}))
    assert [(rows is None, part.bad) for rows, part in parts_of(block)] == [
        (True, {0}),
        (False, frozenset()),
    ]


def test_many_kinds_of_rows_are_read_line_by_line() -> None:
    rows = [json.dumps({**ROW, f"own {number % 2}": 1}) for number in range(40)]
    assert split(*rows) == [((), [row.encode() for row in rows])]


def test_rows_that_are_read_one_by_one() -> None:
    assert blockwise(recognise({"query": "q", "hits": [{"content": "c", "label": 1}]}).read) is None
    assert blockwise(recognise({"query": ["Q:", "q"], "pos": ["D:", "d"]}).read) is None
