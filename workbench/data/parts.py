"""What a file's name says: its split, and its part in a set of several files."""

import re
from pathlib import PurePosixPath

SPLITS = ("train", "dev", "test")
_SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "dev": "dev",
    "valid": "dev",
    "validation": "dev",
    "val": "dev",
    "test": "test",
}
_PART_NAMES = {
    "corpus": "corpus",
    "documents": "corpus",
    "docs": "corpus",
    "collection": "corpus",
    "queries": "queries",
    "query": "queries",
    "topics": "queries",
    "qrels": "qrels",
    "qrel": "qrels",
    "judgments": "qrels",
    "judgements": "qrels",
}
#: What large sets add to a name: train-00000-of-00004.parquet.
_SHARD = re.compile(r"[-_.]?\d+(?:[-_]of[-_]\d+)?$")


def split_of(path: str) -> str | None:
    """'train', 'dev' or 'test' when a part of the name begins or ends with it, or its folder is
    called so."""
    return _said(path, _SPLIT_NAMES)


def part_of(path: str) -> str | None:
    """'corpus', 'queries' or 'qrels' when the name or the folder says so."""
    return _said(path, _PART_NAMES)


def _said(path: str, names: dict[str, str]) -> str | None:
    where = PurePosixPath(path)
    for words in _words(where.name):
        for word in (words[0], words[-1]):
            if word in names:
                return names[word]
    folder = where.parent.name.lower()
    return names.get(folder)


def _words(name: str) -> list[list[str]]:
    """The words of each part between dots: the name itself first, without its ending."""
    first, *others = name.lower().split(".")
    stems = [first or name.lower(), *others[:-1]]
    return [re.split(r"[^a-z0-9]+", _SHARD.sub("", stem)) or [""] for stem in stems]
