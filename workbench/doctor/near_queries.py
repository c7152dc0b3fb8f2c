"""Queries that are almost the same, word by word: in two splits, or in one."""

from collections.abc import Iterator

import numpy as np

from workbench.doctor.duplicates import pairs_of_queries, query_groups, stand
from workbench.doctor.exam import Array, Exam, queries_of
from workbench.doctor.near import NearDuplicates
from workbench.doctor.report import Finding, Mend


def near_leaks(exam: Exam) -> Iterator[Finding]:
    """Queries of which another split has almost the same."""
    pairs, likeness = _alike(exam)
    codes = exam.codes[pairs]
    across = codes[:, 0] != codes[:, 1]
    pairs, likeness, codes = pairs[across], likeness[across], codes[across]
    if not len(pairs):
        return
    # The one that counts less first.
    pairs = np.where((codes[:, 0] < codes[:, 1])[:, None], pairs, pairs[:, ::-1])
    lesser, first = np.unique(pairs[:, 0], return_index=True)
    shown = [(int(pairs[at, 1]), int(pairs[at, 0])) for at in first.tolist()]
    yield Finding(
        "similar-query-in-two-splits",
        "warning",
        len(lesser),
        exam.queries,
        f"{queries_of(len(lesser))} {stand(len(lesser))} almost word by word in dev or test too.",
        pairs_of_queries(exam, shown, [f"{likeness[at]:.0%} alike" for at in first.tolist()]),
        [
            Mend(
                "drop-similar-queries",
                f"Leave {queries_of(len(lesser))} out where they count less: test keeps its own.",
                {"drop_queries": lesser},
            )
        ],
    )


def near_queries(exam: Exam) -> Iterator[Finding]:
    """Queries of which their own split has almost the same."""
    pairs, likeness = _alike(exam)
    within = exam.codes[pairs[:, 0]] == exam.codes[pairs[:, 1]]
    kept = first_of_alike(pairs[within], likeness[within])
    if not kept:
        return
    rows = np.array(sorted(kept), np.int64)
    trained = rows[exam.training(rows)]
    shown = [(kept[row][0], row) for row in rows.tolist()]
    yield Finding(
        "near-duplicate-query",
        "note",
        len(rows),
        exam.queries,
        f"Almost word by word in the same split already: {queries_of(len(rows))} (at least "
        f"{exam.recipe.similarity:.0%} of the character sequences, estimated). One word can turn a "
        "question around: look before you mend.",
        pairs_of_queries(exam, shown, [f"{kept[row][1]:.0%} alike" for row in rows.tolist()]),
        [
            Mend(
                "drop-near-queries",
                f"Leave {queries_of(len(trained))} out of training; dev and test stay.",
                {"drop_queries": trained},
            )
        ],
    )


def first_of_alike(pairs: Array, likeness: Array) -> dict[int, tuple[int, float]]:
    """Row -> the earlier row that it is like, and how much. What is like only to one that is a
    duplicate itself is none. ``pairs`` (m, 2) are sorted, the lower row first."""
    found: dict[int, tuple[int, float]] = {}
    for (low, high), alike in zip(pairs.tolist(), likeness.tolist(), strict=True):
        if low not in found and high not in found:
            found[high] = (low, alike)
    return found


def _alike(exam: Exam) -> tuple[Array, Array]:
    """(m, 2) rows of queries that are alike and not the same, and their likeness; told once."""
    if exam.alike is None:
        groups = query_groups(exam)
        near = NearDuplicates(exam.recipe.similarity)
        for _, texts in exam.query_texts():
            near.add(texts)
        pairs, likeness = near.pairs(exam.tick)
        other = groups[pairs[:, 0]] != groups[pairs[:, 1]]
        exam.alike = pairs[other], likeness[other]
    return exam.alike
