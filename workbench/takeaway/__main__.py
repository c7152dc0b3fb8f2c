"""Writes a model's script in a process of its own: ``python -m workbench.takeaway HOME MODEL TO``.

The training code, which decides rows and arguments, imports torch; the command line does not.
"""

import json
import sys
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.takeaway.script import write_script
from workbench.workspace import Workspace


def main(home: str, model: str, folder: str) -> int:
    """One JSON document on stdout: what was written, or the error."""
    workspace = Workspace.open(home)
    try:
        written = write_script(workspace, workspace.models.get(model), Path(folder))
    except WorkbenchError as error:
        print(json.dumps({"error": error.to_dict()}))
        return 1
    finally:
        workspace.close()
    print(json.dumps(written))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
