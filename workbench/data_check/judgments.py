"""What was judged: positives among the negatives, favourites, and labels out of balance."""

from collections.abc import Iterator

import numpy as np

from workbench.data.splits import CODES
from workbench.data_check.checked import Array, CheckedVersion, queries_of
from workbench.data_check.report import EXAMPLES, Example, Finding, Fix
from workbench.plurals import counted, form

#: Scores of pairs that take more different values than this are no labels.
_LABELS = 10


def positive_is_negative(data: CheckedVersion) -> Iterator[Finding]:
    """A negative whose text is that of one of its query's positives."""
    digest = data.document_digests[:, 0]
    queries, documents = data.positives()
    wrong, offered, judged = data.negatives()
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
        f"{counted(count, 'negative')} {form(count, ('has', 'have'))} the very text of a "
        "positive of the same query: training pulls and pushes at once.",
        [
            Example(
                {"query": int(query), "negative": int(document)},
                [
                    ("query", data.query(int(query))[1]),
                    ("both", data.document(int(document))),
                ],
            )
            for query, document in links[:EXAMPLES]
        ],
        [
            Fix(
                "drop-equal-negatives",
                f"Take {counted(count, 'negative')} away; the positives stay.",
                {"drop_candidates": links[~judged], "drop_judgments": links[judged]},
            )
        ],
    )


def popular(data: CheckedVersion) -> Iterator[Finding]:
    """Documents that are right for very many queries."""
    queries, documents = data.positives()
    counts = np.bincount(documents, minlength=data.documents)
    most = data.recipe.many_queries
    many = np.flatnonzero(counts > most)
    if not len(many):
        return
    many = many[np.argsort(-counts[many], kind="stable")]
    surplus = _surplus(data, queries, documents, many, most)
    yield Finding(
        "document-for-many-queries",
        "warning",
        len(many),
        data.documents,
        f"{counted(len(many), 'document')} {form(len(many), ('is', 'are'))} right for more than "
        f"{most:,} queries each, up to {int(counts[many[0]]):,}: in a batch they are each other's "
        "false negatives, and a model may learn to answer everything with them.",
        [
            Example(
                {"document": int(row)},
                [("document", data.document(int(row)))],
                f"right for {queries_of(int(counts[row]))}",
            )
            for row in many[:EXAMPLES]
        ],
        [
            Fix(
                "thin-popular-documents",
                f"Take {counted(len(surplus), 'judgment')} of training queries away, so that each "
                f"of these documents keeps at most {most:,}; queries that had no other positive "
                "leave training with them.",
                {"drop_judgments": surplus},
            )
        ],
    )


def _surplus(
    data: CheckedVersion, queries: Array, documents: Array, many: Array, most: int
) -> Array:
    """Judgments of training queries beyond the first ``most`` of each document, by chance."""
    mine = np.isin(documents, many) & data.training(queries)
    queries, documents = queries[mine], documents[mine]
    chance = np.random.default_rng(data.recipe.seed).permutation(len(queries))
    queries, documents = queries[chance], documents[chance]
    order = np.argsort(documents, kind="stable")
    queries, documents = queries[order], documents[order]
    begins = np.searchsorted(documents, documents, side="left")
    beyond = np.arange(len(documents)) - begins >= most
    links = np.stack([queries[beyond], documents[beyond]], axis=1)
    return links[np.lexsort((links[:, 1], links[:, 0]))]


def imbalance(data: CheckedVersion) -> Iterator[Finding]:
    """Many more negatives than positives, and one label far more common than another."""
    yield from _many_negatives(data)
    yield from _pair_labels(data)


def _many_negatives(data: CheckedVersion) -> Iterator[Finding]:
    queries, _ = data.positives()
    wrong, offered, judged = data.negatives()
    positives = np.bincount(queries, minlength=data.queries)
    negatives = np.bincount(wrong, minlength=data.queries)
    most = np.ceil(data.recipe.imbalance * np.maximum(positives, 1)).astype(np.int64)
    heavy = np.flatnonzero((negatives > most) & data.training(np.arange(data.queries)))
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
        data.splits["train"],
        f"{queries_of(len(heavy))} of training {form(len(heavy), ('has', 'have'))} more than "
        f"{data.recipe.imbalance:g} negatives for each positive.",
        [
            one
            for row in worst[:EXAMPLES]
            for one in data.query_examples(
                [row], f"{negatives[row]:,} negatives, {positives[row]:,} positives"
            )
        ],
        [
            Fix(
                "thin-negatives",
                f"Take the last {counted(len(links), 'negative')} of these queries away, so that "
                f"{data.recipe.imbalance:g} for each positive are left.",
                {
                    "drop_candidates": links[~judged[beyond]],
                    "drop_judgments": links[judged[beyond]],
                },
            )
        ],
    )


def _pair_labels(data: CheckedVersion) -> Iterator[Finding]:
    scores = data.pairs["score"].to_numpy()
    labels, counts = np.unique(scores, return_counts=True)
    if not 2 <= len(labels) <= _LABELS or counts.max() < data.recipe.imbalance * counts.min():
        return
    common, rare = labels[np.argmax(counts)], labels[np.argmin(counts)]
    surplus = _surplus_pairs(data, scores, labels)
    said = ", ".join(f"{n:,} of {label:g}" for label, n in zip(labels, counts, strict=True))
    yield Finding(
        "pair-label-imbalance",
        "warning",
        int(counts.max()),
        len(scores),
        f"The labels of the scored pairs are out of balance: {said}.",
        [
            data.pair(int(row))
            for label in (rare, common)
            for row in np.flatnonzero(scores == label)[: EXAMPLES // 2]
        ],
        [
            Fix(
                "balance-pairs",
                f"Leave {counted(len(surplus), 'training pair')} out at random, so that no label "
                f"is more than {data.recipe.imbalance:g} times as common as the rarest.",
                {"drop_pairs": surplus},
            )
        ],
    )


def _surplus_pairs(data: CheckedVersion, scores: Array, labels: Array) -> Array:
    trained = data.pair_codes == CODES["train"]
    mine = [np.flatnonzero(trained & (scores == label)) for label in labels]
    held = [len(rows) for rows in mine if len(rows)]
    most = int(data.recipe.imbalance * min(held)) if held else 0
    random = np.random.default_rng(data.recipe.seed)
    beyond = [random.permutation(rows)[most:] for rows in mine]
    return np.sort(np.concatenate([np.zeros(0, np.int64), *beyond]))


def _pairs(queries: Array, digests: Array) -> Array:
    """One number for each (query, text)."""
    odd = np.uint64(0x9E3779B97F4A7C15)
    return np.asarray(digests ^ (queries.astype(np.uint64) * odd))


def _sorted_pairs(queries: Array, digests: Array) -> Array:
    return np.unique(_pairs(queries, digests))
