"""Opening a home: where it is, what is in it, what cannot be opened."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from workbench.errors import BadInput, StoreError
from workbench.workspace import FOLDERS, Workspace


def test_a_fresh_home_gets_its_folders_and_is_private(home: Path) -> None:
    workspace = Workspace.open(home)
    assert {path.name for path in home.iterdir() if path.is_dir()} == set(FOLDERS)
    assert home.stat().st_mode & 0o077 == 0
    assert not workspace.trust_remote_code
    workspace.close()


def test_the_home_comes_from_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(home))
    assert Workspace.open().home == home
    monkeypatch.delenv("WORKBENCH_HOME")
    monkeypatch.setenv("HOME", str(home.parent))
    assert Workspace.open().home == home.parent / ".retrieval-workbench"


def test_a_relative_home_is_made_absolute(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home.parent)
    assert Workspace.open("here").home == home.parent / "here"


@pytest.mark.parametrize("path", ["../x", "jobs/../../x", "/etc/passwd", "link/x"])
def test_no_path_leads_outside(home: Path, path: str) -> None:
    workspace = Workspace.open(home)
    (home / "link").symlink_to(home.parent)
    with pytest.raises(BadInput, match="outside"):
        workspace.path(path)
    assert workspace.path("jobs/abc") == home.resolve() / "jobs" / "abc"


def test_a_home_that_is_a_file_gets_a_sentence(home: Path) -> None:
    home.write_text("not a folder")
    with pytest.raises(StoreError, match="cannot be used"):
        Workspace.open(home)


def test_a_newer_home_gets_a_sentence(home: Path) -> None:
    Workspace.open(home).close()
    with closing(sqlite3.connect(home / "workbench.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
        connection.commit()
    with pytest.raises(StoreError, match="newer version"):
        Workspace.open(home)


def test_a_damaged_database_gets_a_sentence(home: Path) -> None:
    home.mkdir()
    (home / "workbench.db").write_bytes(b"not a database " * 500)
    with pytest.raises(StoreError, match="cannot be opened"):
        Workspace.open(home)


def test_a_bad_url_gets_a_sentence_without_its_password(home: Path) -> None:
    for url in ("sqlite:////no/such/folder/x.db", "nonsense://u:secret@h/x", "secret"):
        with pytest.raises(StoreError, match="cannot be opened") as caught:
            Workspace.open(home, url=url)
        assert "secret" not in str(caught.value)
