"""Single texts: those that training would truncate, and those that are hardly meant as texts.

Lengths are counted with the chosen model's own tokenizer, without torch. Lists written out, numbers
alone and placeholders come of cells that were read as they stood: a list that was no list any more,
an empty cell that a program wrote as 'nan'.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from workbench.checks.memory_estimate import read_shape
from workbench.data.text_counts import ODD_KINDS, odd_kind
from workbench.data_check.checked import Array, CheckedVersion, everywhere, queries_of
from workbench.data_check.report import EXAMPLES, Example, Finding, Fix, Severity
from workbench.models.contract import Contract
from workbench.models.resolve import ResolvedModel, resolve
from workbench.plurals import counted

#: No limit: every text's own number of tokens is asked for.
_ALL = 2**31
#: A text of so few bytes has no more tokens than them and the special ones.
_SPECIAL = 8
#: Steps of a tokenizer that part a text at its spaces, and those that change nothing across them.
_SPLITTING = ("BertPreTokenizer", "Whitespace", "WhitespaceSplit")
_WITHIN_WORDS = (
    "BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "Precompiled", "Strip",
    "StripAccents",
)  # fmt: skip
#: Different words that are remembered, and the characters of the longest.
_WORDS, _LONG_WORD = 200_000, 40
_PARALLEL = "TOKENIZERS_PARALLELISM"


def cut_texts(data: CheckedVersion) -> Iterator[Finding]:
    """Queries, and documents, that are longer than the chosen lengths."""
    found = _tokenizer(data)
    if found is None:
        return
    counter, most, contract = found
    asked = _query_tokens(data, counter, contract, min(data.recipe.query_max_len, most))
    held = _document_tokens(data, counter, contract, min(data.recipe.passage_max_len, most))
    yield from _queries(data, asked, min(data.recipe.query_max_len, most))
    yield from _documents(data, held, min(data.recipe.passage_max_len, most))


def cut_pairs(data: CheckedVersion) -> Iterator[Finding]:
    """Scored pairs with a text that is longer: the left is read as a query, the right as a
    document."""
    found = _tokenizer(data) if data.pairs.num_rows else None
    if found is None:
        return
    counter, most, contract = found
    limits = {
        "left": (contract.query_prompt, min(data.recipe.query_max_len, most)),
        "right": (contract.document_prompt, min(data.recipe.passage_max_len, most)),
    }
    beyond = {side: np.zeros(data.pairs.num_rows, np.int32) for side in limits}
    longest = []
    for side, (prompt, limit) in limits.items():
        counts = beyond[side]
        for row, texts in data.pair_texts(side):
            counts[row : row + len(texts)] = counter.longer(texts, prompt, limit)
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


def _tokenizer(data: CheckedVersion) -> tuple["TokenCounter", int, Contract] | None:
    """What counts tokens, the model's own longest text, and its prompts."""
    model = resolve(data.context.workspace, data.recipe.tokenizer)
    found = counter_of(model)
    if found is None:
        said = (
            f"Truncated texts were not checked: '{model.name}' has no tokenizer file on this "
            "machine."
        )
        if said not in data.notes:
            data.notes.append(said)
        return None
    return *found, model.contract or Contract()


def counter_of(model: ResolvedModel) -> tuple["TokenCounter", int] | None:
    """What counts a model's tokens, and the most that it has positions for; None where no
    tokenizer's file is on this machine."""
    base = model.base or model
    shape = read_shape(Path(base.source)) if base.local else None
    if shape is None or shape.tokenizer is None:
        return None
    return TokenCounter(shape.tokenizer), shape.positions or _ALL


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


def _query_tokens(
    data: CheckedVersion, counter: "TokenCounter", contract: Contract, limit: int
) -> Array:
    counts = np.zeros(data.queries, np.int32)
    for row, texts in data.query_texts():
        counts[row : row + len(texts)] = counter.longer(texts, contract.query_prompt, limit)
    return counts


def _document_tokens(
    data: CheckedVersion, counter: "TokenCounter", contract: Contract, limit: int
) -> Array:
    from workbench.evaluation.texts import join_documents

    counts, row = np.zeros(data.documents, np.int32), 0
    for table in data.reader.iter_documents(1_000):
        data.tick(row / max(1, data.documents))
        texts = join_documents(table, contract).to_pylist()
        found = counter.longer(texts, contract.document_prompt, limit)
        # Of a picture no text is read: its captions are queries.
        counts[row : row + len(texts)] = np.where(table["picture"].is_valid(), 0, found)
        row += len(texts)
    return counts


class TokenCounter:
    """Counts tokens with a model's own tokenizer, special ones included; nothing is cut.

    A tokenizer that splits at spaces before all else is asked for each different word once, which
    takes a seventh of the time; any other one for whole texts, on all cores.
    """

    def __init__(self, file: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(file))
        # The file may bring its own cut and padding.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        #: Special tokens of each text.
        self.special: int = self._tokenizer.num_special_tokens_to_add(False)
        self._known: dict[str, int] | None = {"": 0} if splits_at_spaces(self._tokenizer) else None

    def longer(self, texts: list[str], prompt: str, limit: int) -> Array:
        """(n,) tokens of each text behind the prompt, exact of those above ``limit``; of one that
        has no more bytes than it, its bytes, which are as many at least."""
        whole = [prompt + text for text in texts]
        counts = np.array([len(text.encode()) + _SPECIAL for text in whole], np.int64)
        long = np.flatnonzero(counts > limit)
        counts[long] = self.count([whole[place] for place in long.tolist()])
        return counts

    def count(self, texts: list[str]) -> list[int]:
        """The tokens of each text."""
        if self._known is None:
            return self._ask(texts, special=True)
        known = self._known
        split = [text.split(" ") for text in texts]
        fresh = list(set().union(*split).difference(known))
        known.update(zip(fresh, self._ask(fresh, special=False), strict=True))
        counts = [self.special + sum(map(known.__getitem__, words)) for words in split]
        for word in fresh:
            if len(word) > _LONG_WORD:  # Hardly comes again, and there may be many.
                del known[word]
        if len(known) > _WORDS:
            self._known = {"": 0}
        return counts

    def unknown(self, texts: list[str]) -> tuple[Array, Array]:
        """Of each text (n,) its tokens, special ones included, and how many of them are unknown
        to the model. A tokenizer that falls back to bytes knows everything."""
        with _on_all_cores():
            found = self._tokenizer.encode_batch_fast(texts, add_special_tokens=True)
        lengths = np.array([len(one) for one in found], np.int64)
        missing = self._unknown_token()
        if missing is None:
            return lengths, np.zeros(len(texts), np.int64)
        return lengths, np.array([one.ids.count(missing) for one in found], np.int64)

    def _unknown_token(self) -> int | None:
        """The number of the token that stands for what is not known."""
        model = self._tokenizer.model
        if type(model).__name__ == "Unigram":
            described: int | None = json.loads(model.__getstate__())["unk_id"]
            return described
        token = getattr(model, "unk_token", None)
        return None if token is None else self._tokenizer.token_to_id(token)

    def _ask(self, texts: list[str], *, special: bool) -> list[int]:
        with _on_all_cores():
            found = self._tokenizer.encode_batch_fast(texts, add_special_tokens=special)
        return [len(one) for one in found]


@contextmanager
def _on_all_cores() -> Iterator[None]:
    """Workers start with one thread for tokenizers, because they may fork; here nothing does."""
    before = os.environ.get(_PARALLEL)
    os.environ[_PARALLEL] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_PARALLEL]
        else:
            os.environ[_PARALLEL] = before


def splits_at_spaces(tokenizer: Any) -> bool:
    """Whether the tokens of a text are those of its words between spaces, one after the other."""
    splitting = _steps(tokenizer.pre_tokenizer, "pretokenizers")
    changing = _steps(tokenizer.normalizer, "normalizers")
    added = tokenizer.get_added_tokens_decoder().values()
    return (
        bool(splitting)
        and splitting[0]["type"] in _SPLITTING
        # A word by itself would be the first of its text.
        and all(one.get("prepend_scheme") != "first" for one in splitting)
        and all(_is_within_words(one) for one in changing)
        and not any(" " in one.content for one in added)
    )


def _steps(part: Any, name: str) -> list[dict[str, Any]]:
    """A tokenizer's part as its file describes it, step by step."""
    if part is None:
        return []
    found: dict[str, Any] = json.loads(part.__getstate__())
    return list(found[name]) if found["type"] == "Sequence" else [found]


def _is_within_words(step: dict[str, Any]) -> bool:
    if step["type"] == "Replace":
        pattern = step["pattern"]
        if pattern == {"Regex": " {2,}"}:  # Of several spaces one, or a sign that joins words.
            return bool(step["content"] == " ")
        return " " not in pattern.get("String", " ")
    return step["type"] in _WITHIN_WORDS


# Texts that are hardly meant as texts: lists written out, numbers alone, placeholders.
#
# They come of cells that were read as they stood: a list that was no list any more, an empty cell
# that a program wrote as 'nan'.

_SEVERITY: dict[str, Severity] = {"placeholder": "error", "list": "warning", "number": "note"}
#: What they look like, and what to do.
_SAID = {
    "placeholder": (
        "a placeholder for an empty text (nan, None, null, N/A, [], TODO ...)",
        "Leave the cell empty in the file, or fix it here.",
    ),
    "list": (
        "a list that was read as one text",
        "Write the cell as JSON or Python writes a list, or as a list in JSONL or Parquet, and "
        "import the file again.",
    ),
    "number": (
        "a number alone",
        "Look whether an id, a label or a score was read as the text; if so, import the file again "
        "and say which column holds what.",
    ),
}


def odd_queries(data: CheckedVersion) -> Iterator[Finding]:
    """Queries that are a placeholder, a list or a number."""
    for kind, rows in _found(data.query_texts()).items():
        fixes = [everywhere("drop-placeholder-queries", rows)] if kind == "placeholder" else []
        yield Finding(
            f"{kind}-query",
            _SEVERITY[kind],
            len(rows),
            data.queries,
            _sentence(kind, queries_of(len(rows))),
            data.query_examples(rows),
            fixes,
        )


def odd_documents(data: CheckedVersion) -> Iterator[Finding]:
    """Documents of these kinds, and how many of them are relevant to a query."""
    found = _found(data.document_texts())
    if not found:
        return
    relevant = np.unique(data.positives()[1])
    for kind, rows in found.items():
        right = np.isin(rows, relevant)
        # The relevant ones do the most harm: they are shown first.
        shown = [*rows[right].tolist(), *rows[~right].tolist()][:EXAMPLES]
        some = f" ({int(right.sum()):,} of them relevant to a query)"
        yield Finding(
            f"{kind}-document",
            _SEVERITY[kind],
            len(rows),
            data.documents,
            _sentence(kind, counted(len(rows), "document") + some),
            [_example(data, row, bool(row in relevant)) for row in shown],
            [_without_documents(data, rows)] if kind == "placeholder" else [],
        )


def odd_pairs(data: CheckedVersion) -> Iterator[Finding]:
    """Scored pairs with such a text on either side."""
    sides = [_found(data.pair_texts(side)) for side in ("left", "right")]
    for kind in ODD_KINDS:
        parts = [side[kind] for side in sides if kind in side]
        if not parts:
            continue
        rows = np.unique(np.concatenate(parts))
        fix = everywhere("drop-placeholder-pairs", rows, pairs=True)
        yield Finding(
            f"{kind}-pair-text",
            _SEVERITY[kind],
            len(rows),
            data.pairs.num_rows,
            _sentence(kind, counted(len(rows), "scored pair")),
            [data.pair(row) for row in rows[:EXAMPLES].tolist()],
            [fix] if kind == "placeholder" else [],
        )


def _found(parts: Iterable[tuple[int, list[str]]]) -> dict[str, Array]:
    """The rows of each kind, for the kinds that there are."""
    rows: dict[str, list[int]] = {kind: [] for kind in ODD_KINDS}
    for start, texts in parts:
        for place, text in enumerate(texts):
            kind = odd_kind(text)
            if kind is not None:
                rows[kind].append(start + place)
    return {kind: np.array(found, np.int64) for kind, found in rows.items() if found}


def _sentence(kind: str, what: str) -> str:
    looks, hint = _SAID[kind]
    return f"The whole text looks like {looks}: {what}. {hint}"


def _example(data: CheckedVersion, row: int, relevant: bool) -> Example:
    note = "relevant to a query" if relevant else ""
    return Example({"document": row}, [("document", data.document(row))], note)


def _without_documents(data: CheckedVersion, documents: Array) -> Fix:
    """Judgments and candidates that name these documents go; the documents stay in the corpus."""
    edges: dict[str, Any] = {}
    for kind in ("judgments", "candidates"):
        found = [np.zeros((0, 2), np.int64)]
        for table in data.edges(kind):
            both = np.stack([table["query"].to_numpy(), table["document"].to_numpy()], axis=1)
            found.append(both[np.isin(both[:, 1], documents)])
        edges[f"drop_{kind}"] = np.concatenate(found)
    words = (
        f"Take away what is judged or given of {counted(len(documents), 'document')}, in every "
        "split; queries without another relevant document go too."
    )
    return Fix("drop-placeholder-documents", words, edges)
