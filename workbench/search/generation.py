"""Whether anything was written to the workspace's records since: two looks at the file system
instead of ten queries per search."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.workspace import Workspace


def generation(workspace: "Workspace") -> object:
    """A value that is another one after each write; for a database elsewhere, at each call."""
    file = workspace.store.database.file
    if file is None:
        return object()
    seen = []
    for path in _files(file):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue  # The log is not there while nobody has written.
        seen.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(seen)


@lru_cache(maxsize=8)
def _files(database: Path) -> tuple[Path, Path]:
    """The database and its log: putting the path together takes longer than looking."""
    return database, database.with_name(f"{database.name}-wal")
