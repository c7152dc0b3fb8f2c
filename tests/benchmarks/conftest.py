"""Smoke runs prove that a benchmark works, and measure nothing: their processes are forked."""

import subprocess
from types import SimpleNamespace

import pytest

from benchmarks import run
from tests import warm


@pytest.fixture(autouse=True)
def forked_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = SimpleNamespace(**{**vars(subprocess), "Popen": warm.popen, "run": warm.run})
    monkeypatch.setattr(run, "subprocess", stand_in)
