"""Bringing a database to this program's version: under a lock, after a backup, never under the feet
of a running worker. Opening one that is up to date costs one query and does not import Alembic."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from storage.engine import Database
from storage.errors import NewerStore, WorkersAlive

#: The newest migration. A test compares it with the files in migrations/versions.
HEAD = "0006"
LOCK_FILE = "migrate.lock"
MIGRATIONS = Path(__file__).parent / "migrations"
#: Versions before this one keep the ids and start times of a job's two processes.
_HANDLES_SINCE = "0005"
_OLD_HANDLES = (
    "SELECT id, attempt, {name}_pid, {name}_started FROM jobs"
    " WHERE status = 'running' AND {name}_pid IS NOT NULL"
)

#: Whether an attempt's processes live, by the job's id, the attempt's number and its handle.
Alive = Callable[[str, int, str], bool]


def ensure_current(database: Database, home: Path, alive: Alive) -> None:
    """Create or migrate the database where needed.

    Raises :class:`NewerStore` for a database from a later version of the program, and
    :class:`WorkersAlive` when jobs still run on one that would have to change.
    """
    if _version(database) == HEAD:
        return
    from filelock import FileLock  # only here: an up-to-date home opens without it

    with FileLock(home / LOCK_FILE):
        version = _version(database)  # another process may have done it meanwhile
        if version != HEAD:
            _migrate(database, home, version, alive)


def _version(database: Database) -> str | None:
    """The database's migration, or None for a fresh one."""
    file = database.file
    # An empty file belongs to a process that is just creating it, under the lock; looking inside
    # now could get in the way of its switch to WAL.
    if file is not None and (not file.exists() or file.stat().st_size == 0):
        return None
    with database.read() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return None if found is None else str(found)


def _migrate(database: Database, home: Path, version: str | None, alive: Alive) -> None:
    if version is not None:
        if version not in _known_versions():
            raise NewerStore(version)
        _refuse_while_workers_live(database, version, alive)
        _back_up(database, version)
    elif database.file is not None:
        _switch_to_wal(database.file)
    with database.write() as connection:
        _upgrade(connection, home)


def _known_versions() -> set[str]:
    return {path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py")}


def _refuse_while_workers_live(database: Database, version: str, alive: Alive) -> None:
    # Plain SQL over columns that the version has: the table may be older than tables.py.
    pids = version < _HANDLES_SINCE
    queries = [_OLD_HANDLES.format(name=name) for name in ("runner", "worker")]
    if not pids:
        queries = ["SELECT id, attempt, handle FROM jobs WHERE status = 'running'"]
    with database.read() as connection:
        rows = [row for query in queries for row in connection.execute(text(query))]
    for id, attempt, *handle in rows:
        known = "local:{}@{}".format(*handle) if pids else handle[0]
        if known and alive(id, attempt, known):
            raise WorkersAlive("jobs are still running on this database")


def _back_up(database: Database, version: str) -> None:
    """A copy beside the file. Other databases than SQLite have backups of their own."""
    if database.file is None:
        return
    target = database.file.with_name(f"{database.file.name}.before-{HEAD}-from-{version}")
    with (
        closing(sqlite3.connect(database.file)) as source,
        closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy)


def _switch_to_wal(file: Path) -> None:
    """Once per file: the mode is kept in it."""
    with closing(sqlite3.connect(file, timeout=30)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def _upgrade(connection: Connection, home: Path) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["home"] = home  # some of what is recorded stands in files
    command.upgrade(config, "head")
