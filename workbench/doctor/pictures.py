"""Captions that say nothing of a picture, or the same of several."""

from collections.abc import Iterator

import numpy as np

from workbench.doctor.exam import Array, Exam, counted, queries_of
from workbench.doctor.report import EXAMPLES, Example, Finding, Mend

#: More pictures than these of a hundred, or captions, are worth a warning.
_MANY = 0.05


def captions(exam: Exam) -> Iterator[Finding]:
    """Pictures that no query is for, and queries that are for several pictures."""
    seen = _seen(exam)
    if not seen.any():
        return
    queries, documents = exam.positives()
    shown = seen[documents]
    yield from _mute(exam, seen, documents[shown])
    yield from _shared(exam, queries[shown])


def _seen(exam: Exam) -> Array:
    """Which documents are pictures."""
    parts = [table["picture"].is_valid().to_numpy() for table in exam.reader.iter_documents(10_000)]
    return np.concatenate([np.zeros(0, bool), *parts])


def _mute(exam: Exam, seen: Array, said: Array) -> Iterator[Finding]:
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
                Example({"document": int(row)}, [("document", exam.document(int(row)))])
                for row in rows[:EXAMPLES]
            ],
        )


def _shared(exam: Exam, queries: Array) -> Iterator[Finding]:
    rows, pictures = np.unique(queries, return_counts=True)
    several = pictures > 1
    if not several.any():
        return
    rows, pictures = rows[several], pictures[several]
    most = np.argsort(-pictures, kind="stable")
    trained = rows[exam.training(rows)]
    yield Finding(
        "caption-of-several-pictures",
        "warning" if len(rows) > _MANY * exam.queries else "note",
        len(rows),
        exam.queries,
        f"{counted(len(rows), 'caption')} of several pictures, up to {int(pictures.max()):,}: a "
        "search is right with any of them, and training does not tell them apart.",
        [
            exam.query_examples([rows[at]], f"{counted(int(pictures[at]), 'picture')}")[0]
            for at in most[:EXAMPLES]
        ],
        [
            Mend(
                "drop-shared-captions",
                f"Leave {queries_of(len(trained))} out of training; dev and test stay.",
                {"drop_queries": trained},
            )
        ],
    )
