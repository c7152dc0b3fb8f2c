"""Writers wait their turn, in one process and in several."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DatabaseError

from storage.engine import Database, default_url
from storage.store import Store, open_store
from storage.tables import jobs
from tests.storage import make

WRITER = """
import sys
from pathlib import Path
from storage.store import open_store
store = open_store(Path(sys.argv[1]))
row = {"step": 1, "kind": "train", "at": 1.0, "numbers": {"loss": 0.5}}
for step in range(100):
    store.metrics.append("job", 1, [{**row, "step": step}])
    store.jobs.note("job", 1, "note", "x")
"""


def test_the_database_is_in_wal_mode_with_foreign_keys(store: Store) -> None:
    with store.database.read() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert connection.execute(text("PRAGMA busy_timeout")).scalar() == 30_000


def test_a_failed_write_leaves_nothing(store: Store) -> None:
    store.jobs.insert(make.job())
    with pytest.raises(RuntimeError), store.database.write() as connection:
        connection.execute(update(jobs).values(name="half done"))
        raise RuntimeError
    found = store.jobs.get("job")
    assert found is not None
    assert found.name == "counting"


def test_reading_before_writing_in_one_transaction_waits_for_others(
    home: Path, store: Store
) -> None:
    """With a plain BEGIN this fails at once with 'database is locked'."""
    store.jobs.insert(make.job(attempt=0))

    def add_many() -> None:
        mine = Database(default_url(home))
        for _ in range(50):
            with mine.write() as connection:
                found = connection.execute(select(jobs.c.attempt)).scalar_one()
                connection.execute(update(jobs).values(attempt=found + 1))
        mine.close()

    threads = [threading.Thread(target=add_many) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = store.jobs.get("job")
    assert found is not None
    assert found.attempt == 150


def test_processes_write_at_the_same_time(home: Path, store: Store) -> None:
    store.jobs.insert(make.job())
    store.queue.claim(lambda _: ["slot"], make.SUPERVISOR)
    command = [sys.executable, "-c", WRITER, str(home)]
    writers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for number in range(100):
        store.jobs.report("job", 1, progress={"done": number})
    for writer in writers:
        _, errors = writer.communicate(timeout=300)
        assert writer.returncode == 0, errors
    assert store.metrics.count("job") == 300


def test_a_reader_sees_one_moment(home: Path, store: Store) -> None:
    store.jobs.insert(make.job())
    other = open_store(home)
    with store.database.read() as connection:
        before = connection.execute(select(jobs.c.name)).scalar_one()
        with other.database.write() as writer:
            writer.execute(update(jobs).values(name="changed"))
        assert connection.execute(select(jobs.c.name)).scalar_one() == before
    other.close()


def test_a_file_that_is_no_database_is_an_error_and_stays(home: Path) -> None:
    home.mkdir()
    file = home / "workbench.db"
    file.write_bytes(b"somebody's notes, not a database at all\n" * 200)
    with pytest.raises(DatabaseError, match="not a database"):
        open_store(home)
    assert file.read_bytes().startswith(b"somebody's notes")
