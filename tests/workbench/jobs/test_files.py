"""The files between a job's processes, and its log."""

import json
from pathlib import Path

import pytest

from workbench.jobs import files


def test_a_file_of_another_attempt_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / files.RESULT
    assert files.read_json(path, 1) is None
    files.write_json(path, {"attempt": 1, "result": {"name": "文"}})
    assert files.read_json(path, 1) == {"attempt": 1, "result": {"name": "文"}}
    assert files.read_json(path, 2) is None
    files.write_json(path, {"attempt": 2, "result": {}})
    assert files.read_json(path, 1) is None
    assert [one.name for one in tmp_path.iterdir()] == [files.RESULT]


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / files.RESULT
    files.write_json(path, {"attempt": 1})
    with pytest.raises(TypeError):
        files.write_json(path, {"attempt": 2, "result": object()})
    assert json.loads(path.read_text()) == {"attempt": 1}


def test_the_end_of_a_log_starts_with_a_whole_line(tmp_path: Path) -> None:
    log = tmp_path / files.LOG
    log.write_text("".join(f"line {number}\n" for number in range(1000)))
    assert files.tail(log, 25) == "line 998\nline 999\n"
    assert files.tail(log, 1_000_000).startswith("line 0\n")
    assert files.tail(tmp_path / "none") == ""


def test_a_redrawn_line_is_shown_as_it_was_last(tmp_path: Path) -> None:
    log = tmp_path / files.LOG
    log.write_bytes(b"begin\r\n10%\r50%\r100%\nend\n 1%\r 2%\r")
    assert files.tail(log) == "begin\n100%\nend\n 2%"


def test_bytes_that_are_no_text_and_cut_letters_do_no_harm(tmp_path: Path) -> None:
    log = tmp_path / files.LOG
    log.write_bytes(("文" * 100).encode() + b"\xff")
    assert files.tail(log, 50).endswith("文\ufffd")


def test_size_counts_everything_below(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_bytes(b"12345")
    assert files.folder_bytes(tmp_path) == 5
    assert files.folder_bytes(tmp_path / "none") == 0


def test_a_damaged_file_says_as_little_as_none(tmp_path: Path) -> None:
    path = tmp_path / files.EXIT
    for damaged in (b"", b"{", b"[1]", b"\xff\xfe"):
        path.write_bytes(damaged)
        assert files.read_json(path, 1) is None


def test_an_attempts_log_does_not_show_earlier_ones(tmp_path: Path) -> None:
    log = tmp_path / files.LOG
    log.write_text("--- attempt 1, then\nold\n--- attempt 2, now\nnew\n")
    assert files.log_of_attempt(log, 1000) == "--- attempt 2, now\nnew\n"
    log.write_text("--- attempt 1, then\n" + "row\n" * 100)
    assert files.log_of_attempt(log, 20) == "row\n" * 4
