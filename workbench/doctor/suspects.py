"""Likely false negatives as a finding; the model that judges is loaded only here."""

from collections.abc import Iterator

import numpy as np

from workbench.doctor.exam import Exam, counted, queries_of
from workbench.doctor.report import EXAMPLES, Example, Finding, Mend


def false_negatives(exam: Exam) -> Iterator[Finding]:
    """Negatives that the judge scores above the best positive."""
    if not exam.recipe.judge:
        exam.notes.append(
            "Likely false negatives were not looked for: no judge (a model) was chosen."
        )
        return
    from workbench.evaluation.false_negatives import suspects

    found = suspects(exam)
    if not found.asked:
        exam.notes.append("No training query has both a positive and a negative to compare.")
        return
    trained = exam.splits["train"]
    if found.asked < trained:
        exam.notes.append(
            f"The judge saw {found.asked:,} of {queries_of(trained)} in training (those with "
            f"negatives, at most {exam.recipe.judged_queries:,})."
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
                    ("query", exam.query(int(query))[1]),
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
        [
            Mend(
                "drop-false-negatives",
                f"Take {counted(count, 'negative')} away from their queries; nothing is judged "
                "relevant by this.",
                {
                    "drop_candidates": links[~found.judged],
                    "drop_judgments": links[found.judged],
                },
            )
        ],
    )
