"""Files as programs of many countries save them: detected and said, or forced; never mojibake."""

import codecs
import json
from pathlib import Path

import pytest

from tests.workbench.data.fakes import bring, everything
from workbench.data.lines import UTF8, from_start, named, of_lines
from workbench.errors import BadInput
from workbench.workspace import Workspace

SIMPLE = "战国无双系列是由光荣开发的动作游戏，本作以三大故事为主轴，丰富了游戏内的剧情"
TRADITIONAL = "老張牛肉麵館位於台北市中心，以其濃郁湯頭和嫩滑牛肉聞名，是當地人推薦的美食"


def rows(text: str) -> str:
    half = len(text) // 2
    pairs = [{"query": f"{text[:half]}{i}", "pos": [f"{text[half:]}{i}"]} for i in range(5)]
    return "".join(json.dumps(pair, ensure_ascii=False) + "\r\n\r\n" for pair in pairs)


@pytest.mark.parametrize(
    ("codec", "mark", "text", "said"),
    [
        ("utf-8", codecs.BOM_UTF8, TRADITIONAL, None),
        ("utf-8", b"", SIMPLE, None),
        ("gbk", b"", SIMPLE, "GBK"),
        ("gb18030", b"", SIMPLE, "GB18030"),
        ("big5", b"", TRADITIONAL, "Big5"),
        ("utf-16-le", codecs.BOM_UTF16_LE, SIMPLE, "UTF-16"),
        ("utf-16-be", codecs.BOM_UTF16_BE, TRADITIONAL, "UTF-16"),
        ("utf-16-le", b"", SIMPLE, "UTF-16"),
        ("utf-16-be", b"", TRADITIONAL, "UTF-16"),
        ("utf-32-le", codecs.BOM_UTF32_LE, SIMPLE, "UTF-32"),
        ("shift_jis", b"", "東京タワーはどこにありますか。それは港区の芝公園にあります", "SHIFT"),
        ("cp1251", b"", "Где находится самая высокая башня города и как до неё доехать", "1251"),
    ],
)  # fmt: skip
def test_detected(
    codec: str, mark: bytes, text: str, said: str | None, workspace: Workspace, tmp_path: Path
) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(mark + rows(text).encode(codec))
    result, reader = bring(workspace, file)
    half = len(text) // 2
    found = {query: positives for query, (_, positives, _) in everything(reader).items()}
    assert found == {f"{text[:half]}{i}": [f"{text[half:]}{i}"] for i in range(5)}
    assert result["problems"] == []
    notes = [note for note in result["notes"] if "detected as" in note]
    assert [said in note for note in notes] == ([True] if said else [])


def test_a_line_outside_the_encoding_costs_that_line(workspace: Workspace, tmp_path: Path) -> None:
    lines = rows(SIMPLE).encode("gb18030").split(b"\r\n\r\n")
    lines[2] = lines[2].replace(b'"pos"', b'"\xff\xff"')
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b"\n".join(lines))
    result, reader = bring(workspace, file)
    assert len(everything(reader)) == 4
    assert [(one["code"], one["line"]) for one in result["problems"]] == [("not-utf8", 3)]
    assert "GBK" in result["problems"][0]["message"]


def test_forced(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes('{"query": "café", "pos": ["naïve"]}\n'.encode("cp1252"))
    result, reader = bring(workspace, file, encoding="latin-1")
    assert everything(reader)["café"][1] == ["naïve"]
    assert "read as" in result["notes"][0]


def test_a_few_broken_lines_do_not_change_the_encoding(
    workspace: Workspace, tmp_path: Path
) -> None:
    broken = b'{"query": "caf\xe9", "pos": ["x"]}\n' * 20
    file = tmp_path / "rows.jsonl"
    file.write_bytes(broken + rows(SIMPLE).encode())
    result, reader = bring(workspace, file)
    assert len(everything(reader)) == 5
    assert result["problem_counts"] == {"not-utf8": 20}


def test_the_encoding_may_show_late(workspace: Workspace, tmp_path: Path) -> None:
    plain = "".join(
        json.dumps({"query": f"plain {i} {'x' * 500}", "pos": ["p"]}) + "\n" for i in range(3_000)
    )
    file = tmp_path / "rows.jsonl"
    file.write_bytes(plain.encode() + rows(SIMPLE).encode("gbk"))
    result, _ = bring(workspace, file)
    assert result["queries"] == 3_005
    assert result["problems"] == []


@pytest.mark.parametrize("name", ["klingon", "base64", "rot13", "idna", "", "utf 9"])
def test_names_that_are_no_encoding(name: str) -> None:
    with pytest.raises(BadInput):
        named(name)


def test_zeros_do_not_make_it_utf16() -> None:
    assert from_start(b'{"query": "a\x00b", "pos": ["c"]}') is None
    assert from_start(b"\xff\xfe junk without zeros " * 4) is None
    assert from_start(b"") is None
    assert of_lines([b"\xff\xfe\xfd", b"\x80"] * 3) is not None
    assert of_lines([SIMPLE.encode()]) == UTF8
