"""Kinds of thing of which more can be added: a registry for each, and how others add to it.

A metric, an index type, a row shape, a launcher: each kind has one :class:`Registry`. What follows
from it (choices, words, tables) is read where it is used, never copied when a module is imported.

``WORKBENCH_EXTENSIONS`` names Python files, or folders of them, with the system's path separator
between them. They are imported at the first look into any registry, in every process, as workers
get the environment too. Each of them calls ``register`` of what it adds.
"""

import importlib.util
import os
import pkgutil
import re
import sys
import threading
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from workbench.errors import BadInput

EXTENSIONS_VARIABLE = "WORKBENCH_EXTENSIONS"

#: Held while registries are completed. One for all: an extension looks into several.
_lock = threading.RLock()
#: What the environment named so far, and what was wrong with it.
_begun: dict[str, BadInput | None] = {}


class Named(Protocol):
    """What a registry holds."""

    @property
    def name(self) -> str: ...


class Labelled(Named, Protocol):
    """What a form has a word for. Where it also has a ``help``, the form shows that when it is
    chosen."""

    @property
    def label(self) -> str: ...


T = TypeVar("T", bound=Named)


class Registry(Generic[T]):
    """All things of one kind by name, in the order in which they were added.

    ``what`` is the kind's word in a sentence ('metric'). ``package``: every module in it that
    defines ``attribute`` (a thing) or its plural (several) is found at the first look.
    """

    def __init__(self, what: str, items: Iterable[T] = (), package: str = "", attribute: str = ""):
        self.what = what
        self._items: dict[str, T] = {}
        self._package = package
        self._attribute = attribute
        for item in items:
            self.register(item)

    def register(self, item: T) -> T:
        """Add a thing and return it. Raises :class:`BadInput` where one has its name."""
        if item.name in self._items:
            raise BadInput(
                f"There is already a {self.what} called '{item.name}'.", "Give it another name."
            )
        self._items[item.name] = item
        return item

    def unregister(self, name: str) -> T:
        """Take a thing out again and return it."""
        return self._items.pop(name)

    def get(self, name: str) -> T:
        """The thing of this name. Raises :class:`BadInput` where there is none."""
        self._complete()
        if name not in self._items:
            raise BadInput(
                f"There is no {self.what} called '{name}'.", f"Known: {', '.join(self._items)}."
            )
        return self._items[name]

    def names(self) -> tuple[str, ...]:
        self._complete()
        return tuple(self._items)

    def all(self) -> tuple[T, ...]:
        self._complete()
        return tuple(self._items.values())

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def _complete(self) -> None:
        """What lies in the package's folder, then what extensions add."""
        with _lock:
            package, self._package = self._package, ""
            try:
                for name in _modules(package) if package else ():
                    self._add_from(import_module(name))
            except BaseException:
                self._package = package
                raise
        load()

    def _add_from(self, module: Any) -> None:
        several = getattr(module, f"{self._attribute}S", ())
        one = getattr(module, self._attribute, None)
        for item in (*several, *([one] if one is not None else [])):
            if item.name not in self._items:
                self.register(item)


def _modules(package: str) -> list[str]:
    found = pkgutil.iter_modules(import_module(package).__path__)
    return [f"{package}.{module.name}" for module in found]


class OneOf:
    """A recipe's choice among a registry's names: ``Annotated[str, OneOf(METRICS.names)]``.

    ``things``: those that a form calls by their ``label``, and explains by their ``help`` where
    they have one.
    """

    def __init__(
        self,
        names: Callable[[], tuple[str, ...]],
        things: Callable[[], Iterable[Labelled]] = tuple,
    ):
        self.names = names
        self.things = things

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, value: str) -> str:
        known = [f"'{name}'" for name in self.names()]
        if f"'{value}'" not in known:
            choices = " or ".join(filter(None, [", ".join(known[:-1]), known[-1]]))
            raise PydanticCustomError(
                "literal_error", "It must be {expected}", {"expected": choices}
            )
        return value


def load() -> None:
    """Import the extensions that the environment names, once in each process.

    Other threads wait for it; a look from within an extension sees what there is by then. Paths are
    made absolute in the environment, as processes are started in other folders.

    Raises :class:`BadInput`, at every look, naming a file that is not there or cannot be imported.
    """
    wanted = os.environ.get(EXTENSIONS_VARIABLE, "")
    with _lock:
        if wanted not in _begun:
            paths = [Path(one).expanduser().resolve() for one in wanted.split(os.pathsep) if one]
            absolute = os.pathsep.join(map(str, paths))
            if wanted:
                os.environ[EXTENSIONS_VARIABLE] = absolute
            # Begun before the imports, as extensions look into registries themselves.
            _begun[wanted] = _begun[absolute] = None
            _begun[wanted] = _begun[absolute] = _fault(paths)
        if (fault := _begun[wanted]) is not None:
            raise BadInput(fault.message, fault.hint)


def _fault(paths: Iterable[Path]) -> BadInput | None:
    """Import them all; what was wrong with the first that cannot be."""
    try:
        for path in _files(paths):
            _import(path)
    except BadInput as error:
        return error
    return None


def _files(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise BadInput(
                f"The extension {path} is not there.",
                f"Correct {EXTENSIONS_VARIABLE}, or unset it.",
            )
        found += sorted(path.glob("*.py")) if path.is_dir() else [path]
    return found


def _import(path: Path) -> None:
    # By the whole path: two folders may each have a file of one name.
    name = f"workbench_extension{re.sub(r'[^0-9A-Za-z]', '_', str(path))}"
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BadInput(f"The extension {path} is no Python file.", "Name files that end in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise BadInput(
            f"The extension {path} cannot be loaded: {type(error).__name__}: {error}",
            f"Correct it, or take it out of {EXTENSIONS_VARIABLE}.",
        ) from error
