"""Lines of any file: none lost, none broken in two, numbered as an editor numbers them."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workbench.data.fakes import bring, codes, everything
from workbench.data import lines as module
from workbench.data.lines import Decoding, read_blocks
from workbench.workspace import Workspace


@given(st.lists(st.binary(max_size=30)), st.integers(1, 40))
def test_lines_are_what_stands_between_line_ends(parts: list[bytes], size: int) -> None:
    data = b"\n".join(parts)
    blocks = list(read_blocks(io.BytesIO(data), Decoding("latin-1"), size))
    joined = [line.decode().encode("latin-1") for block in blocks for line in block.lines]
    expected = data.split(b"\n")
    assert joined == (expected if expected[-1] else expected[:-1])
    numbers = [block.first + at for block in blocks for at in range(len(block.lines))]
    assert numbers == list(range(1, len(joined) + 1))


def test_a_line_too_long_is_cut_and_the_next_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_LINE", 100)
    data = b"one\n" + b"x" * 1_000 + b"\ntwo\n"
    blocks = list(read_blocks(io.BytesIO(data), Decoding(), 64))
    lines = [line for block in blocks for line in block.lines]
    assert [line[:3] for line in lines] == [b"one", b"xxx", b"two"]
    assert [block.first for block in blocks if block.long] == [2]


def test_a_lone_cr_loses_nothing(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    row = '{"query": "q%d", "pos": ["p%d"]}'
    file.write_bytes(
        "\r".join(row % (i, i) for i in range(3)).encode() + b"\r\n" + (row % (9, 9)).encode()
    )
    result, reader = bring(workspace, file)
    assert sorted(everything(reader)) == ["q0", "q1", "q2", "q9"]
    assert result["problems"] == []


def test_a_broken_part_between_crs_is_told(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b'{"query": "q", "pos": ["p"]}\r{"query": \r{"query": "r", "pos": ["p"]}\n')
    result, reader = bring(workspace, file)
    assert sorted(everything(reader)) == ["q", "r"]
    assert codes(result) == [("not-json", 1, "error")]
