"""The explorer's list in any order."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.workbench.comparison.exploring import evaluation, grounds
from workbench.comparison.explore import Change, Pairing, changes, ordered, pairing
from workbench.comparison.names import (
    ALL,
    COLUMNS,
    FIRST,
    GAINED,
    LOST,
    UNCHANGED,
    WHICH,
)
from workbench.workspace import Workspace


@pytest.fixture
def workspace(home: Path) -> Iterator[Workspace]:
    opened = Workspace.open(home)
    yield opened
    opened.close()


@pytest.fixture
def pair(workspace: Workspace, tmp_path: Path) -> Pairing:
    reader = grounds(workspace, tmp_path)
    found = pairing(workspace, evaluation(workspace, reader), "tuned", "base")
    random = np.random.default_rng(3)
    before, after = (random.integers(0, 5, len(found.queries)) / 4 for _ in range(2))
    return replace(found, against=before, values=after)


@pytest.fixture
def every(workspace: Workspace, pair: Pairing) -> list[Change]:
    return changes(workspace, pair, list(range(len(pair.queries))))


def test_each_column_sorts_both_ways(pair: Pairing, every: list[Change]) -> None:
    values = {
        "change": [one.delta for one in every],
        "before": [one.before for one in every],
        "after": [one.after for one in every],
        "length": [len(one.text) for one in every],
        "query": [one.text for one in every],
    }
    assert set(values) == set(COLUMNS)
    for by, column in values.items():
        for down in (True, False):
            found = [column[at] for at in ordered(pair, every, ALL, by, down)]
            assert found == sorted(column, reverse=down), (by, down)  # type: ignore[type-var]


def test_equal_ones_stay_as_the_data_has_them(pair: Pairing, every: list[Change]) -> None:
    for down in (True, False):
        places = ordered(pair, every, ALL, "before", down).tolist()
        same = [at for at in places if every[at].before == every[places[0]].before]
        assert len(same) > 1 and same == sorted(same)


def test_every_query_is_in_one_choice_and_in_all(pair: Pairing, every: list[Change]) -> None:
    found = {which: set(ordered(pair, every, which).tolist()) for which in WHICH}
    assert found[GAINED] | found[LOST] | found[UNCHANGED] == found[ALL] == set(range(len(every)))
    assert sum(map(len, found.values())) == 2 * len(every)
    assert (len(found[GAINED]), len(found[LOST]), len(found[UNCHANGED])) == pair.counted
    assert all(every[at].delta > 0 for at in found[GAINED])


def test_what_still_fails_in_both_comes_first(pair: Pairing, every: list[Change]) -> None:
    places = ordered(pair, every, UNCHANGED, *FIRST[UNCHANGED])
    assert every[places[0]].after == min(every[at].after for at in places)
