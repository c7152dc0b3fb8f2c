"""Queries that ask nothing, or hardly anything."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from workbench.data_check.checked import (
    Array,
    CheckedVersion,
    digests_of,
    everywhere,
    plain_query,
    queries_of,
    where_lesser,
    words,
)
from workbench.data_check.duplicates import NearDuplicates, pairs_of_queries, stand
from workbench.data_check.report import EXAMPLES, Example, Finding, Fix
from workbench.plurals import counted

# Queries that are almost the same, word by word: in two splits, or in one.


def near_leaks(data: CheckedVersion) -> Iterator[Finding]:
    """Queries of which another split has almost the same."""
    pairs, likeness = _alike(data)
    codes = data.codes[pairs]
    across = codes[:, 0] != codes[:, 1]
    pairs, likeness, codes = pairs[across], likeness[across], codes[across]
    if not len(pairs):
        return
    pairs, lesser, first = _lesser_first(pairs, codes)
    shown = [(int(pairs[at, 1]), int(pairs[at, 0])) for at in first.tolist()]
    yield Finding(
        "similar-query-in-two-splits",
        "warning",
        len(lesser),
        data.queries,
        f"{queries_of(len(lesser))} {stand(len(lesser))} almost word by word in dev or test too.",
        pairs_of_queries(data, shown, [f"{likeness[at]:.0%} alike" for at in first.tolist()]),
        [where_lesser("drop-similar-queries", lesser)],
    )


def near_queries(data: CheckedVersion) -> Iterator[Finding]:
    """Queries of which their own split has almost the same."""
    pairs, likeness = _alike(data)
    within = data.codes[pairs[:, 0]] == data.codes[pairs[:, 1]]
    kept = first_of_alike(pairs[within], likeness[within])
    if not kept:
        return
    rows = np.array(sorted(kept), np.int64)
    shown = [(kept[row][0], row) for row in rows.tolist()]
    yield Finding(
        "near-duplicate-query",
        "note",
        len(rows),
        data.queries,
        f"Almost word by word in the same split already: {queries_of(len(rows))} (at least "
        f"{data.recipe.similarity:.0%} of the character sequences, estimated). One word can turn a "
        "question around: look at them before you fix them.",
        pairs_of_queries(data, shown, [f"{kept[row][1]:.0%} alike" for row in rows.tolist()]),
        [data.untrain("drop-near-queries", rows)],
    )


def _lesser_first(pairs: Array, codes: Array) -> tuple[Array, Array, Array]:
    """Each pair with the row first whose split counts less; those rows, and where each comes first.

    ``codes`` (m, 2): the splits of the pairs (m, 2).
    """
    pairs = np.where((codes[:, 0] < codes[:, 1])[:, None], pairs, pairs[:, ::-1])
    return pairs, *np.unique(pairs[:, 0], return_index=True)


def first_of_alike(pairs: Array, likeness: Array) -> dict[int, tuple[int, float]]:
    """Row -> the earlier row that it is like, and how much. What is like only to one that is a
    duplicate itself is none. ``pairs`` (m, 2) are sorted, the lower row first."""
    found: dict[int, tuple[int, float]] = {}
    for (low, high), alike in zip(pairs.tolist(), likeness.tolist(), strict=True):
        if low not in found and high not in found:
            found[high] = (low, alike)
    return found


def _alike(data: CheckedVersion) -> tuple[Array, Array]:
    """(m, 2) rows of queries that are alike and not the same, and their likeness; told once."""
    if data.alike is None:
        groups = data.query_groups
        near = NearDuplicates(data.recipe.similarity)
        for _, texts in data.query_texts():
            near.add(texts)
        pairs, likeness = near.pairs(data.tick)
        other = groups[pairs[:, 0]] != groups[pairs[:, 1]]
        data.alike = pairs[other], likeness[other]
    return data.alike


def weak_queries(data: CheckedVersion) -> Iterator[Finding]:
    """Empty ones, and those of one word."""
    counts = np.full(data.queries, 2, np.int8)
    for row, texts in data.query_texts():
        counts[row : row + len(texts)] = [min(2, words(text)) for text in texts]
    empty = np.flatnonzero(counts == 0)
    if len(empty):
        yield Finding(
            "empty-query",
            "error",
            len(empty),
            data.queries,
            f"{queries_of(len(empty))} without a letter or a digit: nothing can be found by them.",
            data.query_examples(empty),
            [everywhere("drop-empty-queries", empty)],
        )
    short = np.flatnonzero(counts == 1)
    if len(short):
        yield Finding(
            "one-word-query",
            "note",
            len(short),
            data.queries,
            f"{queries_of(len(short))} of a single word: one word seldom says what is right. "
            "(Where words are not spaced, two signs are taken for one.)",
            data.query_examples(short),
            [data.untrain("drop-one-word-queries", short)],
        )


# Captions that say nothing of a picture, or the same of several.

#: More pictures than these of a hundred, or captions, are worth a warning.
_MANY = 0.05


def captions(data: CheckedVersion) -> Iterator[Finding]:
    """Pictures that no query is for, and queries that are for several pictures."""
    seen = _seen(data)
    if not seen.any():
        return
    queries, documents = data.positives()
    shown = seen[documents]
    yield from _mute(data, seen, documents[shown])
    yield from _shared(data, queries[shown])


def _seen(data: CheckedVersion) -> Array:
    """Which documents are pictures."""
    parts = [table["picture"].is_valid().to_numpy() for table in data.reader.iter_documents(10_000)]
    return np.concatenate([np.zeros(0, bool), *parts])


def _mute(data: CheckedVersion, seen: Array, said: Array) -> Iterator[Finding]:
    silent = seen.copy()
    silent[said] = False
    rows = np.flatnonzero(silent)
    if len(rows):
        yield Finding(
            "picture-without-caption",
            "warning" if len(rows) > _MANY * seen.sum() else "note",
            len(rows),
            int(seen.sum()),
            f"{counted(len(rows), 'picture')} without a caption: they can be searched, and nothing "
            "is learnt from them.",
            [
                Example({"document": int(row)}, [("document", data.document(int(row)))])
                for row in rows[:EXAMPLES]
            ],
        )


def _shared(data: CheckedVersion, queries: Array) -> Iterator[Finding]:
    rows, pictures = np.unique(queries, return_counts=True)
    several = pictures > 1
    if not several.any():
        return
    rows, pictures = rows[several], pictures[several]
    most = np.argsort(-pictures, kind="stable")
    yield Finding(
        "caption-of-several-pictures",
        "warning" if len(rows) > _MANY * data.queries else "note",
        len(rows),
        data.queries,
        f"{counted(len(rows), 'caption')} of several pictures, up to {int(pictures.max()):,}: a "
        "search is right with any of them, and training cannot distinguish them.",
        [
            data.query_examples([rows[at]], f"{counted(int(pictures[at]), 'picture')}")[0]
            for at in most[:EXAMPLES]
        ],
        [data.untrain("drop-shared-captions", rows)],
    )


# Scored pairs: texts that say nothing, and the same pair twice. Either way round it is the same.
#
# What is left out of training only, and what of every split, follows the queries' findings.


def weak_pairs(data: CheckedVersion) -> Iterator[Finding]:
    """Pairs with an empty text, and with one of a single word."""
    counts = np.full(data.pairs.num_rows, 2, np.int8)
    for side in ("left", "right"):
        for row, texts in data.pair_texts(side):
            here = counts[row : row + len(texts)]
            np.minimum(here, [min(2, words(text)) for text in texts], out=here)
    empty = np.flatnonzero(counts == 0)
    if len(empty):
        yield Finding(
            "empty-pair-text",
            "error",
            len(empty),
            len(counts),
            f"{_pairs(len(empty))} with a text without a letter or a digit: there is nothing to "
            "compare.",
            [data.pair(row) for row in empty[:EXAMPLES].tolist()],
            [everywhere("drop-empty-pairs", empty, pairs=True)],
        )
    short = np.flatnonzero(counts == 1)
    if len(short):
        yield Finding(
            "one-word-pair-text",
            "note",
            len(short),
            len(counts),
            f"{_pairs(len(short))} with a text of a single word. (Where words are not spaced, two "
            "signs are taken for one.)",
            [data.pair(row) for row in short[:EXAMPLES].tolist()],
            [data.untrain("drop-one-word-pairs", short, pairs=True)],
        )


def pair_leaks(data: CheckedVersion) -> Iterator[Finding]:
    """The same pair in two splits."""
    keys = _keys(data)
    groups = np.unique(keys, return_inverse=True)[1].reshape(-1)
    home = np.zeros(len(keys), np.int8)
    np.maximum.at(home, groups, data.pair_codes)
    leaked = np.flatnonzero(data.pair_codes < home[groups])
    if not len(leaked):
        return
    keeper = np.full(len(keys), -1, np.int64)
    at_home = np.flatnonzero(data.pair_codes == home[groups])[::-1]
    keeper[groups[at_home]] = at_home
    shown = leaked[:EXAMPLES].tolist()
    yield Finding(
        "pair-in-two-splits",
        "error",
        len(leaked),
        len(keys),
        "Also in dev or test, either way round and but for case and spaces: "
        f"{_pairs(len(leaked))}. What is measured there was trained on.",
        [data.pair(int(keeper[groups[row]]), other=row) for row in shown],
        [where_lesser("drop-leaked-pairs", leaked, pairs=True)],
    )


def same_pairs(data: CheckedVersion) -> Iterator[Finding]:
    """The same pair twice in a split: with one score, and with several."""
    again, disputed = _repeated(data)
    if len(again.rows):
        yield Finding(
            "duplicate-pair",
            "warning",
            len(again.rows),
            data.pairs.num_rows,
            "In the same split already with the same score, either way round and but for case and "
            f"spaces: {_pairs(len(again.rows))}.",
            _examples(data, again),
            [
                Fix(
                    "drop-duplicate-pairs",
                    f"Leave {_pairs(len(again.rows))} out; the first of each stays.",
                    {"drop_pairs": again.rows},
                )
            ],
        )
    if len(disputed.rows):
        yield Finding(
            "pair-with-two-scores",
            "warning",
            len(disputed.rows),
            data.pairs.num_rows,
            f"In the same split with another score: {_pairs(len(disputed.rows))}. They pull in "
            "different directions.",
            _examples(data, disputed),
            [
                Fix(
                    "keep-middle-score",
                    f"Leave {_pairs(len(disputed.rows))} out; of each the one with the middle "
                    "score stays (of two the lower).",
                    {"drop_pairs": disputed.rows},
                )
            ],
        )


def near_pairs(data: CheckedVersion) -> Iterator[Finding]:
    """Pairs whose texts together are almost those of another: in two splits, and in one."""
    if not data.pairs.num_rows:
        return
    keys, near = _keys(data), NearDuplicates(data.recipe.similarity)
    for (_, left), (_, right) in zip(
        data.pair_texts("left"), data.pair_texts("right"), strict=True
    ):
        near.add([" ".join(sorted(both)) for both in zip(left, right, strict=True)])
    pairs, likeness = near.pairs(data.tick)
    other = keys[pairs[:, 0]] != keys[pairs[:, 1]]
    pairs, likeness = pairs[other], likeness[other]
    across = data.pair_codes[pairs[:, 0]] != data.pair_codes[pairs[:, 1]]
    yield from _near_leaks(data, pairs[across], likeness[across])
    kept = first_of_alike(pairs[~across], likeness[~across])
    if not kept:
        return
    rows = np.array(sorted(kept), np.int64)
    yield Finding(
        "near-duplicate-pair",
        "note",
        len(rows),
        len(keys),
        f"Almost the same as an earlier one of the same split: {_pairs(len(rows))} (at least "
        f"{data.recipe.similarity:.0%} of the character sequences of both texts, estimated). "
        "Where one word makes the difference, and the scores say so, they are worth keeping.",
        [
            data.pair(kept[row][0], f"{kept[row][1]:.0%} alike", row)
            for row in rows[:EXAMPLES].tolist()
        ],
        [data.untrain("drop-near-pairs", rows, pairs=True)],
    )


def _near_leaks(data: CheckedVersion, pairs: Array, likeness: Array) -> Iterator[Finding]:
    if not len(pairs):
        return
    pairs, lesser, first = _lesser_first(pairs, data.pair_codes[pairs])
    yield Finding(
        "similar-pair-in-two-splits",
        "warning",
        len(lesser),
        data.pairs.num_rows,
        f"Almost word by word in dev or test too: {_pairs(len(lesser))}.",
        [
            data.pair(int(pairs[at, 1]), f"{likeness[at]:.0%} alike", int(pairs[at, 0]))
            for at in first[:EXAMPLES].tolist()
        ],
        [where_lesser("drop-similar-pairs", lesser, pairs=True)],
    )


class _Found(NamedTuple):
    """Pairs that go, and for each the one that stays instead."""

    rows: Array
    instead: Array


def _repeated(data: CheckedVersion) -> tuple[_Found, _Found]:
    """The same pair in its split again: with a score that it had, and with another one."""
    keys, scores = _keys(data), data.pairs["score"].to_numpy()
    order = np.lexsort((np.arange(len(keys)), scores, keys, data.pair_codes))
    codes, keys, scores = data.pair_codes[order], keys[order], scores[order]
    fresh = np.ones(len(order), bool)
    fresh[1:] = (codes[1:] != codes[:-1]) | (keys[1:] != keys[:-1])
    starts = np.flatnonzero(fresh)
    sizes = np.diff(np.append(starts, len(order)))
    group = np.cumsum(fresh) - 1
    several = scores[starts] != scores[starts + sizes - 1]
    middle = starts + (sizes - 1) // 2
    kept = np.where(several, middle, starts)[group]
    goes = np.arange(len(order)) != kept
    first, second = goes & ~several[group], goes & several[group]
    return _sorted(order, kept, first), _sorted(order, kept, second)


def _sorted(order: Array, kept: Array, goes: Array) -> _Found:
    rows, instead = order[goes], order[kept[goes]]
    by_row = np.argsort(rows)
    return _Found(rows[by_row], instead[by_row])


def _examples(data: CheckedVersion, found: _Found) -> list[Example]:
    some = zip(found.instead[:EXAMPLES].tolist(), found.rows[:EXAMPLES].tolist(), strict=True)
    return [data.pair(kept, other=row) for kept, row in some]


def _keys(data: CheckedVersion) -> Array:
    """One number for each pair, the same either way round."""
    keys = np.zeros(data.pairs.num_rows, np.uint64)
    for side in ("left", "right"):
        for row, texts in data.pair_texts(side):
            digests = digests_of([plain_query(text) for text in texts])
            # A sum knows no order.
            keys[row : row + len(texts)] += digests[:, 0]
    return keys


def _pairs(number: int) -> str:
    return counted(number, "scored pair")
