"""benchmarks/recipes.py: the rows it writes, without training."""

import argparse

import numpy as np
import pytest

from benchmarks.recipes import Found, Trial, said


def trial(found: dict[str, Found | None]) -> Trial:
    one = Trial.__new__(Trial)
    one.dataset, one.asked = "data", argparse.Namespace(recipes=list(found))
    one.clusters = np.repeat(np.arange(10), 2)
    one._tried = found.__getitem__  # type: ignore[method-assign]
    return one


def test_rows_set_map_against_the_base_and_seconds_against_the_expert() -> None:
    base = np.full(20, 0.5)
    found = {
        "expert": Found(base + 0.1, base, 100.0, "read at 256"),
        "auto": Found(base + 0.25, base, 250.0, "recommended"),
        "balanced": None,
    }
    expert, _, auto, seconds, failed = trial(found).rows()
    assert expert.name == "data, expert, map@100" and expert.ratios == pytest.approx([1.2])
    assert auto.theirs == [0.5] and auto.note == "gain +0.2500 [+0.2500, +0.2500]; recommended"
    assert seconds.ours == [250.0] and seconds.ratios == [0.4]
    assert not failed.ours and failed.note == "failed"


def test_what_a_job_says_of_its_model_stands_in_the_note() -> None:
    result = {"model": "tuned", "recommended": "tuned", "p_value": 0.01}
    assert said(result) == "recommended, p = 0.0100"
    decided = {**result, "decisions": [{"name": "blend", "value": 0.5}]}
    assert said(decided) == "recommended, p = 0.0100; blend 0.5"
    assert said({"model": "tuned", "recommended": "base"}) == "not recommended"
