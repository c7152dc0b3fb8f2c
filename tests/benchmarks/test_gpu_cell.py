"""The cells of benchmarks/gpu.py: turns, time, memory, and the operations that are counted."""

import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import gpu_cell
from benchmarks.gpu import Reading
from benchmarks.shapes import BERT, QWEN2
from workbench.errors import ModelUnusable


class Work:
    """Both sides, as a list of what they do in turn."""

    device = "cpu"

    def __init__(self, **fails: Exception) -> None:
        self.fails = fails
        self.order: list[str] = []

    def _side(self, name: Any) -> Reading:
        self.order.append(name)
        if name in self.fails:
            raise self.fails[name]
        return Reading(name, 1.0, 1, 1, 1.0, 1.0)

    def ours(self) -> Reading:
        return self._side("ours")

    def plain(self) -> Reading:
        return self._side("plain")


def lines_of(work: Any, end: float, pairs: int) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    gpu_cell.alternate(work, lines.append, end, pairs)
    return lines


def test_who_is_first_changes_from_pair_to_pair() -> None:
    work = Work()
    lines = lines_of(work, time.monotonic() + 60, 2)
    assert work.order == ["ours", "plain", "plain", "ours"]
    assert [line["side"] for line in lines] == work.order


def test_one_pair_is_measured_even_where_no_time_is_left() -> None:
    work = Work()
    lines_of(work, time.monotonic() - 1, 5)
    assert work.order == ["ours", "plain"]


def test_a_side_that_does_not_fit_is_not_tried_again() -> None:
    unusable = ModelUnusable("It does not fit.")
    unusable.__cause__ = torch.OutOfMemoryError("so much")
    for error in (torch.OutOfMemoryError("so much"), unusable):
        work = Work(plain=error)
        lines = lines_of(work, time.monotonic() + 60, 2)
        assert work.order == ["ours", "plain", "ours"]
        assert lines[1] == {"side": "plain", "failed": "out of memory"}


def test_what_else_goes_wrong_ends_the_process() -> None:
    with pytest.raises(ModelUnusable):
        lines_of(Work(plain=ModelUnusable("broken")), time.monotonic() + 60, 2)


def test_operations_are_those_of_matrices_and_of_attention() -> None:
    weights = 12 * (4 * 768**2 + 2 * 768 * 3072)
    assert weights == 84_934_656, "BERT base without embeddings, norms and biases"
    attention = 4 * 12 * 768 * (100**2 + 50**2)
    found = gpu_cell.operations(BERT, np.array([100, 50]))
    assert found == 2 * weights * 150 + attention
    weights = 28 * (2 * 1536**2 + 2 * 1536 * 256 + 3 * 1536 * 8960)
    found = gpu_cell.operations(QWEN2, np.array([100]))
    assert found == 2 * weights * 100 + 2 * 28 * 1536 * 100**2


def test_mixed_lengths_are_drawn_within_their_limits() -> None:
    lengths = gpu_cell.drawn(20_000, 512, "mixed")
    assert (lengths.min(), lengths.max()) == (20, 512)
    assert abs(float(lengths.mean()) - 153) < 3
    assert set(gpu_cell.drawn(3, 512, "full").tolist()) == {512}


def test_the_clock_counts_what_follows_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    work: Any = SimpleNamespace(device="cpu", steps=(2, 3))
    times = iter([10.0, 16.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    clock = gpu_cell.Clock(work)
    for step in range(1, 6):
        clock.on_step_end(None, SimpleNamespace(global_step=step), None)
    assert clock.seconds == 6.0
