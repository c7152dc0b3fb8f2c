"""The database connection: short reads, and writes that wait their turn instead of failing."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url

DATABASE_FILE = "workbench.db"
#: How long a writer waits for the others, in seconds.
BUSY_SECONDS = 30.0


def default_url(home: Path) -> str:
    """SQLite in the home folder."""
    return f"sqlite:///{home / DATABASE_FILE}"


class Database:
    """One database, read and written in transactions. Safe to share between threads."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self._engine = _sqlite_engine(url) if self.sqlite else create_engine(url)

    @cached_property
    def file(self) -> Path | None:
        """The SQLite file, or None for any other database."""
        return Path(self.url.database) if self.sqlite and self.url.database else None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view of the database; writes inside it are undone."""
        with self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One writing transaction, committed at the end. Keep it short: others wait for it."""
        with self._engine.connect() as connection:
            # Set before the transaction begins; the 'begin' listener below reads it.
            connection = connection.execution_options(workbench_write=True)
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()


def _sqlite_engine(url: str) -> Engine:
    engine = create_engine(
        url,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        pool_size=4,
        max_overflow=-1,
    )
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(raw: Any, _record: Any) -> None:
    # The driver must not open transactions by itself: its plain BEGIN is what makes a read that
    # turns into a write fail at once with 'database is locked', whatever the timeout.
    raw.isolation_level = None
    raw.execute("PRAGMA foreign_keys=ON")
    raw.execute("PRAGMA synchronous=NORMAL")


def _on_begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("workbench_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
