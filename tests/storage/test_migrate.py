"""Databases old and new: made once, migrated after a backup, refused when that is not safe."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from storage import migrate
from storage.engine import Database, default_url
from storage.errors import NewerStore, WorkersAlive
from storage.store import Store, open_store
from storage.tables import metadata
from tests.storage import make

OLDEST = Path(__file__).parent / "oldest.sql"
NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("models", sa.Column("stars", sa.Integer()))
    {more}
"""


@pytest.fixture
def oldest(home: Path) -> Path:
    """A home whose database was written by the first version."""
    home.mkdir()
    with closing(sqlite3.connect(home / "workbench.db")) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(OLDEST.read_text(encoding="utf-8"))
    return home


def add_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str = "") -> None:
    """As if the program had one more migration."""
    folder = tmp_path / "migrations"
    shutil.copytree(migrate.MIGRATIONS, folder)
    (folder / "versions" / "0007_stars.py").write_text(NEXT.format(more=more))
    monkeypatch.setattr(migrate, "MIGRATIONS", folder)
    monkeypatch.setattr(migrate, "HEAD", "0007")


def columns(home: Path, table: str) -> set[str]:
    with closing(sqlite3.connect(home / "workbench.db")) as connection:
        return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


def test_the_migrations_make_exactly_the_tables_of_the_code(store: Store) -> None:
    with store.database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_named_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    assert script.get_current_head() == migrate.HEAD
    assert {one.revision for one in script.walk_revisions()} == migrate._known_versions()


def test_the_oldest_database_opens_with_everything_in_it(oldest: Path) -> None:
    store = open_store(oldest)
    job = store.jobs.get("j1")
    assert job is not None
    assert job.recipe == {"steps": 3}
    assert (job.supervisor, job.handle) == ("10@1.5", "local:4000000@1.0")
    assert [row.values for row in store.metrics.after("j1")] == [{"loss": 0.5}, {"map@100": 0.25}]
    assert [event.kind for event in store.jobs.events("j1")] == ["submitted", "started"]
    dataset = store.datasets.by_name("first data")
    assert dataset is not None
    assert dataset.summary == {"queries": 2}
    model = store.models.by_name("first model")
    assert model is not None
    assert model.contract == {"pooling": "mean"}
    assert model.bytes is job.bytes is None
    assert store.evaluations.list()[0].metrics == {"map@100": 0.5}
    assert store.indexes.list()[0].name == "first index"
    assert store.indexes.list()[0].summary == {}
    assert store.picks.list() == []
    store.close()


def test_an_old_database_is_migrated_after_a_backup(
    oldest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_migration(tmp_path, monkeypatch)
    open_store(oldest).close()
    assert "stars" in columns(oldest, "models")
    backup = oldest / "workbench.db.before-0007-from-0001"
    with closing(sqlite3.connect(backup)) as connection:
        assert connection.execute("SELECT name FROM models").fetchall() == [("first model",)]
        assert connection.execute("SELECT * FROM alembic_version").fetchall() == [("0001",)]


def test_a_migration_that_fails_halfway_is_undone(
    oldest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_migration(tmp_path, monkeypatch, 'raise RuntimeError("halfway")')
    with pytest.raises(RuntimeError, match="halfway"):
        open_store(oldest)
    assert "stars" not in columns(oldest, "models")
    with closing(sqlite3.connect(oldest / "workbench.db")) as connection:
        assert connection.execute("SELECT * FROM alembic_version").fetchall() == [("0001",)]


def test_no_migration_while_workers_live(
    oldest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_migration(tmp_path, monkeypatch)
    asked = []

    def alive(job: str, attempt: int, handle: str) -> bool:
        asked.append((job, attempt, handle))
        return True

    with pytest.raises(WorkersAlive):
        open_store(oldest, alive=alive)
    assert asked == [("j1", 1, "local:4000000@1.0")]
    assert "stars" not in columns(oldest, "models")
    open_store(oldest, alive=lambda *_: False).close()
    assert "stars" in columns(oldest, "models")


def test_the_handles_of_this_version_are_asked_before_the_next(
    store: Store, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for id in ("started", "claimed"):
        store.jobs.insert(make.job(id))
        store.queue.claim(lambda job: [job.id], make.SUPERVISOR, only={id})
    store.queue.set_handle("started", 1, "elsewhere:7")
    store.close()
    add_migration(tmp_path, monkeypatch)
    asked = []
    with pytest.raises(WorkersAlive):
        open_store(home, alive=lambda *about: asked.append(about) is None)
    assert asked == [("started", 1, "elsewhere:7")]


def test_workers_do_not_matter_where_nothing_has_to_change(oldest: Path) -> None:
    open_store(oldest).close()
    open_store(oldest, alive=lambda *_: True).close()


def test_a_newer_database_is_refused_and_left_alone(oldest: Path) -> None:
    with closing(sqlite3.connect(oldest / "workbench.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
        connection.commit()
    with pytest.raises(NewerStore):
        open_store(oldest)
    assert not list(oldest.glob("*.before-*"))


def test_an_up_to_date_database_opens_without_alembic(home: Path, store: Store) -> None:
    code = (
        "import sys; from pathlib import Path; from storage.store import open_store;"
        "open_store(Path(sys.argv[1])); print('alembic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(home)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_processes_may_open_a_fresh_home_at_once(home: Path) -> None:
    home.mkdir()
    code = (
        "import sys; from pathlib import Path; from storage.store import open_store;"
        "from tests.storage import make; store = open_store(Path(sys.argv[1]));"
        "store.jobs.insert(make.job(sys.argv[2]))"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(home), f"job{number}"],
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for process in started:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    assert len(open_store(home).jobs.list()) == 4


def test_another_database_is_used_where_a_url_is_given(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    other = tmp_path / "elsewhere.db"
    store = open_store(home, f"sqlite:///{other}")
    store.jobs.insert(make.job())
    store.close()
    assert not (home / "workbench.db").exists()
    assert Database(default_url(home)).file == home / "workbench.db"
    assert open_store(home, f"sqlite:///{other}").jobs.get("job") is not None
