"""Whose time is taken."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from workbench.evaluation import measure
from workbench.evaluation.measure import Clock


def test_what_is_done_once_for_all_documents_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(measure, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def blocks() -> Iterator[int]:
        for block in range(3):
            now[0] += 100
            yield block

    clock = Clock()
    with clock.running("encode"):
        now[0] += 7
    with clock.running("search"):
        for _ in clock.without("search", blocks()):
            now[0] += 1
    assert clock.seconds == {"encode": 7.0, "search": 3.0}
