"""Records that people call by a name, each with a folder: data sets, models, indexes."""

import secrets
import shutil
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from storage.errors import NameExists
from workbench.errors import InUse, NameTaken, NotFound


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
        return new_folder(self._home / self.folder_name)

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
            self._rows.delete(record.id)
            shutil.rmtree(self._home / self._path(record), ignore_errors=True)

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


def new_folder(parent: Path) -> tuple[str, Path]:
    """A random id (safe in paths and URLs) and its new, empty folder."""
    id = secrets.token_hex(6)
    folder = parent / id
    folder.mkdir(parents=True)
    return id, folder
