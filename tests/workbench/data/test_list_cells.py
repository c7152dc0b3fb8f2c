"""Lists in cells of a table, in JSON's, Python's and numpy's spelling; texts that look like one."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.workbench.data.fakes import bring, codes, everything
from workbench.data.formats.tables import BadList, listed
from workbench.workspace import Workspace


@pytest.mark.parametrize(
    ("cell", "items"),
    [
        ('["a", "b"]', ["a", "b"]),
        ("['a', 'b']", ["a", "b"]),
        ("[\"it's here\", 'two']", ["it's here", "two"]),
        ("['it\\'s here', 'a\\nb']", ["it's here", "a\nb"]),
        ("['a' 'b']", ["a", "b"]),
        ("['a'\n \"b's\"]", ["a", "b's"]),
        ("[]", []),
        ("[ ]", []),
        ("()", []),
        ("('a', 'b')", ["a", "b"]),
        ("{'b', \"it's a\"}", ["b", "it's a"]),
        ("set()", []),
        ("array(['a', 'b'], dtype=object)", ["a", "b"]),
        ("[array(['a'], dtype='<U1') array(['b'], dtype='<U1')]", [["a"], ["b"]]),
        ("[['a'], ['b']]", [["a"], ["b"]]),
        ("[np.str_('a'), np.float64(0.5)]", ["a", 0.5]),
        ("[0.5 1. 2e-3]", [0.5, 1.0, 0.002]),
        ("[1, 2]", [1, 2]),
        ("['a', None, nan]", ["a", None, None]),
        ("[{'docid': '1', 'text': 'x'}\n {'docid': '2', 'text': \"y's\"}]",
         [{"docid": "1", "text": "x"}, {"docid": "2", "text": "y's"}]),
        ('["\\ud83d\\ude00"]', ["\U0001f600"]),
        ("['C:\\\\new', '\\d']", ["C:\\new", "\\d"]),
    ],
)  # fmt: skip
def test_lists(cell: str, items: list[Any]) -> None:
    assert listed(cell) == items


@pytest.mark.parametrize(
    "cell",
    [
        *("[citation needed]", "[citation needed] text", "[1] A book.", "[...]", "[UNK]", "["),
        *("['a'] is how Python writes it", '["Hello" she said]', "('a')", "(1, 2)", "(a, b)"),
        *("apple", "array of things", "[a, b]", "[" * 5_000, "", " ", "['", '["Hello'),
    ],
)
def test_texts(cell: str) -> None:
    assert listed(cell) == cell


@pytest.mark.parametrize(
    "cell",
    [
        *("['it's here', 'two']", "['it''s', 'two']", "['a' 'b', 'c']", "['a', 'b", "['a', 'b'"),
        *("['a' 'b' ... 'y' 'z']", "[0.1 0.2 ... 0.9]", '["a", "b]', "['" + "x" * 40_000),
    ],
)
def test_what_is_no_list_and_no_text_is_refused(cell: str) -> None:
    with pytest.raises(BadList):
        listed(cell)


TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
SPELLINGS = {
    "json": json.dumps,
    "json in unicode": lambda items: json.dumps(items, ensure_ascii=False),
    "python": repr,
    "numpy": lambda items: str(np.array(items, dtype=object)),
    "numpy's repr": lambda items: repr(np.array(items, dtype=object)),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@given(items=st.lists(TEXT, min_size=1, max_size=6))
@example(items=["it's", 'say "x"', "both ' and \"", "a\nb", "\\", "\\n", "]", "[", ", ", "..."])
def test_any_texts_come_back(spelling: str, items: list[str]) -> None:
    assert listed(SPELLINGS[spelling](items)) == items


@given(items=st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1))
def test_any_numbers_come_back(items: list[float]) -> None:
    assert listed(str(items)) == items
    assert listed(json.dumps(items)) == items


@given(cell=st.text(alphabet="[]()'\", \nab1.\\{}:=nparry_", max_size=30))
def test_any_cell_is_read_or_refused(cell: str) -> None:
    try:
        found = listed(cell)
    except BadList:
        return
    assert found == cell or isinstance(found, list)


def table(path: Path, *rows: list[str]) -> Path:
    out = io.StringIO(newline="")
    csv.writer(out).writerows([["query", "pos", "neg"], *rows])
    path.write_text(out.getvalue(), encoding="utf-8", newline="")
    return path


def test_in_a_file(workspace: Workspace, tmp_path: Path) -> None:
    file = table(
        tmp_path / "rows.csv",
        ["mixed", "[\"it's one\", 'two']", "[]"],
        ["numpy", "['one of' \"it's two\"]", "[]"],
        ["empty", "[]", "['n']"],
        ["plain", "[citation needed] is a text", ""],
        ["cut", "['a' 'b' ... 'z']", ""],
    )
    result, reader = bring(workspace, file)
    assert {query: row[1:] for query, row in everything(reader).items()} == {
        "mixed": (["it's one", "two"], []),
        "numpy": (["one of", "it's two"], []),
        "plain": (["[citation needed] is a text"], []),
    }
    assert "[]" not in reader.documents()["text"].to_pylist()
    assert codes(result) == [("no-positive", 4, "error"), ("bad-list", 6, "error")]
    told = result["problems"][1]
    assert told["field"] == "pos"
    assert "'...'" in told["message"]
