"""Programs that run with something added from outside, as a person adds it: by a file of theirs."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import warm
from workbench.extensions import EXTENSIONS_VARIABLE

ROOT = Path(__file__).parents[2]
TOYS = Path(__file__).parent / "toys"


@dataclass(frozen=True)
class Said:
    """What a program wrote."""

    text: str

    @property
    def document(self) -> Any:
        return json.loads(self.text)


@dataclass(frozen=True)
class Run:
    """Runs the command line, or Python code, with one of the files in ``toys`` as an extension."""

    home: Path
    folder: Path

    def __call__(self, toy: str, *argv: str) -> Said:
        command = [sys.executable, "-m", "workbench", "--home", str(self.home), *argv]
        return Said(self._ran(warm.run(command, cwd=ROOT, env=self._environment(toy))))

    def python(self, toy: str, code: str) -> str:
        """What the code prints."""
        return self._ran(
            subprocess.run(
                [sys.executable, "-c", code],
                cwd=self.folder,
                env={**self._environment(toy), "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                check=False,
            )
        )

    def _ran(self, done: "subprocess.CompletedProcess[str]") -> str:
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _environment(self, toy: str) -> dict[str, str]:
        return {**os.environ, EXTENSIONS_VARIABLE: str(TOYS / f"{toy}.py"), "HF_HUB_OFFLINE": "1"}
