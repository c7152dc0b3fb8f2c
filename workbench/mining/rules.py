"""Which of the documents that were found become negatives. Arrays in, arrays out; no models.

The rules and their order are those of sentence-transformers' ``mine_hard_negatives``: positives go
first, then what the margins and limits leave out, then the first ``range_min`` of the rest. A test
compares the two.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from workbench.data.reader import DatasetReader
from workbench.evaluation.exact_search import Run, to_the_left

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]
Keys = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Rules:
    """As in the recipe; None turns a rule off."""

    num_negatives: int
    range_min: int = 0
    sampling: str = "top"
    absolute_margin: float | None = None
    relative_margin: float | None = None
    max_score: float | None = None
    min_score: float | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """Negatives per query (n, m), best first, -1 where there are fewer; their scores; and how many
    documents each rule left out."""

    run: Run
    left_out: dict[str, int] = field(default_factory=dict)


def screen(
    run: Run, relevant: Sequence[Any], itself: Sequence[Any], keys: Any, most: int
) -> tuple[Run, dict[str, int]]:
    """The first ``most`` documents of each query that could be negatives at all.

    ``relevant``: for each query the rows (m,) of its positives; ``itself``: those of the documents
    that are the query. ``keys`` maps rows (m,) to numbers that are equal where the documents' texts
    are. A positive goes and so does the query itself, what has the text of either, and of several
    documents with one text all but the first.
    """
    documents = run.documents.copy()
    counts = {"judged": 0, "query_itself": 0, "equal_text": 0, "repeated": 0}
    for at, (own, same) in enumerate(zip(relevant, itself, strict=True)):
        line = documents[at]
        there = np.flatnonzero(line >= 0)
        known, query = np.asarray(own, np.int64), np.asarray(same, np.int64)
        judged = np.isin(line[there], known)
        texts = keys(line[there])
        asked = (np.isin(line[there], query) | np.isin(texts, keys(query))) & ~judged
        equal = np.isin(texts, keys(known)) & ~judged & ~asked
        first = np.zeros(len(there), bool)
        first[np.unique(texts, return_index=True)[1]] = True
        repeated = ~first & ~judged & ~asked & ~equal
        line[there[judged | asked | equal | repeated]] = -1
        for name, gone in zip(counts, (judged, asked, equal, repeated), strict=True):
            counts[name] += int(gone.sum())
    return to_the_left(Run(documents, run.scores), most), counts


def choose(run: Run, floor: Floats, rules: Rules, random: np.random.Generator) -> Chosen:
    """The negatives among screened documents, each line best first.

    ``floor`` (n,): the lowest score of the query's positives, NaN where it is not known; then the
    margins have nothing to hold on to and leave out nothing.
    """
    alive = run.documents >= 0
    counts: dict[str, int] = {}
    for name, gone in _refused(run.scores, floor[:, None], rules):
        counts[name] = int((gone & alive).sum())
        alive = alive & ~gone
    documents = np.where(alive, run.documents, -1)
    left = to_the_left(Run(documents, run.scores), documents.shape[1])
    counts["range_min"] = int((left.documents[:, : rules.range_min] >= 0).sum())
    left = Run(left.documents[:, rules.range_min :], left.scores[:, rules.range_min :])
    if rules.sampling == "random":
        left = _drawn(left, rules.num_negatives, random)
    wanted = slice(None), slice(rules.num_negatives)
    return Chosen(Run(left.documents[wanted], left.scores[wanted]), counts)


def _refused(scores: Floats, floor: Floats, rules: Rules) -> list[tuple[str, Any]]:
    """What each rule that is set would leave out, as masks over the scores."""
    found: list[tuple[str, Any]] = []
    # Comparisons with an unknown floor (NaN) are false: nothing is left out.
    if rules.absolute_margin is not None:
        found.append(("absolute_margin", scores + np.float32(rules.absolute_margin) > floor))
    if rules.relative_margin is not None:
        # A share of the score's size: multiplying by (1 - margin) would raise the limit where
        # scores are below zero, as a reranker's often are.
        limit = floor - np.abs(floor) * np.float32(rules.relative_margin)
        found.append(("relative_margin", scores > limit))
    if rules.max_score is not None:
        found.append(("max_score", scores > rules.max_score))
    if rules.min_score is not None:
        found.append(("min_score", scores < rules.min_score))
    return found


def _drawn(run: Run, most: int, random: np.random.Generator) -> Run:
    """Up to ``most`` of each line by chance, in the order they had."""
    ticket = np.where(run.documents >= 0, random.random(run.documents.shape), np.inf)
    place = np.argsort(np.argsort(ticket, axis=1), axis=1)
    documents = np.where(place < most, run.documents, -1)
    return to_the_left(Run(documents, run.scores), documents.shape[1])


#: A negative's score is to be below so large a share of the positive's less than 1: the best limit
#: of those compared for NV-Retriever (de Souza P. Moreira et al. 2024).
MARGIN = 0.05


def below_positives(
    found: Mapping[int, tuple[Sequence[int], Sequence[float]]],
    positives: Mapping[int, float],
    *,
    most: int,
    margin: float = MARGIN,
) -> dict[int, list[int]]:
    """Of each query's documents those that are probably no answer to it: up to ``most`` whose score
    is below the positive's by a share of ``margin``, best first.

    ``found``: query row -> documents and their scores, without those judged relevant;
    ``positives``: query row -> the lowest score of its positives. Queries that keep none, or whose
    positives have no known score, are not in the answer.
    """
    rows = [row for row, (documents, _) in found.items() if len(documents) and row in positives]
    widest = max((len(found[row][0]) for row in rows), default=0)
    run = Run(
        np.full((len(rows), widest), -1, np.int64),
        np.full((len(rows), widest), -np.inf, np.float32),
    )
    for at, row in enumerate(rows):
        documents, scores = (np.asarray(one) for one in found[row])
        order = np.argsort(-scores, kind="stable")
        run.documents[at, : len(order)] = documents[order]
        run.scores[at, : len(order)] = scores[order]
    floor = np.array([positives[row] for row in rows], np.float32)
    rules = Rules(num_negatives=most, relative_margin=margin)
    chosen = choose(run, floor, rules, np.random.default_rng(0)).run.documents
    kept = {row: line[line >= 0].tolist() for row, line in zip(rows, chosen, strict=True)}
    return {row: line for row, line in kept.items() if line}


# When two documents say the same: a number for each text, spaces and case aside.

#: Documents read at a time.
BLOCK = 10_000


class TextKeys:
    """Document rows -> numbers, equal where the texts are.

    The text decides: the same text under another title answers the same question. A document
    without words (a picture) equals none but itself.
    """

    def __init__(self, reader: DatasetReader, rows: Rows) -> None:
        """``rows``: all that will be asked for."""
        self.rows = np.unique(rows)
        parts = [np.zeros(0, np.uint64)]
        for start in range(0, len(self.rows), BLOCK):
            block = self.rows[start : start + BLOCK]
            table = reader.documents_at(block.tolist())
            columns = (table[name].to_pylist() for name in ("title", "text"))
            words = zip(block.tolist(), *columns, strict=True)
            parts.append(np.array([_key(*one) for one in words], np.uint64))
        self.keys = np.concatenate(parts)

    def __call__(self, rows: Rows) -> Keys:
        return self.keys[np.searchsorted(self.rows, rows)]


def _key(row: int, title: str | None, text: str | None) -> int:
    words = " ".join((text or "").split()) or " ".join((title or "").split())
    return xxhash.xxh3_64_intdigest(words.casefold().encode() if words else b"\0%d" % row)
