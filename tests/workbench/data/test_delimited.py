"""CSV and TSV as programs write them: quotes, escapes, missing values, doubled names."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.workbench.data.fakes import bring, codes, everything
from workbench.data.formats.delimited import Form, Rows, form_of, numbered
from workbench.data.lines import Decoding, read_blocks
from workbench.data.problems import ProblemLog, Report
from workbench.workspace import Workspace

HEADER = ["query", "positive", "negative"]


def read(text: str, suffix: str = ".csv") -> tuple[list[list[str]], ProblemLog]:
    """The rows of a file, the header among them, and what was wrong."""
    log = ProblemLog(Path("unused"))
    report = Report(log, "file")
    lines = text.splitlines(keepends=True) if "\r" not in text else text.split("\n")
    form = form_of([line.rstrip("\n") + "\n" for line in lines], suffix)
    blocks = read_blocks(io.BytesIO(text.encode()), Decoding("utf-8"))
    rows = Rows(numbered(blocks, report), report, form)
    return [rows.header(), *(cells for _, cells in rows)], log


def written(rows: list[list[str]], **how: Any) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n", **how).writerows(rows)
    return out.getvalue()


# What no quoting can hide: a CR ends a line of old programs, and a blank row is no row.
CELL = st.text(st.characters(codec="utf-8", exclude_characters="\r\0\x1a\ufeff"), max_size=15)
ROWS = st.lists(st.tuples(CELL.map(lambda text: f"x{text}"), CELL, CELL).map(list), max_size=6)


@pytest.mark.parametrize("mark", [",", "\t", ";", "|"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@given(rows=ROWS)
@example(rows=[['x"', '"', '""'], ["x\n", "\ta\t", ",;|"], ["x", "\\", '\\"'], ["x'", '"a"', ""]])
def test_what_the_csv_module_writes_comes_back(mark: str, quoting: int, rows: list[Any]) -> None:
    found, log = read(written([HEADER, *rows], delimiter=mark, quoting=quoting))
    assert found == [HEADER, *rows]
    assert not log.total


PLAIN = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0\x1a\ufeff\\"), max_size=15)


@given(rows=st.lists(st.tuples(PLAIN.map(lambda text: f"x{text}"), PLAIN), min_size=1, max_size=6))
@example(rows=[("x", 'he said "hi", ok'), ('x"', '"'), ("x", '""')])
@example(rows=[('x"', ",0")])
def test_quotes_escaped_with_a_backslash_come_back(rows: list[tuple[str, str]]) -> None:
    text = written(
        [HEADER[:2], *map(list, rows)],
        quoting=csv.QUOTE_ALL,
        doublequote=False,
        escapechar="\\",
    )
    found, log = read(text)
    # A lone quote at a cell's end may look like a doubled one: then it is told.
    if not log.total:
        assert found == [HEADER[:2], *map(list, rows)]


@given(
    rows=st.lists(
        st.tuples(*[st.text(alphabet="ab \"'\\,", min_size=1, max_size=8)] * 2),
        min_size=1,
        max_size=8,
    )
)
def test_files_with_tabs_and_no_quoting_keep_every_line(rows: list[tuple[str, str]]) -> None:
    text = "query\tpositive\n" + "".join(f"x{a}\t{b}y\n" for a, b in rows)
    found, log = read(text, ".tsv")
    assert found[1:] == [[f"x{a}", f"{b}y"] for a, b in rows]
    assert not log.total


@pytest.mark.parametrize("programme", ["pandas", "spark"])
def test_escaped_quotes(programme: str, workspace: Workspace, tmp_path: Path) -> None:
    text = {
        "pandas": 'query,positive\n"he said \\"hi\\", ok",C:\\\\new\nplain,"a \\"b\\""\n',
        "spark": 'query,positive\n"he said \\"hi\\", ok",C:\\new\nplain,"a \\"b\\""\n',
    }[programme]
    (tmp_path / "rows.csv").write_text(text)
    result, reader = bring(workspace, tmp_path / "rows.csv")
    assert {query: row[1] for query, row in everything(reader).items()} == {
        'he said "hi", ok': ["C:\\new"],
        "plain": ['a "b"'],
    }
    assert result["problems"] == []


def test_quotes_that_do_not_fit_are_told(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(
        'query,positive\n"he said "hi" ok",p\nq,"a" b "c"\n"open,r\n'
    )
    result, reader = bring(workspace, tmp_path / "rows.csv")
    found = {query: row[1] for query, row in everything(reader).items()}
    assert found == {'he said "hi" ok': ["p"], "q": ['a" b "c']}
    assert codes(result) == [
        ("bad-quotes", 2, "warning"),
        ("bad-quotes", 3, "warning"),
        ("bad-quotes", 4, "error"),
    ]


@pytest.mark.parametrize(
    "word", ["nan", "NaN", "None", "null", "NULL", "N/A", "<NA>", "NaT", "#N/A"]
)
@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_missing_values_are_empty_and_counted(
    word: str, suffix: str, workspace: Workspace, tmp_path: Path
) -> None:
    rows = [
        HEADER,
        ["a", "p", word],
        ["b", word, "n"],
        [word, "p", "n"],
        ["c", "r", word],
        ["d", f"{word} is a word", "not a " + word],
    ]
    mark = "\t" if suffix == "tsv" else ","
    (tmp_path / f"rows.{suffix}").write_text(written(rows, delimiter=mark))
    result, reader = bring(workspace, tmp_path / f"rows.{suffix}")
    assert {query: row[1:] for query, row in everything(reader).items()} == {
        "a": (["p"], []),
        "c": (["r"], []),
        "d": ([f"{word} is a word"], ["not a " + word]),
    }
    assert word not in reader.documents()["text"].to_pylist()
    assert result["problem_counts"]["missing-values"] == 4
    told = [one for one in result["problems"] if one["code"] == "missing-values"]
    assert {(one["line"], one["field"]) for one in told} == {
        (2, "negative"), (3, "positive"), (4, "query")
    }  # fmt: skip
    assert "(2 cells)" in next(one["message"] for one in told if one["field"] == "negative")


def test_an_id_may_be_called_so(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("id,text\nNA,Namibia is dry.\nDE,Germany is wet.\n")
    result, reader = bring(workspace, tmp_path / "rows.csv")
    assert reader.documents()["id"].to_pylist() == ["NA", "DE"]
    assert result["problems"] == []


@pytest.mark.parametrize("names", ["negative,negative", "Negative,negative", "neg,negative_1"])
def test_two_columns_of_negatives_both_count(
    names: str, workspace: Workspace, tmp_path: Path
) -> None:
    text = f"query,positive,{names}\na,p,one,two\nb,p,\"['three', 'four']\",\nc,r,five,nan\n"
    (tmp_path / "rows.csv").write_text(text)
    result, reader = bring(workspace, tmp_path / "rows.csv")
    assert {query: row[2] for query, row in everything(reader).items()} == {
        "a": ["one", "two"],
        "b": ["three", "four"],
        "c": ["five"],
    }
    assert result["problem_counts"].get("doubled-column", 0) == (0 if "1" in names else 1)


def test_another_doubled_column_is_told(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("query,positive,query,topic,topic\na,p,b,x,y\n")
    result, reader = bring(workspace, tmp_path / "rows.csv")
    assert everything(reader)["a"][1] == ["p"]
    told = [(one["code"], one["field"], one["message"].split(".")[0]) for one in result["problems"]]
    assert told == [
        (
            "doubled-column",
            "query",
            "Several columns have this name: another is kept as 'query (2)'",
        ),
        (
            "doubled-column",
            "topic",
            "Several columns have this name: another is kept as 'topic (2)'",
        ),
    ]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
def test_a_name_that_stands_twice_in_an_object_is_told(
    name: str, workspace: Workspace, tmp_path: Path
) -> None:
    bad = '{"query": "a", "pos": ["p"], "neg": ["n"], "neg": ["m"]}'
    good = '{"query": "b", "pos": ["text of \\"neg\\": and \\"neg\\":"], "neg": ["n"]}'
    inner = '{"query": "c", "pos": [{"text": "x", "text": "y", "query": 1}], "neg": []}'
    text = f"[{bad},\n{good},\n{inner}]" if name == "rows.json" else f"{bad}\n{good}\n{inner}\n"
    (tmp_path / name).write_text(text)
    result, reader = bring(workspace, tmp_path / name)
    assert everything(reader)["a"][2] == ["m"]
    found = [(one["code"], one["line"], one["field"]) for one in result["problems"]]
    assert found == [("doubled-key", 1, "neg"), ("doubled-key", 3, "text")]


def test_the_separator_is_the_one_that_fits_all_lines() -> None:
    assert form_of(["1\ta, b, c and d\n", "2\te\n", "3\tf; g\n"]).mark == "\t"
    assert form_of(["a;b, c, d\n", "e;f\n", "g;h\n"]).mark == ";"
    assert form_of(["query,pos\n", '"a;b",c\n']).mark == ","
    assert form_of(["one\n"]).mark == ","
    assert form_of([]) == Form()
