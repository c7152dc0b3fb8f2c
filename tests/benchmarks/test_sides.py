"""Rows of two sides: turns, ratios, the table."""

from pathlib import Path

from benchmarks.sides import (
    Row,
    Spent,
    both_times,
    number,
    read_rows,
    spent,
    table,
    turns,
    write_rows,
)


def test_who_is_first_in_one_pair_is_second_in_the_next() -> None:
    order: list[str] = []

    def side(name: str) -> str:
        order.append(name)
        return name

    found = list(turns(lambda: side("ours"), lambda: side("theirs"), 3))
    assert found == [("ours", "theirs")] * 3
    assert order == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]


def test_a_ratio_says_how_many_times_better_ours_is() -> None:
    seconds = Row("a", "s", "less", [1.0, 2.0], [2.0, 1.0])
    rate = Row("a", "texts/s", "more", [1.0, 2.0], [2.0, 1.0])
    assert seconds.ratios == [2.0, 0.5]
    assert rate.ratios == [0.5, 2.0]
    assert Row("a", "s", "less", [1.0]).ratios == []
    assert Row("a", "s", "less", [0.0, 1.0, 1.0], [2.0, 3.0, 0.0]).ratios == [3.0]


def test_what_takes_time_has_a_row_of_the_processor_and_one_of_the_clock() -> None:
    own, other = [Spent(wall=2.0, cpu=1.0)], [Spent(wall=4.0, cpu=3.0)]
    assert both_times("import", own, other, note="CSV") == [
        Row("import, processor", "s", "less", [1.0], [3.0], "CSV"),
        Row("import, clock", "s", "less", [2.0], [4.0], "CSV"),
    ]
    assert both_times("import", own, amount=10, unit="MB/s") == [
        Row("import, processor", "MB/s", "more", [10.0]),
        Row("import, clock", "MB/s", "more", [5.0]),
    ]


def test_a_table_has_medians_and_the_ratios_range() -> None:
    rows = [
        Row("reading", "s", "less", [1.0, 2.0, 4.0], [4.0, 4.0, 4.0], "three columns"),
        Row("building", "s", "less", [1500.0]),
        Row("cleaning", "s", "less", [0.0], [2.0]),
        Row("training", "samples/s", "more", [], note="failed"),
    ]
    assert table(rows).splitlines()[2:] == [
        "| reading; three columns | 2.00 s | 4.00 s | 2.00 (1.00–4.00) | 3 |",
        "| building | 1,500 s |  |  | 1 |",
        "| cleaning | 0 s | 2.00 s |  | 1 |",
        "| training; failed |  |  |  | 0 |",
    ]


def test_numbers_keep_three_digits_that_say_something() -> None:
    shown = [number(value) for value in (0, 0.01234, 1.2345, 12.345, 1234.5)]
    assert shown == ["0", "0.0123", "1.23", "12.3", "1,234"]


def test_rows_come_back_from_their_file(tmp_path: Path) -> None:
    rows = [Row("a", "s", "less", [1.0], [2.0], "note"), Row("b", "MB", "more", [3.0])]
    write_rows(tmp_path / "rows.json", rows)
    assert read_rows(tmp_path / "rows.json") == rows
    write_rows(None, rows)


def test_processor_time_counts_child_processes() -> None:
    import subprocess
    import sys

    command = "import time\nwhile time.process_time() < .5: pass"
    found = spent(lambda: subprocess.run([sys.executable, "-c", command], check=True))
    assert found.cpu >= 0.3
