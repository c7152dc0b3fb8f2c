"""Likely false negatives as a finding; the model that judges is loaded only here."""

from collections.abc import Iterator

import numpy as np

from workbench.doctor.exam import Array, Exam, counted, queries_of
from workbench.doctor.report import EXAMPLES, Example, Finding, Mend
from workbench.evaluation.pictures import has_pictures


def false_negatives(exam: Exam) -> Iterator[Finding]:
    """Negatives that the judge scores above the best positive."""
    if not exam.queries:
        return
    if not exam.recipe.judge:
        if _to_judge(exam):
            exam.notes.append(
                "Likely false negatives were not looked for: no judge was chosen. Choose a model "
                "as the judge of negatives (on the command line: --judge MODEL) and examine again."
            )
        return
    if has_pictures(exam.reader):
        exam.notes.append("Likely false negatives are not looked for where documents are pictures.")
        return
    from workbench.evaluation.false_negatives import suspects

    found = suspects(exam)
    if not found.asked:
        exam.notes.append("No query there has both a positive and a negative to compare.")
        return
    if found.asked < found.able:
        exam.notes.append(
            f"The judge saw {found.asked:,} of {queries_of(found.able)} with negatives; "
            "'judged_queries' sets how many."
        )
    if not len(found.queries):
        return
    links = np.stack([found.queries, found.documents], axis=1)
    count = len(links)
    yield Finding(
        "likely-false-negative",
        "warning",
        count,
        found.looked,
        f"'{exam.recipe.judge}' scores {counted(count, 'negative')} of "
        f"{queries_of(len(np.unique(found.queries)))} above the best positive: some are right "
        "after all, and some only fool this model. Look before you mend: hard negatives are worth "
        "keeping.",
        [
            Example(
                {"query": int(query), "positive": int(positive), "negative": int(document)},
                [
                    _asked(exam, int(query)),
                    ("positive", exam.document(int(positive))),
                    ("negative", exam.document(int(document))),
                ],
                f"{above:+.3f}",
            )
            for query, document, positive, above in zip(
                found.queries[:EXAMPLES],
                found.documents[:EXAMPLES],
                found.positives[:EXAMPLES],
                found.above[:EXAMPLES],
                strict=True,
            )
        ],
        _mends(exam, links, found.judged),
    )


def _to_judge(exam: Exam) -> bool:
    """Whether there are negatives, so that a judge would have something to do."""
    return len(exam.negatives()[0]) > 0


def _asked(exam: Exam, query: int) -> tuple[str, str]:
    split, text = exam.query(query)
    return f"query ({split})", text


def _mends(exam: Exam, links: Array, judged: Array) -> list[Mend]:
    """Training's apart from those by which models are measured."""
    trained = exam.training(links[:, 0])
    count, held = int(trained.sum()), int((~trained).sum())
    return [
        Mend(
            "drop-false-negatives",
            f"Take {counted(count, 'negative')} of training away from their queries; nothing is "
            "judged relevant by this.",
            _taken(links[trained], judged[trained]),
        ),
        Mend(
            "drop-held-out-false-negatives",
            f"Take {counted(held, 'negative')} of dev and test away too. What is measured there "
            "then favours models that think as the judge does.",
            _taken(links[~trained], judged[~trained]),
        ),
    ]


def _taken(links: Array, judged: Array) -> dict[str, Array]:
    return {"drop_candidates": links[~judged], "drop_judgments": links[judged]}
