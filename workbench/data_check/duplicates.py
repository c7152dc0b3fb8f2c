"""The same text twice: queries that leak from one split into another, documents in two copies."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from rensa import RMinHash

from workbench.data.digests import DigestRows
from workbench.data.splits import SPLITS
from workbench.data_check.checked import (
    Array,
    CheckedVersion,
    bare,
    digests_of,
    grams,
    queries_of,
)
from workbench.data_check.report import EXAMPLES, Example, Finding, Fix
from workbench.plurals import counted, form

# Near duplicates: MinHash signatures (by rensa), brought together by bands of them.
#
# What is kept per text is a signature of 256 bytes and a digest, not the text.

Check = Callable[[], None]
HASHES = 128
_SEED = 42
#: In a band, texts are compared with so many neighbours and with the first.
_NEIGHBOURS = 15
_CHUNK = 200_000


class NearDuplicates:
    """Takes texts in, in the order of their rows; says which are alike."""

    def __init__(self, similarity: float) -> None:
        self._similarity = similarity
        self._rows = 0
        #: The first text of each different (bare) one, its signature and its digest.
        self._firsts: list[Array] = []
        self._signatures: list[Array] = []
        self._digests: list[Array] = []
        self._known = DigestRows()
        #: Rows whose bare text stood in an earlier row already: (row, that row).
        self._equal: list[Array] = []

    def add(self, texts: Sequence[str]) -> None:
        """The texts of the next rows."""
        naked = [bare(text) for text in texts]
        rows = self._rows + np.arange(len(naked))
        self._rows += len(naked)
        held = np.array([bool(text) for text in naked], bool)
        rows, naked = rows[held], [text for text in naked if text]
        if not naked:
            return
        keys = digests_of(naked)
        fresh = self._known.fresh(keys)
        self._known.assign(keys[fresh], rows[fresh])
        leaders = self._known.find(keys)
        again = leaders != rows
        self._equal.append(np.stack([rows[again], leaders[again]], axis=1))
        flat, starts = grams(naked[place] for place in fresh.tolist())
        made = RMinHash.digest_matrix_from_flat_token_hashes(flat, starts, HASHES, _SEED)
        signatures = np.array(made.to_rows(), np.uint64).reshape(len(fresh), HASHES)
        # Sixteen bits tell as much here as all: two hashes agree by chance once in 65,536.
        self._signatures.append((signatures >> np.uint64(8)).astype(np.uint16))
        self._firsts.append(rows[fresh])
        self._digests.append(keys[fresh, 0])

    def pairs(self, check: Check = lambda: None) -> tuple[Array, Array]:
        """(m, 2) rows of alike texts, each pair once and the lower row first; their likeness.

        Of equal texts only the first row is paired with others, and each other one with it. In
        large crowds of alike texts not every pair is named, but each text is with its neighbours.
        """
        firsts, signatures = _all(self._firsts, (0,)), _all(self._signatures, (0, HASHES))
        found = self._alike(signatures, _all(self._digests, (0,)), check)
        alike = np.sort(firsts.astype(np.int64)[found], axis=1)
        likeness = _likeness(signatures, found)
        equal = _all(self._equal, (0, 2)).astype(np.int64)[:, ::-1]
        pairs = np.concatenate([alike.reshape(-1, 2), equal])
        likeness = np.concatenate([likeness, np.ones(len(equal))])
        order = np.lexsort((pairs[:, 1], pairs[:, 0]))
        return pairs[order], likeness[order]

    def same_as(self, check: Check = lambda: None) -> dict[int, tuple[int, float]]:
        """Row -> the lowest row that it duplicates, and how alike they are.

        A text that is alike only to a duplicate, and not to the one that is kept, stays.
        """
        firsts, signatures = _all(self._firsts, (0,)), _all(self._signatures, (0, HASHES))
        place = {row: at for at, row in enumerate(firsts.tolist())}
        found: dict[int, tuple[int, float]] = {}
        pairs, likeness = self.pairs(check)
        for (low, high), alike in zip(pairs.tolist(), likeness.tolist(), strict=True):
            if high in found:
                continue
            leader, alike = (found[low][0], -1.0) if low in found else (low, alike)
            if alike < 0:
                if high not in place:  # The very text of one that was a duplicate itself.
                    alike = found[low][1]
                else:
                    both = np.array([[place[leader], place[high]]])
                    alike = float(_likeness(signatures, both)[0])
            if alike >= self._similarity:
                found[high] = (leader, alike)
        return found

    def _alike(self, signatures: Array, tellers: Array, check: Check) -> Array:
        """(m, 2) places of signatures alike enough, each pair once."""
        kept = [np.zeros(0, np.int64)]
        if len(signatures) < 2:
            return np.zeros((0, 2), np.int64)
        width = 8 if self._similarity >= 0.8 else 4
        for start in range(0, HASHES, width):
            check()
            band = np.ascontiguousarray(signatures[:, start : start + width])
            keys = band.view(np.uint64).reshape(len(band), -1)
            # Neighbours are decided by the texts alone, so the rows' order changes nothing.
            order = np.lexsort((tellers, *keys.T))
            for some in _together(order, keys[order]):
                for begin in range(0, len(some), _CHUNK):
                    check()
                    part = some[begin : begin + _CHUNK]
                    close = part[_likeness(signatures, part) >= self._similarity]
                    low, high = close.min(axis=1), close.max(axis=1)
                    kept.append((low.astype(np.int64) << 32) | high)
            kept = [np.unique(np.concatenate(kept))]
        return np.stack([kept[0] >> 32, kept[0] & 0xFFFFFFFF], axis=1)


def _together(order: Array, keys: Array) -> list[Array]:
    """Places whose keys are equal, as pairs: near neighbours, and each with the first."""
    begins = np.ones(len(order), bool)
    begins[1:] = (keys[1:] != keys[:-1]).any(axis=1)
    group = np.cumsum(begins) - 1
    found: list[Array] = []
    for step in range(1, _NEIGHBOURS + 1):
        same = np.flatnonzero(group[step:] == group[:-step])
        if not len(same):
            return found
        found.append(np.stack([order[same], order[same + step]], axis=1))
    first = np.flatnonzero(begins)[group]
    far = np.flatnonzero(np.arange(len(order)) - first > _NEIGHBOURS)
    found.append(np.stack([order[first[far]], order[far]], axis=1))
    return found


def _likeness(signatures: Array, pairs: Array) -> Array:
    """The share of hashes that agree: an estimate of the Jaccard similarity."""
    parts = [
        (signatures[part[:, 0]] == signatures[part[:, 1]]).mean(axis=1)
        for begin in range(0, len(pairs), _CHUNK)
        for part in [pairs[begin : begin + _CHUNK]]
    ]
    return np.concatenate([np.zeros(0), *parts])


def _all(parts: list[Array], shape: tuple[int, ...]) -> Array:
    if not parts:
        return np.zeros(shape, np.uint16 if len(shape) == 2 and shape[1] == HASHES else np.int64)
    if len(parts) > 1:  # Put together once; the pieces are let go.
        parts[:] = [np.concatenate(parts)]
    return parts[0]


Pairs = list[tuple[int, int]]


def leaks(data: CheckedVersion) -> Iterator[Finding]:
    """Queries that stand in two splits, word by word."""
    groups = data.query_groups
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
    groups = data.query_groups
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
    groups = data.document_groups
    copies = np.flatnonzero(groups != np.arange(len(groups)))
    again = list(zip(copies.tolist(), groups[copies].tolist(), strict=True))
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
    groups = data.document_groups
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
