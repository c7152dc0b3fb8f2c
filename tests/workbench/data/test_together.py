"""Every kind of file gives the same data set, its rows read many at once or each by itself."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workbench.data.fakes import bring
from workbench.data import import_job
from workbench.data import lines as lines_module
from workbench.data.formats import arrow
from workbench.data.reader import DatasetReader
from workbench.data.shapes.recognise import Recogniser
from workbench.workspace import Workspace

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
    "_id": st.sampled_from(["x", "y", "1", 2, ""]),
    "text": TEXT,
    "label": st.sampled_from([0, 1, 2, -1, True, "yes", "relevant", "1", "neutral", 0.5, 1.0]),
    "doc_id": st.sampled_from(["d1", "d2", 3, None]),
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
    ["query", "passage", "label", "title", "doc_id", "query_id", "note"],
]
BROKEN = st.sampled_from(["", "{", "7", '{"query": "half"}', '{"query": "q", "query": "r"}'])


@st.composite
def rows_of(draw: st.DrawFn, *shapes: list[str]) -> list[dict[str, Any]]:
    """Rows of one shape, now and then with an odd cell or other columns."""
    names = draw(st.sampled_from(shapes))
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
        found.append(row)
    return found


def contents(reader: DatasetReader) -> dict[str, Any]:
    """All that is stored, row by row."""
    manifest = reader.manifest
    names = [*manifest.queries.values(), manifest.pairs, manifest.problems]
    names += [manifest.documents, manifest.judgments, manifest.candidates]
    # Scores that are none are not equal to themselves.
    return {
        name: list(map(repr, pq.read_table(reader.folder / name).to_pylist()))
        for name in names
        if name
    }


def same_either_way(workspace: Workspace, *files: Path, size: int = 300) -> int:
    """Import the files both ways, in blocks of so many bytes; how many rows were read at once."""
    together, at_once = Recogniser.together, 0
    undoubted = import_job.undoubted

    def counted(found: Any) -> Any:
        nonlocal at_once
        at_once += len(getattr(found, "lines", ())) if found is not None else 0
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "BLOCK", size)
        patch.setattr(arrow, "_LEAST_ROWS", 4)
        patch.setattr(arrow, "_PART_BYTES", size)
        patch.setattr(Recogniser, "together", lambda *a, **k: counted(together(*a, **k)))
        patch.setattr(import_job, "undoubted", lambda *a: counted(undoubted(*a)))
        fast, fast_reader = bring(workspace, *files)
        patch.setattr(Recogniser, "together", lambda *_, **__: None)
        patch.setattr(import_job, "undoubted", lambda *_: None)
        slow, slow_reader = bring(workspace, *files)
    different = ("name", "bytes")
    assert {key: one for key, one in fast.items() if key not in different} == {
        key: one for key, one in slow.items() if key not in different
    }
    assert contents(fast_reader) == contents(slow_reader)
    return at_once


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("both-ways")


EXAMPLES = settings(max_examples=50)
SIZES = st.integers(50, 900)
FIRST = {"query": "first", "pos": ["p"]}


@EXAMPLES
@given(rows=rows_of(*SHAPES), broken=st.lists(BROKEN, max_size=2), size=SIZES)
def test_lines(
    rows: list[Any], broken: list[str], size: int, workspace: Workspace, folder: Path
) -> None:
    file = folder / "rows.jsonl"
    lines = [json.dumps(one) for one in (FIRST, *rows)]
    lines[2:2] = broken
    file.write_text("\n".join(lines) + "\n")
    same_either_way(workspace, file, size=size)


ODD_LINES = ['a "b" c', '"a" b, c', " ", "a,b,c,d,e,f,g", '"open', 'a\\"b', "a\rb", '"a\nb",c,d']


def cell(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


@EXAMPLES
@given(
    rows=rows_of(
        ["query", "positive", "negative_1"],
        ["anchor", "positive", "negative_1", "negative_2", "year", "note"],
        ["query", "passage", "title"],
        ["query", "passage", "label", "doc_id", "note"],
        ["query", "pos", "neg", "query_id"],
        ["_id", "text", "title", "note"],
    ),
    mark=st.sampled_from([",", "\t", ";"]),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    broken=st.sampled_from(["", *ODD_LINES]),
    size=SIZES,
)
def test_cells(
    rows: list[dict[str, Any]],
    mark: str,
    end: str,
    quoting: Any,
    broken: str,
    size: int,
    workspace: Workspace,
    folder: Path,
) -> None:
    file = folder / ("rows.tsv" if mark == "\t" else "rows.csv")
    with file.open("w", newline="") as out:
        writer = csv.writer(out, delimiter=mark, lineterminator=end, quoting=quoting)
        names = list(rows[0])
        writer.writerow(names)
        for place, row in enumerate(rows):
            writer.writerow([cell(row.get(name)) for name in names])
            if place == 3 and broken:
                out.write(broken + end)
    # A good row, so that there is something to import whatever the others are.
    more = folder / "more.jsonl"
    more.write_text(json.dumps(FIRST) + "\n")
    same_either_way(workspace, file, more, size=size)


@EXAMPLES
@given(rows=rows_of(*SHAPES), large=st.booleans())
def test_columns_of_arrow(
    rows: list[dict[str, Any]], large: bool, workspace: Workspace, folder: Path
) -> None:
    file, more = folder / "rows.parquet", folder / "more.jsonl"
    more.write_text(json.dumps(FIRST) + "\n")
    try:
        table = pa.Table.from_pylist(rows)
        for place, kind in enumerate(table.schema.types if large else ()):
            if pa.types.is_string(kind):
                column = table.column(place).cast(pa.large_string())
                table = table.set_column(place, table.schema.names[place], column)
        pq.write_table(table, file)
    except (pa.ArrowException, OverflowError):
        return  # Cells of several kinds in a column, or objects without a name.
    same_either_way(workspace, file, more)


IDS = st.sampled_from(["1", "2", "3", "1.0", "a", "b", "c", "d1", "\u0661", "", "NA"])
TITLES = st.sampled_from(["", " ", "T", "[a]", "None"])


def as_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path = path.with_suffix(".jsonl")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def as_cells(path: Path, rows: list[dict[str, Any]]) -> Path:
    path = path.with_suffix(".tsv")
    with path.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]), delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)
    return path


def as_columns(path: Path, rows: list[dict[str, Any]]) -> Path:
    path = path.with_suffix(".parquet")
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


GRADES = st.sampled_from(["0", "1", "2", "-1", "1.0", "x", "", "0.5"])


def drawn(columns: dict[str, Any]) -> Any:
    return st.lists(st.fixed_dictionaries(columns), max_size=25)


WRITTEN = st.sampled_from([as_lines, as_cells, as_columns])


@EXAMPLES
@given(
    corpus=drawn({"_id": IDS, "title": TITLES, "text": TEXT}),
    asked=drawn({"_id": IDS, "text": TEXT, "prompt": TITLES, "note": TEXT}),
    judged=drawn({"query-id": IDS, "corpus-id": IDS, "score": GRADES}),
    written=st.tuples(WRITTEN, WRITTEN, WRITTEN),
    size=SIZES,
)
def test_a_corpus(
    corpus: list[dict[str, Any]],
    asked: list[dict[str, Any]],
    judged: list[dict[str, Any]],
    written: tuple[Callable[[Path, list[dict[str, Any]]], Path], ...],
    size: int,
    workspace: Workspace,
    folder: Path,
) -> None:
    first = {"_id": "q", "text": "t", "prompt": "", "note": ""}
    sure = {"query-id": "q", "corpus-id": "d", "score": "1"}
    files = [
        written[0](folder / "corpus", [{"_id": "d", "title": "", "text": "t"}, *corpus]),
        written[1](folder / "queries", [first, *asked]),
        written[2](folder / "qrels", [sure, *judged]),
    ]
    try:
        same_either_way(workspace, *files, size=size)
    finally:
        for file in files:
            file.unlink()


def many(count: int) -> list[dict[str, Any]]:
    return [{"query": f"q {n}", "pos": f"p {n}", "neg": f'n "{n}",\nm'} for n in range(count)]


@pytest.mark.parametrize("write", [as_lines, as_cells, as_columns])
def test_most_rows_are_read_at_once(
    write: Callable[[Path, list[dict[str, Any]]], Path], workspace: Workspace, folder: Path
) -> None:
    rows = [{**row, "neg": row["neg"].replace("\n", " ")} for row in many(100)]
    assert same_either_way(workspace, write(folder / "rows", rows)) > 60


def test_cells_over_several_lines_and_blocks(workspace: Workspace, folder: Path) -> None:
    file = folder / "rows.csv"
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, ["query", "pos", "neg"])
        writer.writeheader()
        writer.writerows(many(100))
    assert same_either_way(workspace, file, size=150) > 60


def test_a_corpus_is_read_at_once(workspace: Workspace, folder: Path) -> None:
    files = [
        as_lines(folder / "corpus", [{"_id": f"d{n}", "text": f"t {n}"} for n in range(100)]),
        as_lines(folder / "queries", [{"_id": f"q{n}", "text": f"a {n}"} for n in range(50)]),
        as_cells(
            folder / "qrels",
            [{"query-id": f"q{n}", "corpus-id": f"d{n}", "score": 1} for n in range(50)],
        ),
    ]
    assert same_either_way(workspace, *files) > 150
