"""What a look lets one expect, and how often that came true."""

from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest

from storage.records import JobStatus
from workbench.auto.forecast import expectation, forecast, track_record
from workbench.recipes.train import TrainEmbeddingRecipe


def look(base: float, queries: int) -> dict[str, Any]:
    return {"lengths": [{"length": 256, "map@100": base}], "queries": queries}


@pytest.mark.parametrize(
    ("base", "queries", "gained"),
    [
        # What was measured on public sets: SciFact, xquad English and Chinese, cmrc2018,
        # banking77, the sample of the standard library, a small Chinese set.
        (0.604, 809, 0.055),
        (0.942, 758, 0.008),
        (0.257, 758, 0.181),
        (0.183, 2240, 0.291),
        (0.725, 10003, 0.218),
        (0.589, 1200, 0.094),
        (0.118, 178, 0.183),
    ],
)
def test_what_was_measured_lies_within_the_limits_or_close(
    base: float, queries: int, gained: float
) -> None:
    found = forecast(look(base, queries))
    assert found is not None
    assert found.low < found.gain < found.high <= 1 - base
    assert found.low - 0.01 <= gained <= found.high + 0.01


def test_more_queries_gain_more_and_a_good_base_gains_less() -> None:
    few, many, good = (forecast(look(*one)) for one in ((0.5, 200), (0.5, 5000), (0.95, 200)))
    assert few and many and good
    assert good.gain < few.gain < many.gain
    # Few queries beside a good base: no gain at all is among what may come out.
    assert good.low < 0.005 and many.low > 0.05


def test_the_best_length_of_the_whole_pool_counts() -> None:
    lengths = [
        {"length": 128, "map@100": 0.4},
        {"length": 256, "map@100": 0.6},
        {"length": 512, "map@100": 0.9, "own": 0.85, "queries": 20, "documents": 50},
    ]
    assert forecast({"lengths": lengths, "queries": 300}) == forecast(look(0.6, 300))


@pytest.mark.parametrize("about", [{}, {"lengths": []}, {"lengths": [{"length": 128}]}])
def test_without_a_look_nothing_is_expected(about: dict[str, Any]) -> None:
    assert forecast({**about, "queries": 100}) is None
    assert forecast({**look(0.5, 100), "queries": None}) is None


def test_queries_that_were_not_asked_count_all_the_same() -> None:
    """A look asks at most 1,500; training has them all."""
    found = forecast({**look(0.725, 1500), "judged": 10003})
    assert found == forecast(look(0.725, 10003))
    assert found is not None and found.low < 0.218 < found.high


def ended(forecast: dict[str, float] | None, gained: float) -> dict[str, Any]:
    known = {"baseline": {"map@100": 0.5}, "best": {"map@100": 0.5 + gained}, "p_value": 0.01}
    return {"look": look(0.5, 800), "forecast": forecast, **known}


def test_what_was_forecast_then_is_held_against_the_run() -> None:
    told = {"gain": 0.3, "low": 0.2, "high": 0.4}
    record = track_record([ended(told, 0.1), ended(told, 0.3), ended(None, 0.1)])
    assert (record.runs, record.right) == (3, 2)


def test_a_run_is_forecast_with_the_record_of_the_finished_ones_of_its_kind() -> None:
    asked = []

    def listed(*about: Any) -> list[Any]:
        asked.append(about)
        return [SimpleNamespace(result=one) for one in (ended(None, 0.1), ended(None, -0.1), None)]

    workspace: Any = SimpleNamespace(jobs=SimpleNamespace(list=listed))
    recipe = TrainEmbeddingRecipe(dataset="d", model="m", max_rows=200)
    found = expectation(workspace, recipe, {**look(0.5, 800), "judged": 800})
    few = forecast(look(0.5, 200))
    assert few is not None
    assert found == {**asdict(few), "runs": 2, "right": 1}
    assert asked == [(JobStatus.SUCCEEDED, "train-embedding")]
    assert expectation(workspace, recipe, {}) is None


def test_past_runs_say_how_often_forecasts_were_right() -> None:
    def result(gained: float, p_value: float | None = 0.01) -> dict[str, Any]:
        after = {"map@100": 0.5 + gained}
        known = {"baseline": {"map@100": 0.5}, "best": after, "p_value": p_value}
        return {"look": look(0.5, 800), **known}

    found = track_record(
        [
            result(0.1),
            result(0.12),
            result(-0.05),
            # Neither a chosen maximum, nor a run without a look, nor one from before.
            result(0.1, None),
            {**result(0.1), "look": None},
            {"baseline": {"map@100": 0.5}, "best": {"map@100": 0.6}},
            {},
        ]
    )
    assert (found.runs, found.right) == (3, 2)
