"""Scored pairs: texts that say nothing, and the same pair twice. Either way round it is the same.

What is left out of training only, and what of every split, follows the queries' findings.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from workbench.data.splits import CODES
from workbench.doctor.exam import Array, Exam, counted
from workbench.doctor.near import NearDuplicates
from workbench.doctor.near_queries import first_of_alike
from workbench.doctor.report import EXAMPLES, Example, Finding, Mend
from workbench.doctor.texts import digests_of, plain_query, words


def weak_pairs(exam: Exam) -> Iterator[Finding]:
    """Pairs with an empty text, and with one of a single word."""
    counts = np.full(exam.pairs.num_rows, 2, np.int8)
    for side in ("left", "right"):
        for row, texts in exam.pair_texts(side):
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
            [exam.pair(row) for row in empty[:EXAMPLES].tolist()],
            [
                Mend(
                    "drop-empty-pairs",
                    f"Leave {_pairs(len(empty))} out, in every split.",
                    {"drop_pairs": empty},
                )
            ],
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
            [exam.pair(row) for row in short[:EXAMPLES].tolist()],
            [without(exam, "drop-one-word-pairs", short)],
        )


def pair_leaks(exam: Exam) -> Iterator[Finding]:
    """The same pair in two splits."""
    keys = _keys(exam)
    groups = np.unique(keys, return_inverse=True)[1].reshape(-1)
    home = np.zeros(len(keys), np.int8)
    np.maximum.at(home, groups, exam.pair_codes)
    leaked = np.flatnonzero(exam.pair_codes < home[groups])
    if not len(leaked):
        return
    keeper = np.full(len(keys), -1, np.int64)
    at_home = np.flatnonzero(exam.pair_codes == home[groups])[::-1]
    keeper[groups[at_home]] = at_home
    shown = leaked[:EXAMPLES].tolist()
    yield Finding(
        "pair-in-two-splits",
        "error",
        len(leaked),
        len(keys),
        "Also in dev or test, either way round and but for case and spaces: "
        f"{_pairs(len(leaked))}. What is measured there was trained on.",
        [exam.pair(int(keeper[groups[row]]), other=row) for row in shown],
        [_lesser("drop-leaked-pairs", leaked)],
    )


def same_pairs(exam: Exam) -> Iterator[Finding]:
    """The same pair twice in a split: with one score, and with several."""
    again, disputed = _repeated(exam)
    if len(again.rows):
        yield Finding(
            "duplicate-pair",
            "warning",
            len(again.rows),
            exam.pairs.num_rows,
            "In the same split already with the same score, either way round and but for case and "
            f"spaces: {_pairs(len(again.rows))}.",
            _examples(exam, again),
            [
                Mend(
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
            exam.pairs.num_rows,
            f"In the same split with another score: {_pairs(len(disputed.rows))}. They pull in "
            "different directions.",
            _examples(exam, disputed),
            [
                Mend(
                    "keep-middle-score",
                    f"Leave {_pairs(len(disputed.rows))} out; of each the one with the middle "
                    "score stays (of two the lower).",
                    {"drop_pairs": disputed.rows},
                )
            ],
        )


def near_pairs(exam: Exam) -> Iterator[Finding]:
    """Pairs whose texts together are almost those of another: in two splits, and in one."""
    if not exam.pairs.num_rows:
        return
    keys, near = _keys(exam), NearDuplicates(exam.recipe.similarity)
    for (_, left), (_, right) in zip(
        exam.pair_texts("left"), exam.pair_texts("right"), strict=True
    ):
        near.add([" ".join(sorted(both)) for both in zip(left, right, strict=True)])
    pairs, likeness = near.pairs(exam.tick)
    other = keys[pairs[:, 0]] != keys[pairs[:, 1]]
    pairs, likeness = pairs[other], likeness[other]
    across = exam.pair_codes[pairs[:, 0]] != exam.pair_codes[pairs[:, 1]]
    yield from _near_leaks(exam, pairs[across], likeness[across])
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
        f"{exam.recipe.similarity:.0%} of the character sequences of both texts, estimated). "
        "Where one word makes the difference, and the scores say so, they are worth keeping.",
        [
            exam.pair(kept[row][0], f"{kept[row][1]:.0%} alike", row)
            for row in rows[:EXAMPLES].tolist()
        ],
        [without(exam, "drop-near-pairs", rows)],
    )


def without(exam: Exam, code: str, rows: Array) -> Mend:
    """These pairs leave training."""
    trained = rows[exam.pair_codes[rows] == CODES["train"]]
    sentence = f"Leave {_pairs(len(trained))} out of training; dev and test stay."
    return Mend(code, sentence, {"drop_pairs": trained})


def _near_leaks(exam: Exam, pairs: Array, likeness: Array) -> Iterator[Finding]:
    if not len(pairs):
        return
    codes = exam.pair_codes[pairs]
    # The one that counts less first.
    pairs = np.where((codes[:, 0] < codes[:, 1])[:, None], pairs, pairs[:, ::-1])
    lesser, first = np.unique(pairs[:, 0], return_index=True)
    yield Finding(
        "similar-pair-in-two-splits",
        "warning",
        len(lesser),
        exam.pairs.num_rows,
        f"Almost word by word in dev or test too: {_pairs(len(lesser))}.",
        [
            exam.pair(int(pairs[at, 1]), f"{likeness[at]:.0%} alike", int(pairs[at, 0]))
            for at in first[:EXAMPLES].tolist()
        ],
        [_lesser("drop-similar-pairs", lesser)],
    )


def _lesser(code: str, rows: Array) -> Mend:
    sentence = f"Leave {_pairs(len(rows))} out where they count less: test keeps its own."
    return Mend(code, sentence, {"drop_pairs": rows})


class _Found(NamedTuple):
    """Pairs that go, and for each the one that stays instead."""

    rows: Array
    instead: Array


def _repeated(exam: Exam) -> tuple[_Found, _Found]:
    """The same pair in its split again: with a score that it had, and with another one."""
    keys, scores = _keys(exam), exam.pairs["score"].to_numpy()
    order = np.lexsort((np.arange(len(keys)), scores, keys, exam.pair_codes))
    codes, keys, scores = exam.pair_codes[order], keys[order], scores[order]
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


def _examples(exam: Exam, found: _Found) -> list[Example]:
    some = zip(found.instead[:EXAMPLES].tolist(), found.rows[:EXAMPLES].tolist(), strict=True)
    return [exam.pair(kept, other=row) for kept, row in some]


def _keys(exam: Exam) -> Array:
    """One number for each pair, the same either way round."""
    keys = np.zeros(exam.pairs.num_rows, np.uint64)
    for side in ("left", "right"):
        for row, texts in exam.pair_texts(side):
            digests = digests_of([plain_query(text) for text in texts])
            # A sum knows no order.
            keys[row : row + len(texts)] += digests[:, 0]
    return keys


def _pairs(number: int) -> str:
    return counted(number, "scored pair")
