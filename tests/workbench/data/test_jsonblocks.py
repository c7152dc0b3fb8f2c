"""The fast lane gives what reading row by row gives, and leaves every doubtful block to that."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workbench.data.fakes import bring, codes, everything
from workbench.data import lines as lines_module
from workbench.data.formats.jsonblocks import PlainRows
from workbench.data.lines import Block
from workbench.data.shapes.recognise import recognise
from workbench.workspace import Workspace

ROW: dict[str, Any] = {"query": "q", "pos": ["p"], "neg": ["n", "m"]}


def lane(row: dict[str, Any]) -> PlainRows | None:
    return PlainRows.like(row, recognise(row).read)


def parse(*lines: str, row: dict[str, Any] = ROW) -> Any:
    found = lane(row)
    assert found is not None
    return found.parse(Block(5, "".join(line + "\n" for line in lines).encode()))


def test_columns() -> None:
    batch = parse(
        '{"query": "q1", "pos": ["a"], "neg": ["b", "c"]}',
        '{"neg": [], "query": "q2 \\ud83d\\ude00", "pos": ["d", "e\\u0000中"]}',
    )
    assert batch.lines.tolist() == [5, 6]
    assert batch.queries.to_pylist() == ["q1", "q2 😀"]
    found = zip(batch.owner.tolist(), batch.place.tolist(), batch.grades.tolist(), strict=True)
    assert dict(zip(batch.texts.to_pylist(), found, strict=True)) == {
        "a": (0, 0, 1),
        "d": (1, 0, 1),
        "e\x00中": (1, 1, 1),
        "b": (0, 1, 0),
        "c": (0, 2, 0),
    }


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[1]",
        '{"query": "q", "pos": ["p"]}',  # no negatives: null in the column
        '{"query": "q", "pos": ["p"], "neg": [], "more": 1}',
        '{"query": "q", "pos": ["p"], "neg": [null]}',
        '{"query": "q", "pos": [], "neg": []}',
        '{"query": "q", "pos": ["p", ""], "neg": []}',
        '{"query": " \\t", "pos": ["p"], "neg": []}',
        '{"query": "q", "pos": ["\\u3000\\u2003"], "neg": []}',
        '{"query": 7, "pos": ["p"], "neg": []}',
        '{"query": NaN, "pos": ["p"], "neg": []}',
        '{"query": "q", "pos": "p", "neg": []}',
        '{"query": "\\ud800", "pos": ["p"], "neg": []}',
        '{"query": "q", "query": "r", "pos": ["p"], "neg": []}',
        '{"query": "q", "pos": ["p"], "neg": []} {"query": "r", "pos": ["p"], "neg": []}',
        '{"query": "q", "pos": ["p"], "neg": []}\r',
        '{"query": "q",\n "pos": ["p"], "neg": []}',
    ],
)
def test_doubt(line: str) -> None:
    good = json.dumps(ROW)
    assert parse(good, good) is not None
    assert parse(good, line, good) is None


def test_bytes_that_are_not_utf8() -> None:
    found = lane(ROW)
    good = json.dumps(ROW).encode() + b"\n"
    assert found is not None
    assert found.parse(Block(1, good + good.replace(b"q", b"\xff", 1))) is None
    assert found.parse(Block(1, good + good.replace(b'"q"', b'"\xff"'))) is None
    assert found.parse(Block(1, good[:-1])) is None  # The end of a file without a last line end.


def test_rows_that_have_no_lane() -> None:
    assert lane({"query": "q", "pos": ["p"], "pos_scores": [1.0]}) is None
    assert lane({"query": "q", "hits": [{"content": "c", "label": 1}]}) is None
    assert lane({"query": "q", "pos": ["p"], "neg": None}) is None
    assert lane({"anchor": "q", "positive": "p", "negative_1": "n"}) is not None


LINES = st.one_of(
    st.tuples(st.integers(0, 30), st.integers(0, 30), st.lists(st.integers(0, 30), max_size=3)).map(
        lambda t: json.dumps(
            {"query": f"q{t[0]}", "pos": [f"d{t[1]}"], "neg": [f"d{n}" for n in t[2]]}
        )
    ),
    st.sampled_from(["", "{", "7", '{"query": "half"}', '{"query": "", "pos": ["p"], "neg": []}']),
)


@settings(max_examples=60)
@given(rows=st.lists(LINES, min_size=1, max_size=60), size=st.integers(50, 600))
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
        patch.setattr(PlainRows, "like", classmethod(lambda *_: None))
        slow, slow_reader = bring(workspace, file)
    assert codes(fast) == codes(slow)
    same = ("queries", "documents", "judgments", "candidates", "splits", "format", "problem_counts")
    assert {key: fast[key] for key in same} == {key: slow[key] for key in same}
    one, other = everything(fast_reader), everything(slow_reader)
    assert one == other
