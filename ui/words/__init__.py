"""Every word on the page, by key, in every language of the page.

Keys are dotted paths ('train.start'); values may hold ``{name}`` places. English is in ``en.json``
and its parts (``en.server.json``), another language in files of the same names. A test fails where
a language lacks a key that English has.

Which language is spoken is a context variable: one process serves all of them at once. Requests
speak what their browser asked for (``ui/language.py``), callbacks what their page was drawn in
(``ui/feedback.py``), and everything else English.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
LANGUAGE = "en"
#: Language -> what it calls itself.
LANGUAGES = {LANGUAGE: "English", "zh": "中文"}

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
    """All words of one language as 'section.key' -> text, English filling gaps."""
    return _read(LANGUAGE) | _read(wanted)


def t(key: str, /, **places: Any) -> str:
    """The words of a key in the language spoken, its places filled; raises KeyError where there are
    none."""
    words = load(language())[key]
    return words.format(**places) if places else words


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
    for path in sorted(FOLDER.glob(f"{wanted}.*json")):
        found |= _flat(json.loads(path.read_text(encoding="utf-8")))
    return found


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found
