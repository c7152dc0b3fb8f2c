"""Records that people call by a name, each with a folder: data sets, models, indexes.

A folder is made before its record and removed after it. In between, whoever is at it may be
killed, and nothing would ever speak of the folder again: so it is noted first, and what is noted
and has neither a record nor anybody who is at it is swept.
"""

import logging
import os
import re
import secrets
import shutil
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from storage.errors import NameExists
from storage.records import JobStatus
from workbench.errors import InUse, NameTaken, NotFound
from workbench.jobs import files
from workbench.jobs.processes import alive, this_process

if TYPE_CHECKING:
    from storage.store import Store


class Named(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)


class NamedRecords(ABC, Generic[T]):
    """Find records of one kind by name or id. ``rows``: the store's table of them.

    ``what`` is the kind's word in a sentence, ``folder_name`` its folder in the home, ``missing``
    the error where there is none, ``hint`` how to get one, ``taken`` what is said of a name that
    another has. ``needed`` is said of one that cannot go (its name, and what needs it), and what to
    do then.
    """

    what: ClassVar[str]
    folder_name: ClassVar[str]
    missing: ClassVar[type[NotFound]]
    hint: ClassVar[str]
    taken: ClassVar[str]
    needed: ClassVar[tuple[str, str]]

    def __init__(self, rows: Any, home: Path) -> None:
        self._rows = rows
        self._home = home

    def list(self) -> "list[T]":
        """All of them, newest first."""
        return list(self._rows.list())

    def get(self, name: str) -> T:
        """The one of that name or id. Raises :class:`NotFound` with 'did you mean'."""
        found = self._find(name)
        if found is None:
            known = [one.name for one in self.list()]
            raise self.missing.among(self.what, name, known, self.hint)
        return found

    def exists(self, name: str) -> bool:
        return self._find(name) is not None

    def free_name(self, wanted: str) -> str:
        """``wanted``, or the first of wanted-2, wanted-3 ... that none has."""
        return free_name(wanted, (one.name for one in self.list()))

    @abstractmethod
    def check_name(self, name: str) -> str:
        """A name as it is kept; raises :class:`BadInput` for what cannot be one."""

    def new_name(self, name: str, wanted: str = "") -> str:
        """The name of one to be made: the given one, if it is free, or where none is given a free
        one like ``wanted``. Raises :class:`BadInput` and :class:`NameTaken`."""
        if wanted and not name.strip():
            return self.free_name(wanted)
        clean = self.check_name(name)
        if self.exists(clean):
            raise self.name_taken(clean)
        return clean

    def name_taken(self, name: str) -> NameTaken:
        return NameTaken(
            self.taken.format(name),
            f"Choose another name, for example '{self.free_name(name)}'.",
        )

    @contextmanager
    def naming(self, name: str) -> Iterator[None]:
        """For writing a record of that name: where another got it first, :class:`NameTaken`."""
        try:
            yield
        except NameExists as error:
            raise self.name_taken(name) from error

    def new_folder(self) -> tuple[str, Path]:
        """A fresh id and its empty folder, to be filled before the record is added."""
        return new_folder(self._home, self.folder_name)

    def folder(self, name: str) -> Path:
        """Where its files are."""
        return self._home / self._path(self.get(name))

    def used_by(self, name: str) -> tuple[str, ...]:
        """What keeps it from being removed, in words."""
        raise NotImplementedError

    def refuse_needed(self, record: T, users: Collection[str]) -> None:
        """Raises :class:`InUse` while something needs it: ``users``, in words."""
        if users:
            sentence, hint = self.needed
            raise InUse(sentence.format(record.name, ", ".join(users)), hint)

    def remove(self, *names: str) -> None:
        """Delete them and their folders; raises :class:`InUse` while something needs one of them,
        and then none is deleted."""
        found = [self.get(name) for name in names]
        for record in found:
            self.refuse_needed(record, self.used_by(record.id))
        for record in found:
            path = self._path(record)
            note_unfinished(self._home, path)
            self._rows.delete(record.id)
            discard(self._home, path)

    def _path(self, record: T) -> str:
        """Its folder within the home."""
        return f"{self.folder_name}/{record.id}"

    def _find(self, name: str) -> T | None:
        found: T | None = self._rows.by_name(name) or self._rows.get(name)
        return found


def free_name(wanted: str, taken: Iterable[str]) -> str:
    """``wanted``, or the first of wanted-2, wanted-3 ... that is not taken."""
    names = set(taken)
    number = 2
    name = wanted
    while name in names:
        name = f"{wanted}-{number}"
        number += 1
    return name


def new_folder(home: Path, kind: str) -> tuple[str, Path]:
    """A random id (safe in paths and URLs) and its new, empty folder ``kind/id`` in the home, which
    is noted as unfinished."""
    id = secrets.token_hex(6)
    path = f"{kind}/{id}"
    note_unfinished(home, path)
    folder = home / path
    folder.mkdir(parents=True)
    return id, folder


#: In the home: a note for each folder that is being made or removed.
UNFINISHED = "unfinished"
#: A process as :func:`workbench.jobs.processes.this_process` writes it.
_PROCESS = re.compile(r"\d+@\d+(\.\d+)?")

logger = logging.getLogger(__name__)


def note_unfinished(home: Path, path: str) -> None:
    """Before a folder of the home is made, and before the record of one is removed: note that this
    process, and the job that it works on, if any, are at it."""
    note = _note_of(home, path)
    note.parent.mkdir(parents=True, exist_ok=True)
    job = os.environ.get(files.JOB_VARIABLE)
    files.write_json(note, {"path": path, "job": job, "process": this_process()})


def note_finished(home: Path, path: str) -> None:
    """The folder's record is there, or the folder is gone."""
    _note_of(home, path).unlink(missing_ok=True)


def discard(home: Path, path: str) -> None:
    """Remove a folder of which no record speaks."""
    shutil.rmtree(home / path, ignore_errors=True)
    if not (home / path).exists():
        note_finished(home, path)


def sweep(store: "Store", home: Path) -> None:
    """Remove the folders that somebody who is gone was making or removing, and that no record
    names. Those of jobs that run are left: a job's own process may be on another machine."""
    for note in sorted((home / UNFINISHED).glob("*.json")):
        said = files.read_object(note)
        if said is None or not _is_note(said) or _at_work(store, said):
            continue
        path = str(said["path"])
        if store.holds(path):
            note_finished(home, path)
        else:
            logger.info("What was left unfinished is removed: %s", path)
            discard(home, path)


def _is_note(said: dict[str, Any]) -> bool:
    """Whether it was written here, and names a folder in one of the home's: what somebody else put
    there must not make more go."""
    parts = PurePosixPath(str(said.get("path", ""))).parts
    inside = len(parts) > 1 and not {"/", ".."} & {*parts}
    return inside and "job" in said and bool(_PROCESS.fullmatch(str(said.get("process"))))


def _at_work(store: "Store", said: dict[str, Any]) -> bool:
    if said["job"] is None:
        return alive(said["process"])
    job = store.jobs.get(said["job"])
    return job is not None and job.status is JobStatus.RUNNING


def _note_of(home: Path, path: str) -> Path:
    return home / UNFINISHED / f"{path.replace('/', '-')}.json"
