"""Many rows at once give what reading row by row gives, and leave every doubtful line to that."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workbench.data.fakes import bring, codes
from workbench.data import lines as lines_module
from workbench.data.formats.jsonblocks import parts
from workbench.data.lines import Block
from workbench.data.reader import DatasetReader
from workbench.data.shapes.blocks import Doubt, blockwise
from workbench.data.shapes.recognise import Recogniser, recognise
from workbench.workspace import Workspace

ROW: dict[str, Any] = {"query": "q", "pos": ["p"], "neg": ["n", "m"]}


def split(*lines: str) -> list[tuple[tuple[str, ...], list[bytes]]]:
    block = Block(5, "".join(line + "\n" for line in lines).encode())
    return [(rows.names if rows else (), part.lines) for rows, part in parts(block)]


def parse(*rows: dict[str, Any], like: dict[str, Any] = ROW) -> Any:
    """The batch that rows like this one become; None where they are left to be read one by one."""
    text = "".join(json.dumps(row) + "\n" for row in rows)
    ((found, _),) = parts(Block(5, text.encode()))
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
        **{"id": 7, "question": "q", "positive": "p", "negative_1": "n", "negative_2": "m"},
        **{"prompt": "find", "year": 2001, "note": 'a "b"', "good": True, "share": 0.5, "no": None},
    }
    batch = parse(row, {**row, "negative_2": "", "year": None, "note": ""}, like=row)
    assert batch.texts.to_pylist() == ["p", "n", "m", "p", "n"]
    assert batch.ids == ["7", "7"]
    assert batch.prompts == ["find", "find"]
    assert batch.fields == [
        '{"year": 2001, "note": "a \\"b\\"", "good": true, "share": 0.5}',
        '{"good": true, "share": 0.5}',
    ]


def test_scores_and_ids_side_by_side() -> None:
    row = {**ROW, "pos_scores": [1], "neg_scores": [0.5, None], "pos_id": ["x"], "neg_id": [1, ""]}
    batch = parse(row, {**row, "neg_scores": None, "pos_id": []}, like=row)
    assert np.nan_to_num(batch.scores, nan=-1).tolist() == [1, 0.5, -1, 1, -1, -1]
    assert batch.details.ids == ["x", "1", None, None, "1", None]


def test_a_title_is_the_documents() -> None:
    row = {"question": "q", "passage": "p", "title": "t"}
    batch = parse(row, {**row, "title": ""}, like=row)
    assert batch.details.titles == ["t", ""]
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
    for rows, _ in parts(Block(1, text.encode())):
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
    assert [rows is None for rows, _ in parts(Block(1, good + bad))] == [False, True]
    block = Block(1, b"", [good, good], bad=frozenset({0}))
    assert [(rows is None, part.bad) for rows, part in parts(block)] == [
        (True, {0}),
        (False, frozenset()),
    ]


def test_many_kinds_of_rows_are_read_line_by_line() -> None:
    rows = [json.dumps({**ROW, f"own {number % 2}": 1}) for number in range(40)]
    assert split(*rows) == [((), [row.encode() for row in rows])]


def test_rows_that_are_read_one_by_one() -> None:
    assert blockwise(recognise({"query": "q", "hits": [{"content": "c", "label": 1}]}).read) is None
    assert blockwise(recognise({"query": ["Q:", "q"], "pos": ["D:", "d"]}).read) is None


TEXT = st.sampled_from(
    [*(f"text {n}" for n in range(12)), "", " ", "中\u2028", 'a": b', "[1]", "\u0000", "x" * 90]
)
ODD: Any = st.sampled_from([None, 3, 2.5, True, [], {}, ["a", "b"], {"text": "t", "id": "i"}, ""])
COLUMNS: dict[str, Any] = {
    "query": TEXT | st.sampled_from(["q1", "q2", "q3"]),
    "anchor": TEXT,
    "pos": st.lists(TEXT, max_size=3) | TEXT,
    "positive": TEXT,
    "neg": st.lists(TEXT, max_size=3) | TEXT,
    "negative_1": TEXT,
    "negative_2": TEXT,
    "passage": TEXT,
    "title": TEXT,
    "pos_title": TEXT,
    "pos_scores": st.lists(st.integers(0, 3) | st.floats(width=32) | st.none(), max_size=3),
    "neg_scores": st.lists(st.floats(-1, 1, width=32), max_size=3),
    "pos_id": st.lists(st.sampled_from(["a", "b", 3, 1.0, None]), max_size=2),
    "neg_id": st.lists(st.sampled_from(["a", "c", ""]), max_size=2),
    "query_id": st.sampled_from(["1", 1, "2", None, ""]),
    "prompt": TEXT,
    "score": st.integers(0, 3) | st.floats(0, 1),
    "year": st.integers(1990, 2030) | st.none(),
    "note": TEXT,
    "tags": st.lists(TEXT, max_size=2),
    "metadata": st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 3), max_size=2),
}
SHAPES = [
    ["query", "pos", "neg"],
    ["query", "pos", "neg", "pos_scores", "neg_scores", "prompt"],
    ["query", "pos", "pos_id", "neg", "neg_id", "query_id", "note", "year"],
    ["anchor", "positive", "negative_1", "negative_2", "score", "year", "note"],
    ["query", "passage", "title", "tags"],
    ["query", "positive", "neg", "title", "metadata", "note"],
    ["query", "positive", "negative_1", "pos_title", "note"],
]
BROKEN = st.sampled_from(["", "{", "7", '{"query": "half"}', '{"query": "q", "query": "r"}'])


@st.composite
def files(draw: st.DrawFn) -> list[str]:
    """Lines of rows of one shape, now and then with an odd cell, other columns, or broken."""
    names = draw(st.sampled_from(SHAPES))
    found = []
    for _ in range(draw(st.integers(1, 25))):
        kind = draw(st.integers(0, 30))
        row = {name: draw(COLUMNS[name]) for name in names}
        if kind == 0:
            row[draw(st.sampled_from(names))] = draw(ODD)
        elif kind == 1:
            row = dict(reversed(row.items()))
        elif kind == 2:
            del row[draw(st.sampled_from(names))]
        found.append(draw(BROKEN) if kind == 3 else json.dumps(row))
    return found


def contents(reader: DatasetReader) -> dict[str, Any]:
    """All that is stored, row by row."""
    found: dict[str, Any] = {}
    for name in ("documents", "judgments", "candidates"):
        found[name] = list(map(repr, pq_rows(reader, getattr(reader.manifest, name))))
    for split_, path in reader.manifest.queries.items():
        found[split_] = pq_rows(reader, path)
    return found


def pq_rows(reader: DatasetReader, path: str) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.read_table(reader.folder / path).to_pylist()
    return rows


@settings(max_examples=60)
@given(rows=files(), size=st.integers(50, 900))
def test_with_and_without_it(
    rows: list[str],
    size: int,
    workspace: Workspace,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder: Path = tmp_path_factory.getbasetemp()
    file = folder / "lane.jsonl"
    file.write_text(json.dumps({**ROW, "query": "first"}) + "\n" + "\n".join(rows) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "BLOCK", size)
        fast, fast_reader = bring(workspace, file)
        patch.setattr(Recogniser, "together", lambda *_: None)
        slow, slow_reader = bring(workspace, file)
    assert codes(fast) == codes(slow)
    different = ("name", "bytes")
    assert {key: one for key, one in fast.items() if key not in different} == {
        key: one for key, one in slow.items() if key not in different
    }
    assert contents(fast_reader) == contents(slow_reader)
