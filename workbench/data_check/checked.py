"""The version that a data check reads, its settings and its progress; when two of its texts count
as the same, and what they are cut into to be compared.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.data import digests
from workbench.data.reader import DatasetReader
from workbench.data.splits import CODES, SPLITS, codes_of
from workbench.data_check.report import EXAMPLES, Example, Fix
from workbench.jobs.reporting import JobContext
from workbench.plurals import counted
from workbench.recipes.data import DataCheckRecipe

# When two texts count as the same, and what they are cut into to be compared.

Array = np.ndarray[Any, Any]

#: Characters of scripts that are written without spaces between words.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff]"
)
_NO_WORD = re.compile(r"[\W_]+")
#: The same for ASCII alone, in a third of the time.
_ASCII_BARE = {code: chr(code).lower() if chr(code).isalnum() else " " for code in range(128)}
#: Characters in a sequence: five letters, or three signs that are whole words or syllables.
_SPACED_GRAM, _UNSPACED_GRAM = 5, 3
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)


def plain_query(text: str) -> str:
    """Queries are the same whatever their case, spaces and width of characters."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def plain_document(text: str) -> str:
    """Documents are the same whatever their spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def bare(text: str) -> str:
    """Letters and digits alone, in words; without spaces where the script has none."""
    if text.isascii():
        return " ".join(text.translate(_ASCII_BARE).split())
    naked = _NO_WORD.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()
    return naked.replace(" ", "") if _is_unspaced(naked) else naked


def digests_of(texts: Sequence[str]) -> Array:
    """(n, 2) digests."""
    return digests.of_bytes([text.encode("utf-8", "surrogatepass") for text in texts])


def _digests(
    parts: Iterable[tuple[int, list[str]]], count: int, plain: Callable[[str], str]
) -> Array:
    found = np.zeros((count, 2), np.uint64)
    for row, texts in parts:
        found[row : row + len(texts)] = digests_of([plain(text) for text in texts])
    return found


def _groups(keys: Array) -> Array:
    """For each digest the place of the first that is the same; those of empty texts are alone."""
    known, firsts = digests.DigestRows(), np.empty(len(keys), np.int64)
    groups = [np.zeros(0, np.int64)]
    count, nothing = 0, digests_of([""])
    # To look up all at once would take several times what is kept.
    for start in range(0, len(keys), _LOOKED_UP):
        part = keys[start : start + _LOOKED_UP]
        numbers, new = known.resolve(part, count)
        firsts[count : count + len(new)] = new + start
        count += len(new)
        alone = (part == nothing).all(axis=1)
        places = np.arange(start, start + len(part))
        groups.append(np.where(alone, places, firsts[numbers]))
    return np.concatenate(groups)


def words(text: str) -> int:
    """How many words a text has. Without spaces two signs are taken for a word: an estimate."""
    naked = _NO_WORD.sub(" ", unicodedata.normalize("NFKC", text))
    unspaced = len(_UNSPACED.findall(naked))
    return len(_UNSPACED.sub(" ", naked).split()) + -(-unspaced // 2)


def joined(table: pa.Table) -> list[str]:
    """Titles and texts of documents, as they are shown; a picture's file besides: of two pictures
    with one caption neither is a copy of the other."""
    columns = (pc.fill_null(table[name], "") for name in ("title", "text", "picture"))
    rows = zip(*(column.to_pylist() for column in columns), strict=True)
    return ["\n".join(part for part in row if part) for row in rows]


def grams(texts: Iterable[str]) -> tuple[Array, Array]:
    """Hashes of all character sequences of bare texts, one text's after the other's, and where
    each text's begin (one more than texts). A text without letters has none."""
    flat, sizes = [np.zeros(0, np.uint64)], [0]
    for size, same in groupby(texts, _gram_size):
        held = list(same)
        sizes += [max(1, len(text) - size + 1) if size else 0 for text in held]
        if size:
            # Few enough at once for the processor's cache.
            flat += [_hashes(held[start : start + 64], size) for start in range(0, len(held), 64)]
    return np.concatenate(flat), np.cumsum(sizes).astype(np.uint64)


def _gram_size(text: str) -> int:
    if not text:
        return 0
    return _UNSPACED_GRAM if _is_unspaced(text) else _SPACED_GRAM


def _hashes(texts: list[str], size: int) -> Array:
    """Of every sequence within one of the texts."""
    padded = [text.ljust(size, "\0") for text in texts]
    signs = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), np.uint32)
    count = len(signs) - size + 1
    hashes = np.zeros(count, np.uint64)
    for place in range(size):
        hashes += signs[place : place + count]
        hashes += np.uint64(1)
        hashes *= _PRIME
    ends = np.cumsum([len(text) for text in padded])[:-1]
    within = np.ones(count, bool)
    within[(ends[:, None] - np.arange(1, size)).ravel()] = False
    hashes = hashes[within]
    return (hashes ^ (hashes >> np.uint64(32))) * _MIX


def _is_unspaced(text: str) -> bool:
    return not text.isascii() and 2 * len(_UNSPACED.findall(text)) >= len(text)


BATCH = 5_000
#: Digests that are looked up at once.
_LOOKED_UP = 100_000


class CheckedVersion:
    """What every check is given. ``notes`` are remarks on what was not looked at."""

    def __init__(self, recipe: DataCheckRecipe, context: JobContext, reader: DatasetReader) -> None:
        self.recipe = recipe
        self.context = context
        self.reader = reader
        self.notes: list[str] = []
        #: Queries that are alike, once two checks have asked for them: see ``near_queries``.
        self.alike: tuple[Array, Array] | None = None
        self._place, self._steps, self._doing, self._share = 0, 1, "", 0.0
        self.splits: dict[str, int] = {name: reader.manifest.splits[name] for name in SPLITS}
        #: The split of each query row.
        self.codes: Array = reader.query_codes()
        self.queries: int = int(reader.counts["queries"])
        self.documents: int = int(reader.counts["documents"])

    @cached_property
    def pairs(self) -> pa.Table:
        """The scored pairs: left, right, score, split."""
        return self.reader.pairs()

    @cached_property
    def pair_codes(self) -> Array:
        """The split of each scored pair."""
        return codes_of(self.pairs["split"].to_pylist())

    @cached_property
    def query_digests(self) -> Array:
        """(queries, 2); queries that count as the same have the same."""
        return _digests(self.query_texts(), self.queries, plain_query)

    @cached_property
    def query_groups(self) -> Array:
        """For each query, the row of the first one with the same text; empty ones are alone."""
        return _groups(self.query_digests)

    @cached_property
    def document_digests(self) -> Array:
        """(documents, 2); documents that count as the same have the same."""
        return _digests(self.document_texts(), self.documents, plain_document)

    @cached_property
    def document_groups(self) -> Array:
        """The same for documents."""
        return _groups(self.document_digests)

    def begin(self, place: int, steps: int, doing: str) -> None:
        """The next check."""
        self._place, self._steps, self._doing, self._share = place, steps, doing, 0.0
        self.tick()

    def tick(self, share: float = 0.0) -> None:
        """Say how far the check is; stop where the person asked to."""
        self.context.check_cancelled()
        # A check that reads the texts twice does not go back to its beginning.
        self._share = max(self._share, min(0.99, share))
        done = round(self._place + self._share, 2)
        self.context.progress(done, self._steps, "checks", self._doing)

    def query_texts(self) -> Iterator[tuple[int, list[str]]]:
        """All queries in the order of their rows, part by part, with the first one's row."""
        row = 0
        for table in self.reader.iter_queries():
            for start in range(0, table.num_rows, BATCH):
                self.tick(row / max(1, self.queries))
                texts = table["text"].slice(start, BATCH).to_pylist()
                yield row, [text or "" for text in texts]
                row += len(texts)

    def document_texts(self) -> Iterator[tuple[int, list[str]]]:
        """The same for documents: title and text. Of a picture its file alone: what is said of it
        may be said of others, and these are no copies of it."""
        for row, table in self._document_tables():
            texts = zip(table["picture"].to_pylist(), joined(table), strict=True)
            yield row, [place or text for place, text in texts]

    def document_words(self) -> Iterator[tuple[int, list[str]]]:
        """Titles and texts, those of pictures too."""
        for row, table in self._document_tables():
            nothing = pa.nulls(table.num_rows, pa.string())
            yield row, joined(table.set_column(2, "picture", nothing))

    def _document_tables(self) -> Iterator[tuple[int, pa.Table]]:
        row = 0
        for table in self.reader.iter_documents(BATCH):
            self.tick(row / max(1, self.documents))
            yield row, table.select(["title", "text", "picture"])
            row += table.num_rows

    def pair_texts(self, side: str) -> Iterator[tuple[int, list[str]]]:
        """The 'left' or 'right' texts of the scored pairs, part by part."""
        for start in range(0, self.pairs.num_rows, BATCH):
            self.tick(start / self.pairs.num_rows)
            texts = self.pairs[side].slice(start, BATCH).to_pylist()
            yield start, [text or "" for text in texts]

    def edges(self, kind: str) -> Iterator[pa.Table]:
        """All 'judgments' or 'candidates', part by part."""
        for table in self.reader.iter_edges(kind):
            self.tick()
            yield table

    def positives(self) -> tuple[Array, Array]:
        """Query and document of every judgment that says relevant; sorted by query."""
        queries, documents = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for table in self.edges("judgments"):
            good = table["grade"].to_numpy() > 0
            queries.append(table["query"].to_numpy()[good])
            documents.append(table["document"].to_numpy()[good])
        return np.concatenate(queries), np.concatenate(documents)

    def negatives(self) -> tuple[Array, Array, Array]:
        """Query and document of what training may push away, and whether it was judged so: grade
        0, or a candidate that nobody judged relevant."""
        found: list[tuple[Array, Array, bool]] = []
        relevant = np.zeros(0, np.int64)
        for table in self.edges("judgments"):
            query, document = table["query"].to_numpy(), table["document"].to_numpy()
            good = table["grade"].to_numpy() > 0
            relevant = np.concatenate([relevant, (query[good] << 32) | document[good]])
            found.append((query[~good], document[~good], True))
        for table in self.edges("candidates"):
            query, document = table["query"].to_numpy(), table["document"].to_numpy()
            free = ~np.isin((query << 32) | document, relevant)
            found.append((query[free], document[free], False))
        none = np.zeros(0, np.int64)
        return (
            np.concatenate([none, *(one[0] for one in found)]),
            np.concatenate([none, *(one[1] for one in found)]),
            np.concatenate([none, *(np.full(len(q), judged) for q, _, judged in found)]) > 0,
        )

    def training(self, queries: Array) -> Array:
        """Which of these query rows are trained on."""
        return np.asarray(self.codes[queries] == CODES["train"])

    # -- what to do --------------------------------------------------------------------------

    def untrain(self, code: str, rows: Array, *, pairs: bool = False) -> Fix:
        """These queries, or scored pairs, leave training."""
        codes = self.pair_codes if pairs else self.codes
        trained = rows[codes[rows] == CODES["train"]]
        sentence = f"Leave {_what(trained, pairs)} out of training; dev and test stay."
        return Fix(code, sentence, _dropped(trained, pairs))

    # -- examples ----------------------------------------------------------------------------

    def query(self, row: int) -> tuple[str, str]:
        """Split and text of one query."""
        split = SPLITS[int(self.codes[row])]
        at = row - self.reader.manifest.start(split)
        return split, self.reader.queries_between(split, at, at + 1)["text"][0].as_py() or ""

    def document(self, row: int) -> str:
        return joined(self.reader.documents_at([int(row)]))[0]

    def query_examples(self, rows: Sequence[int] | Array, note: str = "") -> list[Example]:
        """The first of these queries, each with its split."""
        found = []
        for row in list(rows)[:EXAMPLES]:
            split, text = self.query(int(row))
            found.append(Example({"query": int(row)}, [(f"query ({split})", text)], note))
        return found

    def pair(self, row: int, note: str = "", other: int | None = None) -> Example:
        """One scored pair with its split and score, or two of them."""
        rows, texts = {"pair": row}, self._pair(row)
        if other is not None:
            rows["duplicate"] = other
            texts += self._pair(other)
        return Example(rows, texts, note)

    def _pair(self, row: int) -> list[tuple[str, str]]:
        one = self.pairs.slice(row, 1).to_pylist()[0]
        left = f"left ({one['split']}, {one['score']:g})"
        return [(left, one["left"]), ("right", one["right"])]


def everywhere(code: str, rows: Array, *, pairs: bool = False) -> Fix:
    """These queries, or scored pairs, leave every split."""
    return Fix(code, f"Leave {_what(rows, pairs)} out, in every split.", _dropped(rows, pairs))


def where_lesser(code: str, rows: Array, *, pairs: bool = False) -> Fix:
    """These queries, or scored pairs, leave the split that counts less than that of others."""
    sentence = f"Leave {_what(rows, pairs)} out where they count less: test keeps its own."
    return Fix(code, sentence, _dropped(rows, pairs))


def _what(rows: Array, pairs: bool) -> str:
    return counted(len(rows), "scored pair") if pairs else queries_of(len(rows))


def _dropped(rows: Array, pairs: bool) -> dict[str, Array]:
    return {"drop_pairs" if pairs else "drop_queries": rows}


def queries_of(number: int) -> str:
    return counted(number, "query", "queries")
