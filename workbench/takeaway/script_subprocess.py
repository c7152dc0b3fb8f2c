"""A run's script, written in a process of its own: what decides its rows imports torch."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from workbench.errors import BadInput, WorkbenchError
from workbench.workspace import Workspace


def write_in_own_process(workspace: Workspace, model: str, folder: Path) -> dict[str, Any]:
    """What ``takeaway.script`` writes, for a model's id; its torch stays out of this process.

    Takes some ten seconds. Raises :class:`BadInput` where there is no such script.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} is not an empty folder.", "Name a new one.")
    done = subprocess.run(
        [sys.executable, "-m", "workbench.takeaway", str(workspace.home), model, str(folder)],
        env={**os.environ, **({"WORKBENCH_DB": workspace.url} if workspace.url else {})},
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    found = json.loads(lines[-1]) if lines else {}
    if error := found.get("error"):
        kind = BadInput if error["bad_input"] else WorkbenchError
        raise kind(error["message"], error["hint"])
    if done.returncode != 0:
        raise WorkbenchError(f"The script could not be written: {done.stderr[-300:].strip()}")
    return dict(found)
