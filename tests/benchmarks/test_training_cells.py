"""benchmarks/training_cells.py: what fails is not left out."""

import argparse
import subprocess
from pathlib import Path

import pytest

from benchmarks import training_cells


def test_a_cell_that_failed_is_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = subprocess.CompletedProcess([], 1, "", "no room")
    monkeypatch.setattr("subprocess.run", lambda *_, **__: done)
    asked = argparse.Namespace(steps=1, shapes="small", device="cpu", alone=False)
    cell = training_cells.ALL["small"].cells[0]
    (row,) = training_cells.measured(tmp_path, 0, cell, asked)
    assert (row.name, row.ours, row.note) == (cell.name, [], "failed")
    assert "no room" in capsys.readouterr().err
