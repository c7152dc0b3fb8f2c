"""Every word on the page, by key, in every language of the page.

Keys are dotted paths ('train.start'). Values may hold ``{name}`` places, and counts with the forms
of what is counted: ``{count:document|documents}`` becomes '1 document'. Each tab or part of the
page has one file per language, named after it (``en.search.json``); what several share is in
``en.json``. Another language has files of the same names, and a test fails where it lacks a key
that English has. No key is in two files; files of other folders join by :func:`add_folder`.

Which language is spoken is a context variable: one process serves all of them at once. Requests
speak what their browser asked for (``ui/web/editions.py``), callbacks what their page was drawn in
(``ui/kit/events.py``), and everything else English.
"""

import json
import string
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from workbench.plurals import form

FOLDER = Path(__file__).parent
LANGUAGE = "en"
#: Language -> what it calls itself.
LANGUAGES = {LANGUAGE: "English", "zh": "中文"}

_folders = [FOLDER]
_spoken: ContextVar[str] = ContextVar("language", default=LANGUAGE)


def language() -> str:
    """What is spoken here and now: a key of ``LANGUAGES``."""
    return _spoken.get()


@contextmanager
def speaking(wanted: str) -> Iterator[None]:
    """Everything inside is said in that language."""
    token = _spoken.set(wanted)
    try:
        yield
    finally:
        _spoken.reset(token)


@cache
def load(wanted: str = LANGUAGE) -> dict[str, str]:
    """All words of one language as 'section.key' -> text, English filling gaps. Raises ValueError
    where a key is written twice, with the files it is in."""
    return _read(LANGUAGE) | _read(wanted)


def add_folder(folder: Path) -> None:
    """Let the word files of a folder ('en.mytab.json') be read with ours. Raises ValueError, and
    adds nothing, where a key of theirs is in use already."""
    _folders.append(folder)
    load.cache_clear()
    try:
        for one in LANGUAGES:
            load(one)
    except ValueError:
        remove_folder(folder)
        raise


def remove_folder(folder: Path) -> None:
    """Take back what :func:`add_folder` added."""
    _folders.remove(folder)
    load.cache_clear()


def t(key: str, /, **places: Any) -> str:
    """The words of a key in the language spoken, its places filled; raises KeyError where there are
    none."""
    words = load(language())[key]
    return _places.vformat(words, (), places) if places else words


class _Places(string.Formatter):
    """Fills ``{name}``, and ``{name:form|form}`` with a count and the form that goes with it."""

    def format_field(self, value: Any, forms: str) -> str:
        if "|" not in forms:
            return str(super().format_field(value, forms))
        shown = value if isinstance(value, str) else f"{value:,}"
        try:
            number = float(shown.replace(",", ""))
        except ValueError:  # a record without this count: '–' documents
            number = 0.0
        return f"{shown} {form(number, forms.split('|'), language())}"


_places = _Places()


def section(name: str) -> dict[str, str]:
    """All words below one name, for scripts that run in the browser: 'live.loss' as 'loss'."""
    prefix = f"{name}."
    words = load(language())
    return {key.removeprefix(prefix): text for key, text in words.items() if key.startswith(prefix)}


def known(key: str) -> bool:
    """Whether there are words for the key."""
    return key in load()


def _read(wanted: str) -> dict[str, str]:
    """One language's files: 'en.json' and, for parts of the page, 'en.server.json'."""
    found: dict[str, str] = {}
    source: dict[str, Path] = {}
    for folder in _folders:
        for path in sorted(folder.glob(f"{wanted}.*json")):
            for key, text in read_file(path).items():
                if key in source:
                    files = f"{source[key].name} and in {path.name}"
                    raise ValueError(f"The words for {key!r} are both in {files}.")
                found[key], source[key] = text, path
    return found


def read_file(path: Path) -> dict[str, str]:
    """The words of one file by their dotted keys; raises ValueError where one is there twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"The words for {name!r} are twice in {path.name}.")
        return dict(pairs)

    return _flat(json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=once))


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found
