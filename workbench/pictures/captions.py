"""What a picture is called: from rows that name it, from a text beside it, or from its name."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

from workbench.data.parts import split_of

#: Columns that name a picture, and those that say what is on it; the first found wins.
FILES = (
    "file_name", "filename", "image", "picture", "image_path", "img", "photo", "path", "file",
    "image_file", "img_path", "filepath",
)  # fmt: skip
CAPTIONS = (
    "text", "caption", "captions", "texts", "description", "alt_text", "alt", "prompt", "sentence",
    "sentences", "title", "label", "query",
)  # fmt: skip
#: What cameras and programs call pictures: no captions.
_NO_WORDS = frozenset({
    "img", "image", "images", "dsc", "dscn", "dscf", "pic", "pict", "picture", "photo", "foto",
    "screenshot", "scan", "frame", "untitled", "unnamed", "export", "copy", "page", "wa", "vid",
    "mvimg", "pxl", "gopr", "dji",
})  # fmt: skip
#: Folders that say nothing about what is on their pictures.
_PLAIN_FOLDERS = frozenset({
    "images", "image", "pictures", "picture", "photos", "data", "imgs", "img", "files", "all",
})  # fmt: skip


def picture_column(names: Iterable[str]) -> str | None:
    """The column that names pictures, where one is called so."""
    lower = {str(name).strip().lower(): name for name in reversed(list(names))}
    return next((lower[name] for name in FILES if name in lower), None)


def caption_column(names: Iterable[str], picture: str) -> str | None:
    lower = {str(name).strip().lower(): name for name in reversed(list(names))}
    found = [lower[name] for name in CAPTIONS if name in lower and lower[name] != picture]
    return found[0] if found else None


def captions_in(value: Any) -> list[str]:
    """The captions a cell holds: one text, a list of them, or none."""
    values = value if isinstance(value, list) else [value]
    texts = [" ".join(one.split()) for one in values if isinstance(one, str)]
    return list(dict.fromkeys(text for text in texts if text))


def caption_of_name(label: str) -> str:
    """The words of a file's name ('red-bag_2.png': 'red bag'); of its folder's, where the name has
    none (ImageFolder's classes); '' where neither says anything."""
    path = PurePosixPath(label)
    words = _words(path.stem)
    if words:
        return " ".join(words)
    folder = path.parent.name
    # The outermost folder is what was dropped, not a class.
    inner = len(path.parts) > 2 and folder.lower() not in _PLAIN_FOLDERS
    return " ".join(_words(folder)) if inner and split_of(f"{folder}/x") is None else ""


def _words(name: str) -> list[str]:
    parts = re.split(r"[\s_\-.,+()\[\]]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))
    words = [part for part in parts if part]
    while words and not any(letter.isalpha() for letter in words[-1]):
        words.pop()  # A number at the end tells pictures of one thing apart.
    telling = [
        word
        for word in words
        if word.lower() not in _NO_WORDS and sum(map(str.isalpha, word)) > len(word) / 2
    ]
    # Digests and the like are letters too, but not words.
    if not telling or all(len(word) > 24 for word in telling):
        return []
    return words
