"""Texts that training would cut: counted with the chosen model's own tokenizer, without torch."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from workbench.checks.memory_estimate import Shape, read_shape
from workbench.checks.tokens import lengths
from workbench.doctor.exam import Array, Exam, counted, queries_of
from workbench.doctor.queries import without
from workbench.doctor.report import EXAMPLES, Example, Finding, Mend
from workbench.models.contract import Contract
from workbench.models.resolve import resolve

#: No limit: every text's own number of tokens is asked for.
_ALL = 2**31
#: A text of so few bytes has no more tokens than them and the special ones.
_SPECIAL = 8


def cut_texts(exam: Exam) -> Iterator[Finding]:
    """Queries, and documents, that are longer than the chosen lengths."""
    found = _tokenizer(exam)
    if found is None:
        return
    shape, contract = found
    most = shape.positions or _ALL
    asked = _query_tokens(exam, shape, contract, min(exam.recipe.query_max_len, most))
    held = _document_tokens(exam, shape, contract, min(exam.recipe.passage_max_len, most))
    yield from _queries(exam, asked, min(exam.recipe.query_max_len, most))
    yield from _documents(exam, held, min(exam.recipe.passage_max_len, most))


def cut_pairs(exam: Exam) -> Iterator[Finding]:
    """Scored pairs with a text that is longer: the left is read as a query, the right as a
    document."""
    found = _tokenizer(exam) if exam.pairs.num_rows else None
    if found is None:
        return
    shape, contract = found
    most = shape.positions or _ALL
    limits = {
        "left": (contract.query_prompt, min(exam.recipe.query_max_len, most)),
        "right": (contract.document_prompt, min(exam.recipe.passage_max_len, most)),
    }
    beyond = {side: np.zeros(exam.pairs.num_rows, np.int32) for side in limits}
    longest = []
    for side, (prompt, limit) in limits.items():
        counts = beyond[side]
        for row, texts in exam.pair_texts(side):
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
        "warning" if len(rows) > 0.05 * exam.pairs.num_rows else "note",
        len(rows),
        exam.pairs.num_rows,
        f"{counted(len(rows), 'scored pair')} with a left text of more than {limits['left'][1]} "
        f"tokens or a right one of more than {limits['right'][1]}: their ends are never read. The "
        f"longest: {', '.join(longest)}.",
        [
            exam.pair(row, f"{max(int(one[row]) for one in beyond.values()):,} tokens")
            for row in shown[:EXAMPLES].tolist()
        ],
        # Where most of the training would go, a greater length is the mend.
        [] if 2 * len(rows) > exam.pairs.num_rows else [without(exam, "drop-cut-pairs", rows)],
    )


def _tokenizer(exam: Exam) -> tuple[Shape, Contract] | None:
    model = resolve(exam.context.workspace, exam.recipe.tokenizer)
    base = model.base or model
    shape = read_shape(Path(base.source)) if base.local else None
    if shape is None or shape.tokenizer is None:
        said = (
            f"Cut texts were not looked for: '{model.name}' has no tokenizer file on this machine."
        )
        if said not in exam.notes:
            exam.notes.append(said)
        return None
    return shape, model.contract or Contract()


def _queries(exam: Exam, tokens: Array, limit: int) -> Iterator[Finding]:
    rows = np.flatnonzero(tokens > limit)
    if not len(rows):
        return
    longest = rows[np.argsort(-tokens[rows], kind="stable")]
    trained = rows[exam.training(rows)]
    yield Finding(
        "cut-query",
        "warning" if len(rows) > 0.05 * exam.queries else "note",
        len(rows),
        exam.queries,
        f"{queries_of(len(rows))} longer than {limit} tokens: their ends are never read. "
        + _enough(tokens, limit, "queries"),
        [exam.query_examples([row], f"{tokens[row]:,} tokens")[0] for row in longest[:EXAMPLES]],
        [
            Mend(
                "drop-cut-queries",
                f"Leave {queries_of(len(trained))} out of training; dev and test stay.",
                {"drop_queries": trained},
            )
        ],
    )


def _documents(exam: Exam, tokens: Array, limit: int) -> Iterator[Finding]:
    rows = np.flatnonzero(tokens > limit)
    if not len(rows):
        return
    longest = rows[np.argsort(-tokens[rows], kind="stable")]
    queries, documents = exam.positives()
    whole = np.zeros(exam.queries, bool)
    whole[queries[tokens[documents] <= limit]] = True
    lost = np.unique(queries[~whole[queries]])
    lost = lost[exam.training(lost)]
    yield Finding(
        "cut-document",
        "warning" if len(rows) > 0.05 * exam.documents else "note",
        len(rows),
        exam.documents,
        f"{counted(len(rows), 'document')} longer than {limit} tokens: their ends are never read. "
        + _enough(tokens, limit, "documents"),
        [
            Example(
                {"document": int(row)},
                [("document", exam.document(int(row)))],
                f"{tokens[row]:,} tokens",
            )
            for row in longest[:EXAMPLES]
        ],
        # Where most of the training would go, a greater length is the mend.
        [] if 2 * len(lost) > exam.splits["train"] else [_without(lost)],
    )


def _without(lost: Array) -> Mend:
    return Mend(
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


def _query_tokens(exam: Exam, shape: Shape, contract: Contract, limit: int) -> Array:
    counts = np.zeros(exam.queries, np.int32)
    for row, texts in exam.query_texts():
        counts[row : row + len(texts)] = _count(shape, texts, contract.query_prompt, limit)
    return counts


def _document_tokens(exam: Exam, shape: Shape, contract: Contract, limit: int) -> Array:
    from workbench.evaluation.texts import join_documents

    counts, row = np.zeros(exam.documents, np.int32), 0
    for table in exam.reader.iter_documents(1_000):
        exam.tick(row / max(1, exam.documents))
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
