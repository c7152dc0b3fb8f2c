"""Queries that are documents of the data set themselves, as in ArguAna, Quora and CQADupStack.

Such a query finds itself first, which says nothing of a model. BEIR and MTEB leave out of each
ranking the document with the query's own id; so do we. As a negative it would teach a model that a
text is unlike itself, so for training and mining a document that says the query's very words counts
as the query, whatever its id. Torch-free.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Rows = NDArray[np.int64]

#: The switch of every recipe that measures.
AUTO, YES, NO = "auto", "yes", "no"
#: Documents looked at together.
BLOCK = 10_000


def own_documents(
    reader: Any, queries: Any, judgments: Mapping[int, Mapping[int, int]], wanted: str
) -> tuple[Rows, int]:
    """For each query (a table with id and row) the row of the document to be left out, or -1; and
    how many queries have one that stays all the same.

    ``wanted``: 'yes' takes the document with the query's id, 'no' none, 'auto' that document unless
    it is judged relevant to the query: then it is an answer, and the ids only count alike.
    """
    if wanted == NO or not queries.num_rows:
        return np.full(queries.num_rows, -1, np.int64), 0
    found, stay = documents_with_ids(reader, queries["id"]), 0
    if wanted == YES:
        return found, 0
    for at in np.flatnonzero(found >= 0).tolist():
        grades = judgments.get(queries["row"][at].as_py(), {})
        if grades.get(int(found[at]), 0) >= 1:
            found[at] = -1
            stay += 1
    return found, stay


def documents_with_ids(reader: Any, ids: Any) -> Rows:
    """For each id (n, no two alike) the row of the document that has it, or -1."""
    wanted = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
    found = np.full(len(wanted), -1, np.int64)
    total = int(reader.counts["documents"])
    for start in range(0, total, BLOCK):
        rows = range(start, min(start + BLOCK, total))
        at = pc.index_in(reader.documents_at(rows, ["id"])["id"], value_set=wanted)
        place = pc.fill_null(at, -1).to_numpy().astype(np.int64)
        here = np.flatnonzero(place >= 0)
        found[place[here]] = start + here
    return found


def query_itself(reader: Any, queries: Any) -> dict[int, list[int]]:
    """Query row -> the documents that are the query, by id or by their words; only those queries
    (a table with id, text and row) that have such a document."""
    rows = queries["row"].to_pylist()
    by_id = documents_with_ids(reader, queries["id"])
    by_words = documents_saying(reader, queries["text"])
    found: dict[int, list[int]] = {}
    for row, own, same in zip(rows, by_id.tolist(), by_words, strict=True):
        every = dict.fromkeys([own, *same] if own >= 0 else same)
        if every:
            found[row] = list(every)
    return found


def documents_saying(reader: Any, texts: Any) -> list[list[int]]:
    """For each text the rows of the documents that say the same, with or without their title;
    case, white space and width of characters aside."""
    asked = plain(texts)
    known = asked.unique()
    known = known.filter(pc.not_equal(known, ""))
    rows: list[dict[int, None]] = [{} for _ in range(len(known))]
    for start, title, text in _said(reader):
        titled = bool(pc.any(pc.not_equal(title, "")).as_py())
        for said in (text, pc.binary_join_element_wise(title, text, " ")) if titled else (text,):
            at = pc.fill_null(pc.index_in(plain(said), value_set=known), -1).to_numpy()
            for here in np.flatnonzero(at >= 0).tolist():
                rows[int(at[here])][start + here] = None
    places = pc.fill_null(pc.index_in(asked, value_set=known), -1).to_pylist()
    return [list(rows[place]) if place >= 0 else [] for place in places]


def same_words(texts: Any) -> list[int]:
    """A number for each text (n), equal where the texts say the same."""
    found: list[int] = plain(texts).dictionary_encode().indices.to_pylist()
    return found


def plain(texts: Any) -> Any:
    """Texts (n) without what makes no difference: case, white space, width of characters."""
    array = texts if isinstance(texts, pa.Array | pa.ChunkedArray) else pa.array(texts, pa.string())
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    array = pc.utf8_normalize(pc.fill_null(array, ""), form="NFKC")
    array = pc.replace_substring_regex(array, r"[\s\p{Z}]+", " ")
    return pc.utf8_lower(pc.utf8_trim_whitespace(array))


def _said(reader: Any) -> Iterator[tuple[int, Any, Any]]:
    """The first row, the titles and the texts of each block of documents."""
    start = 0
    for table in reader.iter_documents(batch=BLOCK):
        columns = (pc.fill_null(table[name], "") for name in ("title", "text"))
        title, text = (
            one.combine_chunks() if isinstance(one, pa.ChunkedArray) else one for one in columns
        )
        yield start, title, text
        start += table.num_rows
