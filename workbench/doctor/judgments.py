"""What was judged: positives among the negatives, favourites, and labels out of balance."""

from collections.abc import Iterator

import numpy as np

from workbench.data.splits import CODES
from workbench.doctor.exam import Array, Exam, counted, queries_of
from workbench.doctor.report import EXAMPLES, Example, Finding, Mend
from workbench.doctor.texts import digests_of, plain_document

#: Scores of pairs that take more different values than this are no labels.
_LABELS = 10


def positive_is_negative(exam: Exam) -> Iterator[Finding]:
    """A negative whose text is that of one of its query's positives."""
    texts = [np.zeros(0, np.uint64)]
    for _, some in exam.document_texts():
        texts.append(digests_of([plain_document(text) for text in some])[:, 0])
    digest = np.concatenate(texts)
    queries, documents = exam.positives()
    wrong, offered, judged = exam.negatives()
    right = _sorted_pairs(queries, digest[documents])
    both = _pairs(wrong, digest[offered])
    clash = np.isin(both, right)
    if not clash.any():
        return
    wrong, offered, judged = wrong[clash], offered[clash], judged[clash]
    links = np.stack([wrong, offered], axis=1)
    count = len(links)
    yield Finding(
        "positive-is-negative",
        "error",
        count,
        len(clash),
        f"{counted(count, 'negative')} {'has' if count == 1 else 'have'} the very text of a "
        "positive of the same query: training pulls and pushes at once.",
        [
            Example(
                {"query": int(query), "negative": int(document)},
                [("query", exam.query(int(query))[1]), ("both", exam.document(int(document)))],
            )
            for query, document in links[:EXAMPLES]
        ],
        [
            Mend(
                "drop-equal-negatives",
                f"Take {counted(count, 'negative')} away; the positives stay.",
                {"drop_candidates": links[~judged], "drop_judgments": links[judged]},
            )
        ],
    )


def popular(exam: Exam) -> Iterator[Finding]:
    """Documents that are right for very many queries."""
    queries, documents = exam.positives()
    counts = np.bincount(documents, minlength=exam.documents)
    most = exam.recipe.many_queries
    many = np.flatnonzero(counts > most)
    if not len(many):
        return
    many = many[np.argsort(-counts[many], kind="stable")]
    surplus = _surplus(exam, queries, documents, many, most)
    yield Finding(
        "document-for-many-queries",
        "warning",
        len(many),
        exam.documents,
        f"{counted(len(many), 'document')} {'is' if len(many) == 1 else 'are'} right for more than "
        f"{most:,} queries each, up to {int(counts[many[0]]):,}: in a batch they are each other's "
        "false negatives, and a model may learn to answer everything with them.",
        [
            Example(
                {"document": int(row)},
                [("document", exam.document(int(row)))],
                f"right for {queries_of(int(counts[row]))}",
            )
            for row in many[:EXAMPLES]
        ],
        [
            Mend(
                "thin-popular-documents",
                f"Take {counted(len(surplus), 'judgment')} of training queries away, so that each "
                f"of these documents keeps at most {most:,}; queries that had no other positive "
                "leave training with them.",
                {"drop_judgments": surplus},
            )
        ],
    )


def _surplus(exam: Exam, queries: Array, documents: Array, many: Array, most: int) -> Array:
    """Judgments of training queries beyond the first ``most`` of each document, by chance."""
    mine = np.isin(documents, many) & exam.training(queries)
    queries, documents = queries[mine], documents[mine]
    chance = np.random.default_rng(exam.recipe.seed).permutation(len(queries))
    queries, documents = queries[chance], documents[chance]
    order = np.argsort(documents, kind="stable")
    queries, documents = queries[order], documents[order]
    begins = np.searchsorted(documents, documents, side="left")
    beyond = np.arange(len(documents)) - begins >= most
    links = np.stack([queries[beyond], documents[beyond]], axis=1)
    return links[np.lexsort((links[:, 1], links[:, 0]))]


def imbalance(exam: Exam) -> Iterator[Finding]:
    """Many more negatives than positives, and one label far more common than another."""
    yield from _many_negatives(exam)
    yield from _pair_labels(exam)


def _many_negatives(exam: Exam) -> Iterator[Finding]:
    queries, _ = exam.positives()
    wrong, offered, judged = exam.negatives()
    positives = np.bincount(queries, minlength=exam.queries)
    negatives = np.bincount(wrong, minlength=exam.queries)
    most = np.ceil(exam.recipe.imbalance * np.maximum(positives, 1)).astype(np.int64)
    heavy = np.flatnonzero((negatives > most) & exam.training(np.arange(exam.queries)))
    if not len(heavy):
        return
    order = np.argsort(wrong, kind="stable")  # Judged ones first, then by rank, as they came.
    wrong, offered, judged = wrong[order], offered[order], judged[order]
    place = np.arange(len(wrong)) - np.searchsorted(wrong, wrong, side="left")
    beyond = np.isin(wrong, heavy) & (place >= most[wrong])
    links = np.stack([wrong[beyond], offered[beyond]], axis=1)
    worst = heavy[np.argsort(-negatives[heavy], kind="stable")]
    yield Finding(
        "label-imbalance",
        "note",
        len(heavy),
        exam.splits["train"],
        f"{queries_of(len(heavy))} of training {'has' if len(heavy) == 1 else 'have'} more than "
        f"{exam.recipe.imbalance:g} negatives for each positive.",
        [
            one
            for row in worst[:EXAMPLES]
            for one in exam.query_examples(
                [row], f"{negatives[row]:,} negatives, {positives[row]:,} positives"
            )
        ],
        [
            Mend(
                "thin-negatives",
                f"Take the last {counted(len(links), 'negative')} of these queries away, so that "
                f"{exam.recipe.imbalance:g} for each positive are left.",
                {
                    "drop_candidates": links[~judged[beyond]],
                    "drop_judgments": links[judged[beyond]],
                },
            )
        ],
    )


def _pair_labels(exam: Exam) -> Iterator[Finding]:
    scores = exam.pairs["score"].to_numpy()
    labels, counts = np.unique(scores, return_counts=True)
    if not 2 <= len(labels) <= _LABELS or counts.max() < exam.recipe.imbalance * counts.min():
        return
    common, rare = labels[np.argmax(counts)], labels[np.argmin(counts)]
    surplus = _surplus_pairs(exam, scores, labels)
    said = ", ".join(f"{n:,} of {label:g}" for label, n in zip(labels, counts, strict=True))
    yield Finding(
        "pair-label-imbalance",
        "warning",
        int(counts.max()),
        len(scores),
        f"The labels of the scored pairs are out of balance: {said}.",
        [
            exam.pair(int(row))
            for label in (rare, common)
            for row in np.flatnonzero(scores == label)[: EXAMPLES // 2]
        ],
        [
            Mend(
                "balance-pairs",
                f"Leave {counted(len(surplus), 'training pair')} out by chance, so that no label "
                f"is more than {exam.recipe.imbalance:g} times as common as the rarest.",
                {"drop_pairs": surplus},
            )
        ],
    )


def _surplus_pairs(exam: Exam, scores: Array, labels: Array) -> Array:
    trained = exam.pair_codes == CODES["train"]
    mine = [np.flatnonzero(trained & (scores == label)) for label in labels]
    held = [len(rows) for rows in mine if len(rows)]
    most = int(exam.recipe.imbalance * min(held)) if held else 0
    random = np.random.default_rng(exam.recipe.seed)
    beyond = [random.permutation(rows)[most:] for rows in mine]
    return np.sort(np.concatenate([np.zeros(0, np.int64), *beyond]))


def _pairs(queries: Array, digests: Array) -> Array:
    """One number for each (query, text)."""
    odd = np.uint64(0x9E3779B97F4A7C15)
    return np.asarray(digests ^ (queries.astype(np.uint64) * odd))


def _sorted_pairs(queries: Array, digests: Array) -> Array:
    return np.unique(_pairs(queries, digests))
