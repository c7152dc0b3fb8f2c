"""Which queries are train, dev and test: what the files say stays, the rest is carved from train.

With few queries, training comes first: it keeps at least two of them when there are three or more,
then test gets one, then dev. Two queries become one to train on and one to test with.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from workbench.plurals import form

Array = np.ndarray[Any, Any]
TRAIN, DEV, TEST = 0, 1, 2
#: A query that no judgment has given a split yet.
UNKNOWN = -1
CODES = {"train": TRAIN, "dev": DEV, "test": TEST}
#: Fewer test queries than this, and a difference between two models says little.
ENOUGH = 50


@dataclass(frozen=True, slots=True)
class Shares:
    """How much of train is set aside where the files bring no dev or no test."""

    dev: float = 0.1
    test: float = 0.1
    limit: int = 1000
    seed: int = 13


def carve(splits: Array, groups: Array, shares: Shares) -> Array:
    """New splits (int8 per query). ``groups`` has one number per distinct query text: queries of
    the same text always go together."""
    result = splits.copy()
    wanted = [(TEST, shares.test), (DEV, shares.dev)]
    missing = [(split, share) for split, share in wanted if not (splits == split).any()]
    pool = np.unique(groups[splits == TRAIN])
    room = len(pool) - min(2, len(pool) - 1)
    np.random.default_rng(shares.seed).shuffle(pool)
    taken = 0
    for split, share in missing:
        count = _count(len(pool), share, shares.limit, room - taken)
        chosen = pool[taken : taken + count]
        result[np.isin(groups, chosen) & (splits == TRAIN)] = split
        taken += count
    return result


def seated(splits: Array, groups: Array, relevant: Array) -> Array:
    """The splits with queries that have nothing relevant put beside others that have: with those of
    the same text, else in their own split, else in one that can be measured."""
    result = splits.copy()
    filled = [code for code in (TEST, DEV, TRAIN) if (splits[relevant] == code).any()]
    if not filled:
        return result
    alone = ~relevant & ~np.isin(splits, filled)
    result[alone] = filled[0]
    home = np.full(int(groups.max()) + 1, UNKNOWN, np.int8)
    home[groups[relevant]] = splits[relevant]
    shared = ~relevant & (home[groups] != UNKNOWN)
    result[shared] = home[groups[shared]]
    return result


def _count(queries: int, share: float, limit: int, room: int) -> int:
    if share <= 0 or queries < 2:
        return 0
    return max(0, min(limit, max(1, round(queries * share)), room))


def pair_remarks(counts: dict[str, int], carved: dict[str, int]) -> list[str]:
    """What a person should know about the splits of scored pairs, in sentences."""
    said = [
        f"The files bring no {split} pairs: {count:,} of train {form(count, ('was', 'were'))} "
        "set aside, by a fixed seed."
        for split, count in carved.items()
        if count
    ]
    if counts["test"] < ENOUGH:
        said.append(
            f"There are too few scored pairs to judge a model by: {counts['test']} in test, and "
            f"{ENOUGH} are the least that say something."
        )
    return said


def remarks(counts: dict[str, int], carved: dict[str, int]) -> list[str]:
    """What a person should know about the splits, in sentences."""
    said = []
    for split, count in carved.items():
        if count:
            said.append(
                f"The files bring no {split} queries: {count:,} of train "
                f"{form(count, ('was', 'were'))} set aside, by a fixed seed."
            )
    if not counts["train"]:
        said.append(
            "There are no training queries: every file is named as dev or test. "
            "Rename a file to train if it is meant for training."
        )
    if counts["test"] < ENOUGH:
        said.append(
            f"There are too few queries to judge a model by: {counts['test']} in test, and "
            f"{ENOUGH} are the least that say something."
        )
    if counts["train"] and not counts["dev"]:
        said.append("There are no dev queries: progress during training cannot be measured.")
    return said


# What a file's name says: its split, and its part in a set of several files.

SPLITS = ("train", "dev", "test")


def codes_of(names: Iterable[str]) -> Array:
    """The numbers of splits by their names, as ``int8``."""
    return np.array([CODES[name] for name in names], np.int8)


#: The order in which files are read: a query that turns up again is then known to belong to test,
#: or to dev.
READ_FIRST: dict[str | None, int] = {"test": 0, "dev": 1, "train": 2, None: 2}
_SPLIT_NAMES = {
    "train": "train", "training": "train", "dev": "dev", "valid": "dev", "validation": "dev",
    "val": "dev", "test": "test",
}  # fmt: skip
_PART_NAMES = {
    "corpus": "corpus", "documents": "corpus", "docs": "corpus", "collection": "corpus",
    "queries": "queries", "query": "queries", "topics": "queries", "qrels": "qrels",
    "qrel": "qrels", "judgments": "qrels", "judgements": "qrels",
}  # fmt: skip
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
