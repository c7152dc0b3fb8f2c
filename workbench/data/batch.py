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

Array = np.ndarray[Any, Any]


@dataclass(slots=True)
class Details:
    """What documents have besides their texts, an item per document; None where none has any.
    '' is no title, no fields, no picture."""

    ids: Sequence[str | None] | None = None
    titles: Sequence[str] | None = None
    fields: Sequence[str] | None = None
    pictures: Sequence[str] | None = None

    @classmethod
    def of(cls, documents: Sequence[str | Document]) -> "Details | None":
        """What these documents have; None where all are plain texts."""
        if set(map(type, documents)) <= {str}:
            return None
        every = [one if type(one) is Document else _PLAIN for one in documents]
        ids = [one.id for one in every]
        titles, fields, pictures = (
            [getattr(one, name) for one in every] for name in ("title", "fields", "picture")
        )
        return cls(
            ids if any(one is not None for one in ids) else None,
            titles if any(titles) else None,
            fields if any(fields) else None,
            pictures if any(pictures) else None,
        )

    def at(self, places: Array) -> "Details":
        """Those of the documents at these places."""
        chosen = places.tolist()

        def some(column: Sequence[Any] | None) -> list[Any] | None:
            return [column[place] for place in chosen] if column is not None else None

        return Details(*map(some, (self.ids, self.titles, self.fields, self.pictures)))


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
    prompts: list[str | None] | None = None
    ids: list[str | None] | None = None
    fields: list[str] | None = None
    #: Per row: the column that has no relevant text, '' where one is there.
    lacks: list[str] | None = None

    def __len__(self) -> int:
        return len(self.queries)

    @property
    def bytes(self) -> int:
        """What its texts take."""
        return int(self.queries.nbytes + self.texts.nbytes)


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
        prompts=[row.prompt for row in rows] if any(row.prompt for row in rows) else None,
        ids=[row.query_id for row in rows] if any(row.query_id for row in rows) else None,
        fields=[row.fields for row in rows] if any(row.fields for row in rows) else None,
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

    def beside(columns: list[Any], counts: list[int], empty: Any) -> list[Any] | None:
        """Columns of some of the batches as one; None where none has it."""
        if all(one is None for one in columns):
            return None
        parts = zip(columns, counts, strict=True)
        return list(chain.from_iterable([empty] * n if one is None else one for one, n in parts))

    def of_rows(name: str, empty: Any) -> list[Any] | None:
        return beside([getattr(one, name) for one in batches], rows, empty)

    def of_texts(name: str, empty: Any) -> list[Any] | None:
        return beside([getattr(one, name) for one in details], texts, empty)

    known = Details(
        of_texts("ids", None),
        of_texts("titles", ""),
        of_texts("fields", ""),
        of_texts("pictures", ""),
    )
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
        details=None if known == Details() else known,
        prompts=of_rows("prompts", None),
        ids=of_rows("ids", None),
        fields=of_rows("fields", ""),
        lacks=of_rows("lacks", ""),
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
    queries: Sequence[str]
    documents: Sequence[str]
    grades: Array


@dataclass(slots=True)
class TextBatch:
    """Documents, or queries, by themselves: an item of each column per text."""

    lines: Array
    texts: pa.StringArray
    details: Details
    prompts: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.lines)

    def at(self, places: Array) -> "TextBatch":
        """The texts at these places."""
        return TextBatch(
            self.lines[places],
            self.texts.take(pa.array(places)),
            self.details.at(places),
            [self.prompts[place] for place in places.tolist()] if self.prompts else None,
        )

    @classmethod
    def of(cls, items: Sequence[tuple[int, Document]]) -> "TextBatch":
        """Documents that were read one by one, each with its line."""
        documents = [one for _, one in items]
        prompts = [one.prompt for one in documents]
        return cls(
            np.array([line for line, _ in items], np.int64),
            pa.array([one.text for one in documents], pa.string()),
            Details.of(documents) or Details(),
            prompts if any(prompts) else None,
        )


def content(texts: pa.StringArray, details: Details | None) -> Array:
    """The digest of each document: of its text, or of title and text where it has a title. What a
    picture shows makes it what it is, whatever its caption."""
    if details is None or not (details.titles or details.pictures):
        return digests.of_strings(texts)
    titles = details.titles or [""] * len(texts)
    titled = np.fromiter(map(bool, titles), bool, len(titles))
    both = texts
    if titled.any():
        before = pa.array(titles, pa.string())
        both = pc.binary_join_element_wise(before, texts, "\0")
        if not titled.all():
            both = pc.if_else(pa.array(titled), both, texts)
    keys = digests.of_strings(both).copy()
    for place, picture in enumerate(details.pictures or ()):
        if picture:
            keys[place] = digests.of_bytes([f"\0\0{picture}".encode()])[0]
    return keys
