"""The workspace: one home folder, its store, and the registries over them."""

import os
import sqlite3
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from storage.engine import DATABASE_FILE
from storage.errors import NewerStore, WorkersAlive
from storage.store import Store, open_store
from workbench.endpoints import NO_KEYS, EndpointKeys
from workbench.errors import StoreError
from workbench.jobs import files
from workbench.jobs.launchers import open_handle

if TYPE_CHECKING:
    from workbench.data.registry import Datasets
    from workbench.evaluation.registry import Evaluations
    from workbench.jobs.registry import Jobs
    from workbench.models.registry import Models
    from workbench.search.registry import Indexes

HOME_VARIABLE = "WORKBENCH_HOME"
URL_VARIABLE = "WORKBENCH_DB"
TRUST_VARIABLE = "WORKBENCH_TRUST_REMOTE_CODE"
FOLDERS = (
    "datasets",
    "jobs",
    "models",
    "indexes",
    "evaluations",
    "uploads",
    "cache",
    "logs",
)


class Workspace:
    """Everything of one home. The registries are made, and imported, on first use."""

    def __init__(
        self,
        home: Path,
        store: Store,
        *,
        url: str | None = None,
        trust_remote_code: bool = False,
        endpoint_keys: EndpointKeys = NO_KEYS,
    ) -> None:
        self.home = home
        self.store = store
        self.url = url
        self.trust_remote_code = trust_remote_code
        #: Which keys endpoints may be sent.
        self.endpoint_keys = endpoint_keys

    @classmethod
    def open(
        cls,
        home: str | Path | None = None,
        *,
        url: str | None = None,
        trust_remote_code: bool = False,
        endpoint_keys: EndpointKeys = NO_KEYS,
    ) -> Self:
        """Open a home, creating or migrating it where needed.

        Without ``home``: ``WORKBENCH_HOME``, else ``~/.retrieval-workbench``. Without ``url``:
        ``WORKBENCH_DB``, else SQLite in the home. Raises :class:`StoreError`.
        """
        where = Path(home or os.environ.get(HOME_VARIABLE) or default_home())
        where = where.expanduser().absolute()
        url = url or os.environ.get(URL_VARIABLE) or None
        _make_folders(where)
        return cls(
            where,
            _open(where, url),
            url=url,
            trust_remote_code=trust_remote_code,
            endpoint_keys=endpoint_keys,
        )

    def close(self) -> None:
        """Let go of the database."""
        self.store.close()

    def path(self, relative: str) -> Path:
        """The absolute path of something inside the home; refuses to lead outside."""
        return files.inside(self.home, relative)

    @cached_property
    def datasets(self) -> "Datasets":
        from workbench.data.registry import Datasets

        return Datasets(self.store, self.home)

    @cached_property
    def models(self) -> "Models":
        from workbench.models.registry import Models

        return Models(self.store, self.home)

    @cached_property
    def evaluations(self) -> "Evaluations":
        from workbench.evaluation.registry import Evaluations

        return Evaluations(self.store, self.home)

    @cached_property
    def indexes(self) -> "Indexes":
        from workbench.search.registry import Indexes

        return Indexes(self.store, self.home)

    @cached_property
    def jobs(self) -> "Jobs":
        from workbench.jobs.registry import Jobs
        from workbench.tasks import Tasks

        return Jobs(self.store, self.home, Tasks(self))


def default_home() -> Path:
    return Path.home() / ".retrieval-workbench"


def _make_folders(home: Path) -> None:
    try:
        # The first folder is closed to other users of the machine: what people import is theirs.
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in FOLDERS:
            (home / name).mkdir(exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The workspace folder {home} cannot be used: {error.strerror or error}.",
            "Choose another with --home, or make this one writable.",
        ) from error


def _open(home: Path, url: str | None) -> Store:
    from sqlalchemy.exc import SQLAlchemyError

    def alive(job: str, attempt: int, handle: str) -> bool:
        return open_handle(handle, home / "jobs" / job, attempt).alive()

    try:
        return open_store(home, url, alive=alive)
    except NewerStore as error:
        raise StoreError(
            "This workspace was written by a newer version of Retrieval Workbench.",
            "Update the program, or choose another workspace with --home.",
        ) from error
    except WorkersAlive as error:
        raise StoreError(
            "This workspace has to be migrated, but some of its jobs are still running.",
            "Wait until they end or stop them, then start again.",
        ) from error
    except (SQLAlchemyError, sqlite3.Error, OSError, ImportError) as error:
        raise StoreError(
            f"The workspace's database cannot be opened: {_plain(error)}.",
            f"Is {home / DATABASE_FILE} readable, writable and not damaged?"
            if url is None
            else f"Check {URL_VARIABLE}.",
        ) from error


def _plain(error: Exception) -> str:
    """The driver's own words; never the URL, which may hold a password."""
    return str(getattr(error, "orig", None) or error).split("\n")[0].rstrip(".")
