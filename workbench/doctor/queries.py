"""Queries that ask nothing, or hardly anything."""

from collections.abc import Iterator

import numpy as np

from workbench.doctor.exam import Exam, queries_of
from workbench.doctor.report import Finding, Mend
from workbench.doctor.texts import words


def weak_queries(exam: Exam) -> Iterator[Finding]:
    """Empty ones, and those of one word."""
    counts = np.full(exam.queries, 2, np.int8)
    for row, texts in exam.query_texts():
        counts[row : row + len(texts)] = [min(2, words(text)) for text in texts]
    empty = np.flatnonzero(counts == 0)
    if len(empty):
        yield Finding(
            "empty-query",
            "error",
            len(empty),
            exam.queries,
            f"{queries_of(len(empty))} without a letter or a digit: nothing can be found by them.",
            exam.query_examples(empty),
            [
                Mend(
                    "drop-empty-queries",
                    f"Leave {queries_of(len(empty))} out, in every split.",
                    {"drop_queries": empty},
                )
            ],
        )
    short = np.flatnonzero(counts == 1)
    if len(short):
        trained = short[exam.training(short)]
        yield Finding(
            "one-word-query",
            "note",
            len(short),
            exam.queries,
            f"{queries_of(len(short))} of a single word: one word seldom says what is right. "
            "(Where words are not spaced, two signs are taken for one.)",
            exam.query_examples(short),
            [
                Mend(
                    "drop-one-word-queries",
                    f"Leave {queries_of(len(trained))} out of training; dev and test stay.",
                    {"drop_queries": trained},
                )
            ],
        )
