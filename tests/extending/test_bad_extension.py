"""An extension that cannot be used is told of in one sentence, and nothing is run."""

import os
import sys
from pathlib import Path

import pytest

from tests import warm
from tests.extending.outside import ROOT
from workbench.extensions import EXTENSIONS_VARIABLE


@pytest.mark.parametrize(
    ("text", "said"), [(None, "is not there"), ("import nowhere_to_be_found", "cannot be loaded")]
)
def test_the_command_line_says_what_is_wrong(home: Path, text: str | None, said: str) -> None:
    file = home.parent / "mine.py"
    if text is not None:
        file.write_text(text)
    command = [sys.executable, "-m", "workbench", "--home", str(home), "data", "list"]
    done = warm.run(command, cwd=ROOT, env={**os.environ, EXTENSIONS_VARIABLE: str(file)})
    assert done.returncode == 2
    assert str(file) in done.stderr and said in done.stderr
    assert "Traceback" not in done.stderr
