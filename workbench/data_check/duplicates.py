"""The same text twice: queries that leak from one split into another, documents in two copies."""

from collections.abc import Iterator, Sequence

import numpy as np

from workbench.data.digests import DigestRows
from workbench.data.splits import SPLITS
from workbench.data_check.checked import (
    Array,
    CheckedVersion,
    digests_of,
    plain_document,
    plain_query,
    queries_of,
)
from workbench.data_check.near import NearDuplicates
from workbench.data_check.report import EXAMPLES, Example, Finding, Fix
from workbench.plurals import counted, form

Pairs = list[tuple[int, int]]


def leaks(data: CheckedVersion) -> Iterator[Finding]:
    """Queries that stand in two splits, word by word."""
    groups = query_groups(data)
    # Test counts most, then dev: what stands there stays there.
    home = np.zeros(data.queries, data.codes.dtype)
    np.maximum.at(home, groups, data.codes)
    leaked = np.flatnonzero(data.codes < home[groups])
    if len(leaked):
        keepers = _first_in(groups, data.codes == home[groups])
        yield Finding(
            "query-in-two-splits",
            "error",
            len(leaked),
            data.queries,
            f"{queries_of(len(leaked))} also {stand(len(leaked))} in dev or test, but for case "
            "and spaces: what is measured there was trained on.",
            pairs_of_queries(data, [(int(keepers[groups[row]]), int(row)) for row in leaked]),
            [
                Fix(
                    "drop-leaked-queries",
                    f"Leave {queries_of(len(leaked))} out where they count less: test keeps its "
                    "own, dev keeps what is not in test.",
                    {"drop_queries": leaked},
                )
            ],
        )


def same_texts(data: CheckedVersion) -> Iterator[Finding]:
    """Queries twice in one split, and documents twice."""
    groups = query_groups(data)
    again = _again(groups * len(SPLITS) + data.codes)
    if again:
        yield Finding(
            "duplicate-query",
            "warning",
            len(again),
            data.queries,
            f"{queries_of(len(again))} {stand(len(again))} in the same split already, but for "
            "case and spaces: each counts twice.",
            pairs_of_queries(data, [(first, row) for row, first in again]),
            [
                Fix(
                    "join-queries",
                    f"Join {queries_of(len(again))} with the first of the same text, which takes "
                    "over what was judged for them.",
                    {"same_queries": again},
                )
            ],
        )
    again = _again(_document_groups(data))
    if again:
        yield _documents_finding(
            data,
            "duplicate-document",
            again,
            f"{counted(len(again), 'document')} {stand(len(again))} there already, but for "
            "spaces: a search shows the same text twice, and only one of them counts as right.",
            "join-documents",
        )


def near_documents(data: CheckedVersion) -> Iterator[Finding]:
    """Documents that are nearly the same."""
    groups = _document_groups(data)
    alike = NearDuplicates(data.recipe.similarity)
    for _, texts in data.document_texts():
        alike.add(texts)
    found = alike.same_as(data.tick)
    near = {row: kept for row, kept in found.items() if groups[row] == row}
    # An exact copy goes where its first goes; that is the other finding.
    pairs = [(row, int(groups[kept])) for row, (kept, _) in sorted(near.items())]
    pairs = [(row, kept) for row, kept in pairs if row != kept]
    if pairs:
        yield _documents_finding(
            data,
            "near-duplicate-document",
            pairs,
            f"{counted(len(pairs), 'document')} {form(len(pairs), ('is', 'are'))} almost the "
            f"same as an earlier one (at least {data.recipe.similarity:.0%} of the character "
            "sequences, estimated).",
            "join-near-documents",
            [f"{near[row][1]:.0%} alike" for row, _ in pairs[:EXAMPLES]],
        )


def _documents_finding(
    data: CheckedVersion,
    code: str,
    pairs: Pairs,
    sentence: str,
    fix: str,
    notes: Sequence[str] = (),
) -> Finding:
    examples = [
        Example(
            {"document": kept, "duplicate": row},
            [("document", data.document(kept)), ("duplicate", data.document(row))],
            notes[at] if at < len(notes) else "",
        )
        for at, (row, kept) in enumerate(pairs[:EXAMPLES])
    ]
    done = (
        f"Join {counted(len(pairs), 'document')} with the first of the same text, which takes over "
        "judgments and candidates."
    )
    made = [Fix(fix, done, {"same_documents": pairs})]
    return Finding(code, "warning", len(pairs), data.documents, sentence, examples, made)


def query_groups(data: CheckedVersion) -> Array:
    """For each query, the row of the first one with the same text; empty ones are alone."""
    known, found = DigestRows(), [np.zeros(0, np.int64)]
    for row, texts in data.query_texts():
        found.append(_firsts(known, [plain_query(text) for text in texts], row))
    return np.concatenate(found)


def _document_groups(data: CheckedVersion) -> Array:
    """The same for documents."""
    known, found = DigestRows(), [np.zeros(0, np.int64)]
    for row, texts in data.document_texts():
        found.append(_firsts(known, [plain_document(text) for text in texts], row))
    return np.concatenate(found)


def _firsts(known: DigestRows, texts: list[str], start: int) -> Array:
    rows = start + np.arange(len(texts))
    keys = digests_of(texts)
    fresh = known.fresh(keys)
    known.assign(keys[fresh], rows[fresh])
    held = np.array([bool(text) for text in texts], bool)
    return np.asarray(np.where(held, known.find(keys), rows))


def _again(groups: Array) -> Pairs:
    """(row, first row of its group) of every row that is not the first."""
    _, first, place = np.unique(groups, return_index=True, return_inverse=True)
    leader = first[place]
    rows = np.flatnonzero(leader != np.arange(len(groups)))
    return list(zip(rows.tolist(), leader[rows].tolist(), strict=True))


def _first_in(groups: Array, wanted: Array) -> Array:
    """The first wanted row of each group, by the group's number."""
    found = np.full(len(groups), -1, np.int64)
    rows = np.flatnonzero(wanted)[::-1]
    found[groups[rows]] = rows
    return found


def pairs_of_queries(
    data: CheckedVersion, pairs: Pairs, notes: Sequence[str] = ()
) -> list[Example]:
    """(the one that stays, the one that goes) as examples."""
    found = []
    for at, (kept, row) in enumerate(pairs[:EXAMPLES]):
        texts = [(f"query ({split})", text) for split, text in (data.query(kept), data.query(row))]
        note = notes[at] if at < len(notes) else ""
        found.append(Example({"query": kept, "duplicate": row}, texts, note))
    return found


def stand(count: int) -> str:
    return form(count, ("stands", "stand"))
