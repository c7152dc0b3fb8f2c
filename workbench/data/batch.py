"""Some hundred rows as columns: what the builder works on, a few calls for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.data import digests
from workbench.data.shapes.row import Document, Row
from workbench.data.text_counts import bytes_of

Array = np.ndarray[Any, Any]


@dataclass(slots=True)
class Details:
    """What documents have besides their texts, an item per document; None where none has any.
    null is no id, '' no title, no fields, no picture."""

    ids: pa.StringArray | None = None
    titles: pa.StringArray | None = None
    fields: pa.StringArray | None = None
    pictures: pa.StringArray | None = None

    @property
    def bytes(self) -> int:
        """What it takes."""
        return size_of(self.ids, self.titles, self.fields, self.pictures)

    @classmethod
    def of(cls, documents: Sequence[str | Document]) -> "Details | None":
        """What these documents have; None where all are plain texts."""
        if set(map(type, documents)) <= {str}:
            return None
        every = [one if type(one) is Document else _PLAIN for one in documents]
        names = ("id", "title", "fields", "picture")
        return cls(*(some_texts([getattr(one, name) for one in every]) for name in names))

    def at(self, places: Array) -> "Details":
        """Those of the documents at these places."""
        chosen = pa.array(places)
        columns = (self.ids, self.titles, self.fields, self.pictures)
        return Details(*(one.take(chosen) if one is not None else None for one in columns))


def some_texts(values: Sequence[str | None]) -> pa.StringArray | None:
    """The values; None where none of them says anything."""
    return pa.array(values, pa.string()) if any(values) else None


def size_of(*columns: pa.StringArray | None) -> int:
    """How many bytes they take."""
    return sum(one.nbytes for one in columns if one is not None)


def filled(texts: pa.StringArray) -> Array:
    """Where a text is neither empty nor null."""
    ends, _ = bytes_of(texts)
    return np.asarray(ends[1:] > ends[:-1])


_PLAIN = Document("")


@dataclass(slots=True)
class Batch:
    """``queries``, ``lines``, ``prompts``, ``ids`` and ``fields`` have an item per row. The others
    have one per document, row by row: its row (``owner``), its place in the row, its grade (0:
    given, not judged relevant) and score (NaN: none)."""

    lines: Array
    queries: pa.StringArray
    texts: pa.StringArray
    owner: Array
    place: Array
    grades: Array
    scores: Array | None = None
    details: Details | None = None
    #: null is no prompt, no id; '' no fields.
    prompts: pa.StringArray | None = None
    ids: pa.StringArray | None = None
    fields: pa.StringArray | None = None
    #: Per row: the column that has no relevant text, '' where one is there.
    lacks: list[str] | None = None

    def __len__(self) -> int:
        return len(self.queries)

    @property
    def bytes(self) -> int:
        """What its texts take, and all that is kept with them."""
        own = size_of(self.queries, self.texts, self.prompts, self.ids, self.fields)
        return own + (self.details.bytes if self.details else 0)


def from_rows(rows: list[Row], lines: list[int]) -> Batch:
    """Rows that were read one by one."""
    counts = np.fromiter((len(row.documents) for row in rows), np.int64, len(rows))
    flat = list(chain.from_iterable(row.documents for row in rows))
    details = Details.of(flat)
    texts = [one.text if type(one) is Document else one for one in flat] if details else flat
    owner, place = owners(counts)
    return Batch(
        lines=np.array(lines, np.int64),
        queries=pa.array([row.query for row in rows], pa.string()),
        texts=pa.array(texts, pa.string()),
        owner=owner,
        place=place,
        grades=np.array(list(chain.from_iterable(row.grades for row in rows)), np.int32),
        scores=_scores(rows, counts) if any(row.scores for row in rows) else None,
        details=details,
        prompts=some_texts([row.prompt for row in rows]),
        ids=some_texts([row.query_id for row in rows]),
        fields=some_texts([row.fields for row in rows]),
        lacks=[row.lacks for row in rows] if any(row.lacks for row in rows) else None,
    )


def joined(batches: Sequence[Batch]) -> Batch:
    """The rows of several batches in one."""
    if len(batches) == 1:
        return batches[0]
    rows = [len(one) for one in batches]
    texts = [len(one.texts) for one in batches]
    starts = np.cumsum([0, *rows[:-1]])
    details = [one.details or Details() for one in batches]

    def beside(name: str, parts: Sequence[Any], counts: list[int]) -> pa.StringArray | None:
        """A column of some of the batches as one; None where none has it."""
        columns = [getattr(one, name) for one in parts]
        if all(one is None for one in columns):
            return None
        empty = pa.scalar(None if name in ("ids", "prompts") else "", pa.string())
        return pa.concat_arrays(
            [
                pa.repeat(empty, n) if one is None else one
                for one, n in zip(columns, counts, strict=True)
            ]
        )

    known = [beside(name, details, texts) for name in ("ids", "titles", "fields", "pictures")]
    lacks = None
    if any(one.lacks for one in batches):
        lacks = list(chain.from_iterable(one.lacks or [""] * len(one) for one in batches))
    scores = None
    if any(one.scores is not None for one in batches):
        scores = np.concatenate(
            [
                np.full(n, np.nan, np.float32) if one.scores is None else one.scores
                for one, n in zip(batches, texts, strict=True)
            ]
        )
    return Batch(
        lines=np.concatenate([one.lines for one in batches]),
        queries=pa.concat_arrays([one.queries for one in batches]),
        texts=pa.concat_arrays([one.texts for one in batches]),
        owner=np.concatenate([one.owner + n for one, n in zip(batches, starts, strict=True)]),
        place=np.concatenate([one.place for one in batches]),
        grades=np.concatenate([one.grades for one in batches]),
        scores=scores,
        details=Details(*known) if any(one is not None for one in known) else None,
        prompts=beside("prompts", batches, rows),
        ids=beside("ids", batches, rows),
        fields=beside("fields", batches, rows),
        lacks=lacks,
    )


def owners(counts: Array) -> tuple[Array, Array]:
    """The row of each document, and its place in it, of rows with so many documents."""
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner]


def _scores(rows: list[Row], counts: Array) -> Array:
    scores = np.full(int(counts.sum()), np.nan, np.float32)
    at = 0
    for row in rows:
        if row.scores is not None:
            given = [np.nan if score is None else score for score in row.scores]
            scores[at : at + len(given)] = given
        at += len(row.documents)
    return scores


@dataclass(frozen=True, slots=True)
class Judgments:
    """Judgments that name a query and a document by their ids; all arrays run side by side."""

    lines: Array
    queries: pa.StringArray
    documents: pa.StringArray
    grades: Array


@dataclass(slots=True)
class TextBatch:
    """Documents, or queries, by themselves: an item of each column per text."""

    lines: Array
    texts: pa.StringArray
    details: Details
    #: '' is no prompt.
    prompts: pa.StringArray | None = None

    def __len__(self) -> int:
        return len(self.lines)

    def at(self, places: Array) -> "TextBatch":
        """The texts at these places."""
        return TextBatch(
            self.lines[places],
            self.texts.take(pa.array(places)),
            self.details.at(places),
            self.prompts.take(pa.array(places)) if self.prompts is not None else None,
        )

    @classmethod
    def of(cls, items: Sequence[tuple[int, Document]]) -> "TextBatch":
        """Documents that were read one by one, each with its line."""
        documents = [one for _, one in items]
        return cls(
            np.array([line for line, _ in items], np.int64),
            pa.array([one.text for one in documents], pa.string()),
            Details.of(documents) or Details(),
            some_texts([one.prompt for one in documents]),
        )


def content(texts: pa.StringArray, details: Details | None) -> Array:
    """The digest of each document: of its text, or of title and text where it has a title. What a
    picture shows makes it what it is, whatever its caption."""
    known = details or Details()
    both = texts
    if known.titles is not None and (titled := filled(known.titles)).any():
        both = pc.binary_join_element_wise(known.titles, texts, "\0")
        if not titled.all():
            both = pc.if_else(pa.array(titled), both, texts)
    keys = digests.of_strings(both)
    if known.pictures is not None and (shown := filled(known.pictures)).any():
        keys = keys.copy()
        pictures = known.pictures.filter(pa.array(shown))
        keys[shown] = digests.of_strings(pc.binary_join_element_wise("\0\0", pictures, ""))
    return keys
