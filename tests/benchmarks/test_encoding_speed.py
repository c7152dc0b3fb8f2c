"""benchmarks/encoding_speed.py and app_start.py: the rows they write, without measuring."""

import pytest

from benchmarks.app_start import Start
from benchmarks.app_start import rows as rows_of_starts


def test_rows_of_starts_are_pairs() -> None:
    found = {
        "workbench": [Start(4.0, 3.0, 300.0), Start(5.0, 3.0, 300.0)],
        "bare_gradio": [Start(2.0, 1.5, 200.0), Start(2.5, 1.5, 200.0)],
    }
    clock = next(row for row in rows_of_starts(found) if row.name.endswith("clock"))
    assert clock.ratios == [0.5, 0.5]
    memory = rows_of_starts(found)[-1]
    assert memory.ratios == pytest.approx([2 / 3, 2 / 3])


@pytest.mark.slow
def test_rows_of_encoding_are_turn_by_turn() -> None:
    from benchmarks.encoding_speed import OURS, PLAIN, ratios, rows

    plain = [(2.0, 4.0), (2.0, 2.0), (4.0, 4.0), (4.0, 4.0)]
    ours = [(1.0, 1.0), (1.0, 1.0), (1.0, 1.0), (1.0, 2.0)]
    about = {"ms_p50": 1.0, "ms_p95": 2.0, "least_cosine": 1.0, "ndcg@10": 0.9}
    one = {**ratios(ours, plain), **about, "turns": 2, "requests": 8}
    other = {**ratios(plain, plain), **about}
    parts = ("texts", "questions", "serving")
    found = rows({part: {PLAIN: other, OURS: one} for part in parts}, documents=10, clients=3)
    assert [row.name for row in found] == [
        *(f"10 texts, ours, {of}" for of in ("processor", "clock")),
        *(f"one question, ours, {of}" for of in ("processor", "clock")),
        *(f"3 clients, ours, {of}" for of in ("processor", "clock")),
    ]
    assert found[0].ours == [10.0] * 4 and found[0].ratios == [2.0, 2.0, 4.0, 4.0]
    # Of single questions each turn's median.
    assert found[2].ratios == [2.0, 4.0]
    assert found[4].unit == "requests/s" and found[4].ours == [8.0] * 4
