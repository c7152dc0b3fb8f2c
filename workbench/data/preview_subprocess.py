"""The preview of an import, made in a process of its own with limits on memory and time: files that
are meant to exhaust what reads them do not reach the app.

Only the page asks here; at the command line there is nobody else to disturb.
"""

from functools import lru_cache
from typing import Any

from workbench.data.preview import Preview, PreviewRow, preview
from workbench.limited import Answer, Ended, LimitedPool, NeededTooMuch, TookTooLong
from workbench.recipes.data import ImportRecipe
from workbench.workspace import Workspace

#: A beginning is a few rows, but a row may have 64 MB, ten times that as Python's objects, and a
#: Parquet file's row group hundreds.
_ROOM = 2 << 30
#: What a person waits for; a folder of large files takes one or two.
_SECONDS = 20.0
#: Two people may look at the same time.
_AT_ONCE = 2
TOO_SLOW = (
    "There is no preview: looking at the files took longer than {0} seconds. They can be imported "
    "all the same; what cannot be read is listed then."
)
TOO_LARGE = (
    "There is no preview: looking at the files takes more than {0} GB of memory. Files in smaller "
    "parts, or rows with less in each, can be read."
)
CRASHED = (
    "There is no preview: the program that looks at the files crashed. They can be imported all "
    "the same; what cannot be read is listed then."
)
POOL = LimitedPool(f"{__name__}:answer", count=_AT_ONCE, memory=_ROOM, seconds=_SECONDS)


def preview_in_subprocess(workspace: Workspace, recipe: ImportRecipe) -> Preview:
    """As :func:`preview`; a note instead where that takes too long or too much memory. Raises
    :class:`BadInput`."""
    request = {
        "home": str(workspace.home),
        "url": workspace.url,
        "recipe": recipe.model_dump(mode="json"),
    }
    try:
        said, _ = POOL.ask(request)
    except TookTooLong:
        return _none(TOO_SLOW.format(f"{_SECONDS:g}"))
    except NeededTooMuch:
        return _none(TOO_LARGE.format(_ROOM >> 30))
    except Ended:
        return _none(CRASHED)
    return _read(said)


def _none(note: str) -> Preview:
    return Preview(notes=[note])


def _read(said: dict[str, Any]) -> Preview:
    rows = [
        PreviewRow(
            row["file"],
            row["line"],
            row["kind"],
            tuple((role, text) for role, text in row["texts"]),
        )
        for row in said["rows"]
    ]
    return Preview(**{**said, "rows": rows})


def answer(request: dict[str, Any], _data: bytes) -> Answer:
    """What such a process is asked for."""
    workspace = _workspace(request["home"], request["url"])
    return preview(workspace, ImportRecipe.read(request["recipe"])).to_dict(), b""


@lru_cache(1)
def _workspace(home: str, url: str | None) -> Workspace:
    import pyarrow as pa

    # Its threads reserve memory for each core.
    pa.set_cpu_count(1)
    return Workspace.open(home, url=url)
