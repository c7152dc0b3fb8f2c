"""What a measuring process says at its end reaches the one that started it."""

import multiprocessing
from typing import Any

import pytest

from workbench.errors import ModelUnusable, WorkerCrashed
from workbench.quantization.measuring import _inside, _listen


def told(function: Any) -> Any:
    """What the starter gets of a function that ran as if it were in the other process."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    order: Any = None
    with ours, theirs:
        _inside(function, order, theirs)
        return _listen(None, ours, lambda _done, _total: None, lambda: None)


def test_what_was_measured_comes_back() -> None:
    assert told(lambda _order, _progress: {"bytes": 3}) == {"bytes": 3}


def test_a_failure_comes_with_its_own_words() -> None:
    def refuses(_order: Any, _progress: Any) -> Any:
        raise ModelUnusable("It cannot be read.", "Choose another.")

    def breaks(_order: Any, _progress: Any) -> Any:
        raise RuntimeError("d % 8 == 0\nat line 12")

    with pytest.raises(ModelUnusable, match=r"It cannot be read\. Choose another\."):
        told(refuses)
    with pytest.raises(WorkerCrashed, match=r"RuntimeError: d % 8 == 0\. The job's log"):
        told(breaks)
