"""Whether anything was written to the workspace's records since: two looks at the file system
instead of ten queries per search."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.workspace import Workspace


def generation(workspace: "Workspace") -> object:
    """A value that is another one after each write; for a database elsewhere, at each call."""
    file = workspace.store.database.file
    if file is None:
        return object()
    seen = []
    for path in (file, file.with_name(f"{file.name}-wal")):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue  # The log is not there while nobody has written.
        seen.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(seen)
