"""The files in a job's folder through which its processes speak to each other.

Each is a JSON object that carries the attempt it belongs to, written beside and renamed, so that a
reader sees a whole file of the attempt it asked for or none.
"""

import json
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from storage.records import Job
from workbench.errors import BadInput

FOLDER = "jobs"
#: In the runner's environment: how many workers it starts.
PROCESSES_VARIABLE = "WORKBENCH_PROCESSES"
#: In the environment of a job's processes: its id.
JOB_VARIABLE = "WORKBENCH_JOB"

RECIPE = "recipe.json"
LOG = "log.txt"
#: The local launcher's runner's: which processes it and its worker are.
PROCESSES = "processes.json"
#: The runner's: how the worker ended.
EXIT = "exit.json"
#: For the runner: the job is to stop, and how many seconds its worker has to do so by itself
#: ("flag"), and then after SIGTERM ("terminate").
CANCEL = "cancel.json"
#: The worker's: what its task gave back, or what it raised.
RESULT = "result.json"
ERROR = "error.json"
#: The task's: what it gives back once the thing that it made is on record.
MADE = "made.json"
#: Each attempt's output in the log begins with such a line.
ATTEMPT_LINE = "--- attempt "


logger = logging.getLogger(__name__)


def inside(home: Path, relative: str) -> Path:
    """The absolute path of something in a home folder; raises :class:`BadInput` for one outside."""
    target = (home / relative).resolve()
    if not target.is_relative_to(home.resolve()):
        raise BadInput(f"'{relative}' leads outside the workspace.", "Use a path inside it.")
    return target


def folder_of(home: Path, id: str) -> Path:
    """jobs/<id>/ of a job's full id."""
    return inside(home, f"{FOLDER}/{id}")


def write_recipe(home: Path, job: Job) -> None:
    """Write the job's recipe into its folder, which is made where it is not there."""
    folder = folder_of(home, job.id)
    folder.mkdir(parents=True, exist_ok=True)
    about = {"recipe": job.recipe, "references": job.references}
    write_json(folder / RECIPE, {"task": job.task, "name": job.name, **about})


def write_made(folder: Path, path: str, result: dict[str, Any]) -> None:
    """Keep what a task gives back, right before it puts the whole thing that it made on record.

    ``folder``: the job's. ``path``: the thing's folder or file within the home, as its record has
    it. Where the job is killed between that record and :data:`RESULT`, the record shows that the
    job was done, and this says what came of it (:func:`workbench.jobs.outcome.made`).
    """
    write_json(folder / MADE, {"path": path, "result": result})


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write beside, make sure it is on disk, rename."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    with beside.open("w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def read_json(path: Path, attempt: int) -> dict[str, Any] | None:
    """The file's content if it is there and belongs to this attempt."""
    content = read_object(path)
    return content if content is not None and content.get("attempt") == attempt else None


def read_object(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None where there is no file, and where it holds no object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        # Ours are whole or absent; what somebody else damaged says as little as none.
        logger.warning("%s is not readable as JSON", path)
        return None
    return content if isinstance(content, dict) else None


def tail(path: Path, max_bytes: int = 20_000) -> str:
    """The end of a text file, from the start of a line; '' when there is none.

    A line that was redrawn with carriage returns (a progress bar) is shown as it looked last.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - max_bytes))
            data = file.read(max_bytes)
    except FileNotFoundError:
        return ""
    if size > max_bytes:
        data = data.partition(b"\n")[2] or data
    text = data.decode("utf-8", errors="replace").replace("\r\n", "\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


def log_of_attempt(path: Path, max_bytes: int) -> str:
    """The end of the log, without what earlier attempts printed."""
    text = tail(path, max_bytes)
    return text[max(0, text.rfind(ATTEMPT_LINE)) :]


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder; 0 where there is none."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            # What a running job removes meanwhile is not counted.
            with suppress(OSError):
                total += Path(place, name).lstat().st_size
    return total
