"""Texts that training would cut: counted with the chosen model's own tokenizer, without torch."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from workbench.checks.memory_estimate import Shape, read_shape
from workbench.checks.tokens import lengths
from workbench.data_check.checked import Array, CheckedVersion, queries_of
from workbench.data_check.report import EXAMPLES, Example, Finding, Fix
from workbench.models.contract import Contract
from workbench.models.resolve import resolve
from workbench.plurals import counted

#: No limit: every text's own number of tokens is asked for.
_ALL = 2**31
#: A text of so few bytes has no more tokens than them and the special ones.
_SPECIAL = 8


def cut_texts(data: CheckedVersion) -> Iterator[Finding]:
    """Queries, and documents, that are longer than the chosen lengths."""
    found = _tokenizer(data)
    if found is None:
        return
    shape, contract = found
    most = shape.positions or _ALL
    asked = _query_tokens(data, shape, contract, min(data.recipe.query_max_len, most))
    held = _document_tokens(data, shape, contract, min(data.recipe.passage_max_len, most))
    yield from _queries(data, asked, min(data.recipe.query_max_len, most))
    yield from _documents(data, held, min(data.recipe.passage_max_len, most))


def cut_pairs(data: CheckedVersion) -> Iterator[Finding]:
    """Scored pairs with a text that is longer: the left is read as a query, the right as a
    document."""
    found = _tokenizer(data) if data.pairs.num_rows else None
    if found is None:
        return
    shape, contract = found
    most = shape.positions or _ALL
    limits = {
        "left": (contract.query_prompt, min(data.recipe.query_max_len, most)),
        "right": (contract.document_prompt, min(data.recipe.passage_max_len, most)),
    }
    beyond = {side: np.zeros(data.pairs.num_rows, np.int32) for side in limits}
    longest = []
    for side, (prompt, limit) in limits.items():
        counts = beyond[side]
        for row, texts in data.pair_texts(side):
            counts[row : row + len(texts)] = _count(shape, texts, prompt, limit)
        counts[counts <= limit] = 0
        if counts.any():
            longest.append(f"{side} {counts.max():,} tokens")
    rows = np.flatnonzero(beyond["left"] + beyond["right"])
    if not len(rows):
        return
    shown = rows[np.argsort(-np.maximum(*beyond.values())[rows], kind="stable")]
    yield Finding(
        "cut-pair",
        "warning" if len(rows) > 0.05 * data.pairs.num_rows else "note",
        len(rows),
        data.pairs.num_rows,
        f"{counted(len(rows), 'scored pair')} with a left text of more than {limits['left'][1]} "
        f"tokens or a right one of more than {limits['right'][1]}: their ends are never read. The "
        f"longest: {', '.join(longest)}.",
        [
            data.pair(row, f"{max(int(one[row]) for one in beyond.values()):,} tokens")
            for row in shown[:EXAMPLES].tolist()
        ],
        # Where most of the training would go, a greater length is the fix.
        []
        if 2 * len(rows) > data.pairs.num_rows
        else [data.untrain("drop-cut-pairs", rows, pairs=True)],
    )


def _tokenizer(data: CheckedVersion) -> tuple[Shape, Contract] | None:
    model = resolve(data.context.workspace, data.recipe.tokenizer)
    base = model.base or model
    shape = read_shape(Path(base.source)) if base.local else None
    if shape is None or shape.tokenizer is None:
        said = (
            f"Truncated texts were not checked: '{model.name}' has no tokenizer file on this "
            "machine."
        )
        if said not in data.notes:
            data.notes.append(said)
        return None
    return shape, model.contract or Contract()


def _queries(data: CheckedVersion, tokens: Array, limit: int) -> Iterator[Finding]:
    rows = np.flatnonzero(tokens > limit)
    if not len(rows):
        return
    longest = rows[np.argsort(-tokens[rows], kind="stable")]
    yield Finding(
        "cut-query",
        "warning" if len(rows) > 0.05 * data.queries else "note",
        len(rows),
        data.queries,
        f"{queries_of(len(rows))} longer than {limit} tokens: their ends are never read. "
        + _enough(tokens, limit, "queries"),
        [data.query_examples([row], f"{tokens[row]:,} tokens")[0] for row in longest[:EXAMPLES]],
        [data.untrain("drop-cut-queries", rows)],
    )


def _documents(data: CheckedVersion, tokens: Array, limit: int) -> Iterator[Finding]:
    rows = np.flatnonzero(tokens > limit)
    if not len(rows):
        return
    longest = rows[np.argsort(-tokens[rows], kind="stable")]
    queries, documents = data.positives()
    whole = np.zeros(data.queries, bool)
    whole[queries[tokens[documents] <= limit]] = True
    lost = np.unique(queries[~whole[queries]])
    lost = lost[data.training(lost)]
    yield Finding(
        "cut-document",
        "warning" if len(rows) > 0.05 * data.documents else "note",
        len(rows),
        data.documents,
        f"{counted(len(rows), 'document')} longer than {limit} tokens: their ends are never read. "
        + _enough(tokens, limit, "documents"),
        [
            Example(
                {"document": int(row)},
                [("document", data.document(int(row)))],
                f"{tokens[row]:,} tokens",
            )
            for row in longest[:EXAMPLES]
        ],
        # Where most of the training would go, a greater length is the fix.
        [] if 2 * len(lost) > data.splits["train"] else [_without(lost)],
    )


def _without(lost: Array) -> Fix:
    return Fix(
        "drop-cut-positives",
        f"Leave {queries_of(len(lost))} out of training whose every positive is cut; the "
        "documents, dev and test stay.",
        {"drop_queries": lost},
    )


def _enough(tokens: Array, limit: int, what: str) -> str:
    """What length would do."""
    p95, longest = int(np.percentile(tokens, 95)), int(tokens.max())
    if p95 <= limit:
        return f"A length of {longest:,} would leave all {what} whole."
    return f"A length of {p95:,} would leave 95% of the {what} whole, {longest:,} all of them."


def _query_tokens(data: CheckedVersion, shape: Shape, contract: Contract, limit: int) -> Array:
    counts = np.zeros(data.queries, np.int32)
    for row, texts in data.query_texts():
        counts[row : row + len(texts)] = _count(shape, texts, contract.query_prompt, limit)
    return counts


def _document_tokens(data: CheckedVersion, shape: Shape, contract: Contract, limit: int) -> Array:
    from workbench.evaluation.texts import join_documents

    counts, row = np.zeros(data.documents, np.int32), 0
    for table in data.reader.iter_documents(1_000):
        data.tick(row / max(1, data.documents))
        texts = join_documents(table, contract).to_pylist()
        found = _count(shape, texts, contract.document_prompt, limit)
        # Of a picture no text is read: its captions are queries.
        counts[row : row + len(texts)] = np.where(table["picture"].is_valid(), 0, found)
        row += len(texts)
    return counts


def _count(shape: Shape, texts: list[str], prompt: str, limit: int) -> Array:
    """Tokens of each text; of one that cannot be cut, its bytes, which are as many at least."""
    assert shape.tokenizer is not None
    counts = np.array([len((prompt + text).encode()) + _SPECIAL for text in texts])
    long = np.flatnonzero(counts > limit)
    if len(long):
        wanted = [texts[place] for place in long.tolist()]
        counts[long] = lengths(shape.tokenizer, "text", wanted, prompt, _ALL)[1]
    return counts
