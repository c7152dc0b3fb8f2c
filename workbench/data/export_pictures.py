"""The pictures of a split with their captions, as an ImageFolder names them."""

import json
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import pyarrow.compute as pc

from workbench.data.reader import DatasetReader

#: What may stand in a file's name everywhere.
_ODD = re.compile(r"[^\w.-]+")
_LONGEST = 100


@dataclass(frozen=True, slots=True)
class Picture:
    """``place``: its file below the data set's folder; ``name``: what it is written as."""

    place: str
    name: str
    captions: list[str] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)


def split_pictures(reader: DatasetReader, split: str) -> tuple[list[Picture], int]:
    """The pictures relevant to a split's captions, and how many documents have none to show."""
    judged = reader.judgments(split)
    judged = judged.filter(pc.greater_equal(judged["grade"], 1))
    table = reader.queries(split)
    texts = dict(zip(table["row"].to_pylist(), table["text"].to_pylist(), strict=True))
    said: dict[int, list[str]] = {}
    columns = (judged[name].to_pylist() for name in ("query", "document"))
    for query, document in zip(*columns, strict=True):
        said.setdefault(document, []).append(texts[query])
    rows = sorted(said)
    found, names = [], set[str]()
    for row, one in zip(rows, reader.documents_at(rows).to_pylist(), strict=True):
        if one["picture"]:
            name = _name(one["id"], one["picture"], names)
            fields = json.loads(one["fields"]) if one["fields"] else {}
            found.append(Picture(one["picture"], name, said[row], fields))
    return found, len(rows) - len(found)


def _name(id: str, place: str, taken: set[str]) -> str:
    """A plain file name from a document's id, which may hold anything; each once."""
    digest = PurePosixPath(place)
    stem = _ODD.sub("-", PurePosixPath(id).with_suffix("").as_posix()).strip("-.")[:_LONGEST]
    name = f"{stem or digest.stem}{digest.suffix}"
    if name.lower() in taken:
        name = f"{stem}-{digest.stem[:16]}{digest.suffix}"
    taken.add(name.lower())
    return name
