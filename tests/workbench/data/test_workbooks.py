"""Excel's workbooks: the first sheet with rows is read as a table, the others are told."""

import shutil
import zipfile
from pathlib import Path

import pytest

from tests.workbench.data.fakes import bring, everything, lines
from tests.workbench.data.sheets import packed, workbook
from workbench.data.formats import workbook as format_module
from workbench.errors import NoGoodRows
from workbench.workspace import Workspace

ROWS = [
    ["query", "positive", "negative", "negative"],
    ["first", "p", "n", "['m', \"it's o\"]"],
    ["second", 12, "nan", True],
    ["", "", "", ""],
    ["third", 0.5, "r", "s"],
]
READ = {
    "first": ["n", "m", "it's o"],
    "second": ["True"],
    "third": ["r", "s"],
}


@pytest.mark.parametrize("name", ["rows.xlsx", "rows.jsonl", "rows.dat", "in.zip"])
def test_rows(name: str, workspace: Workspace, tmp_path: Path) -> None:
    file = workbook(tmp_path / "rows.xlsx", rows=ROWS, notes=[["about"]])
    if name == "in.zip":
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.write(file, "folder/rows.xlsx")
    elif name != file.name:
        shutil.copy(file, tmp_path / name)
    result, reader = bring(workspace, tmp_path / name)
    found = everything(reader)
    assert {query: set(negatives) for query, (_, _, negatives) in found.items()} == {
        query: set(negatives) for query, negatives in READ.items()
    }
    assert [found[query][1] for query in READ] == [["p"], ["12"], ["0.5"]]
    assert result["problem_counts"] == {
        "other-sheets": 1,
        "doubled-column": 1,
        "missing-values": 1,
    }
    told = {one["code"]: one for one in result["problems"]}
    assert "'notes'" in told["other-sheets"]["message"]
    assert told["missing-values"]["line"] == 3


def test_without_a_header(workspace: Workspace, tmp_path: Path) -> None:
    rows = [["what is this?", "something it is"], ["who is that?", "somebody else"]]
    result, reader = bring(workspace, workbook(tmp_path / "a.xlsx", rows=rows))
    assert {query: texts for query, (_, texts, _) in everything(reader).items()} == {
        query: [text] for query, text in rows
    }
    assert result["problem_counts"] == {"no-header": 1}


def test_an_empty_sheet_is_passed_over(workspace: Workspace, tmp_path: Path) -> None:
    file = workbook(tmp_path / "a.xlsx", empty=[], rows=[["query", "positive"], ["q", "p"]])
    result, _ = bring(workspace, file)
    assert result["queries"] == 1
    assert "'empty'" in result["problems"][0]["message"]


def test_ids_are_whole_numbers(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    workbook(tmp_path / "in/corpus.xlsx", rows=[["_id", "text"], [1, "one"], [2, "two"]])
    workbook(tmp_path / "in/queries.xlsx", rows=[["_id", "text"], [7, "which is one"]])
    workbook(tmp_path / "in/qrels.xlsx", rows=[["query-id", "corpus-id", "score"], [7, 1, 1]])
    result, reader = bring(workspace, tmp_path / "in")
    assert result["format"] == "beir"
    assert everything(reader)["which is one"][1] == ["one"]


@pytest.mark.parametrize(
    "data", [b"PK\x03\x04 and nothing more", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"]
)
def test_a_broken_one_is_told(data: bytes, workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(data)
    good = lines(tmp_path / "good.jsonl", [{"query": "q", "pos": ["p"]}])
    result, _ = bring(workspace, tmp_path / "a.xlsx", good)
    assert [(one["file"], one["code"]) for one in result["problems"]] == [("a.xlsx", "unreadable")]


def test_a_table_under_a_workbooks_name(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "a.xls").write_text("query\tpositive\nq\tp\n")
    _, reader = bring(workspace, tmp_path / "a.xls")
    assert everything(reader)["q"][1] == ["p"]


def test_one_that_unpacks_to_all_memory_is_refused(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(format_module, "_MEGABYTES", 512)
    first, last = (
        f'<row r="{row}"><c r="{column}{row}" t="inlineStr"><is><t>query</t></is></c></row>'
        for column, row in (("A", 1), ("XFD", 1_048_576))
    )
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    sheet = f'<worksheet xmlns="{space}"><sheetData>{first}{last}</sheetData></worksheet>'
    file = tmp_path / "bomb.xlsx"
    packed(file, {"rows": sheet})
    with pytest.raises(NoGoodRows, match="unpacks to more than 512 MB"):
        bring(workspace, file)
