"""Every word on the page, by key. English first; another language is a file beside ``en.json``.

Keys are dotted paths ('train.start'); values may hold ``{name}`` places. A key that a language does
not have falls back to English; one that English does not have is an error, so a test finds it.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
LANGUAGE = "en"


@cache
def load(language: str = LANGUAGE) -> dict[str, str]:
    """All words of one language as 'section.key' -> text, English filling the gaps."""
    english = _read(LANGUAGE)
    return english if language == LANGUAGE else english | _read(language)


def t(key: str, /, **places: Any) -> str:
    """The words of a key, its places filled; raises KeyError where English lacks the key."""
    words = load()[key]
    return words.format(**places) if places else words


def section(name: str) -> dict[str, str]:
    """All words below one name, for scripts that run in the browser: 'live.loss' as 'loss'."""
    prefix = f"{name}."
    return {k.removeprefix(prefix): text for k, text in load().items() if k.startswith(prefix)}


def known(key: str) -> bool:
    """Whether there are words for the key."""
    return key in load()


def _read(language: str) -> dict[str, str]:
    """One language's files: 'en.json' and, for parts of the page, 'en.server.json'."""
    found: dict[str, str] = {}
    for path in sorted(FOLDER.glob(f"{language}.*json")):
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
