"""Agreement, bounds, the Pareto front and what is recommended, on numbers made by hand."""

from typing import Any

import numpy as np
import pytest

from workbench.quantization.compare import judged, on_front, overlap, rank_correlation, recommended
from workbench.recipes.quantize import signed


def row(name: str, size: int, value: float, *, ms: float = 10.0, bound: float = 0.01) -> Any:
    return {
        "name": name,
        "bytes": size,
        "memory": size // 2,
        "map@100": value,
        "milliseconds_per_query": ms,
        "bound": bound,
    }


def rows(*others: Any) -> list[Any]:
    original = row("original", 100, 0.6)
    return [judged(one, original) for one in (original, *others)]


def test_overlap_counts_shared_documents_of_the_top() -> None:
    first = np.array([[1, 2, 3, -1], [4, 5, 6, 7]])
    second = np.array([[3, 2, 9, 8], [4, 5, 6, 7]])
    assert overlap(first, second, k=4) == pytest.approx((2 / 3 + 1) / 2)
    assert overlap(first, first) == 1.0


def test_rank_correlation_is_one_for_itself_and_minus_one_reversed() -> None:
    ranked = np.arange(10).reshape(1, 10)
    assert rank_correlation(ranked, ranked) == pytest.approx(1.0)
    assert rank_correlation(ranked, ranked[:, ::-1]) == pytest.approx(-1.0)
    # Nothing in common: nothing is known of the order.
    assert rank_correlation(ranked, ranked + 100) == 0.0


def test_a_planted_bad_method_has_failed() -> None:
    good, bad, better = rows(row("good", 50, 0.591), row("bad", 25, 0.58), row("up", 50, 0.7))[1:]
    assert (good["met"], bad["met"], better["met"]) == (True, False, True)
    assert bad["lost"] == pytest.approx(0.02)


def test_the_front_is_what_nothing_beats() -> None:
    found = rows(row("half", 50, 0.59), row("worse", 60, 0.58), row("tiny", 10, 0.4))
    assert on_front(found) == [True, True, False, True]


def test_the_smallest_sound_one_that_is_no_slower_is_recommended() -> None:
    half, slow, bad = row("half", 50, 0.599, ms=5), row("slow", 20, 0.599, ms=30), row("b", 5, 0.1)
    take, why = recommended(rows(half, slow, bad))
    assert take == "half"
    assert "2.0 times smaller on disk" in why and "2.0 times as fast" in why
    assert "no slower" in why and "loses 0.001 MAP@100" in why
    take, why = recommended(rows(slow, bad))
    assert take == "slow" and "3.0 times as long" in why
    assert why.startswith("All within their bounds are slower")
    take, why = recommended(rows(bad))
    assert take == "original" and "stays" in why


def test_what_is_small_in_memory_is_also_said_on_disk() -> None:
    original, small = rows(row("binary", 50, 0.6))
    _, why = recommended([original, {**small, "memory": 1}], "memory")
    assert "50.0 times smaller in memory and 2.0 times on disk" in why


def test_a_loss_that_rounds_to_nothing_is_none() -> None:
    for value in (0.6, 0.60004, 0.59996):
        _, why = recommended(rows(row("half", 50, value)))
        assert "it loses no MAP@100" in why
    assert "it gains 0.002 MAP@100" in recommended(rows(row("half", 50, 0.602)))[1]
    assert [signed(one) for one in (-0.00001, 0.0, 0.01, -0.01)] == [
        *("+0.0000", "+0.0000", "+0.0100", "-0.0100"),
    ]


def test_where_all_are_slower_a_quicker_one_that_was_not_measured_is_named() -> None:
    slow, quick = row("slow", 20, 0.599, ms=30), row("quick", 50, 0.599)
    assert "On a CPU onnx-int8" in recommended(rows(slow), quicker="onnx-int8")[1]
    assert "onnx-int8" not in recommended(rows(quick, slow), quicker="onnx-int8")[1]
