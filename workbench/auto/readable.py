"""How long texts are in a model's own tokens, and how much of them it knows. Torch-free."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.data.reader import DatasetReader
from workbench.data_check.languages import UNKNOWN, likelihoods
from workbench.data_check.lengths import TokenCounter
from workbench.evaluation.texts import join_documents
from workbench.models.contract import Contract

Counts = NDArray[np.int64]

#: Whose queries are looked at: never test's.
SPLITS = ("train", "dev")
#: Texts that stand for all of them.
SAMPLE = 2_000
#: Texts by which the language is told, and how many together: of one short text it seldom is sure.
_TOLD, _TOGETHER, _START = 200, 20, 100
#: How likely a language must be, to be named.
_LIKELY = 0.5


@dataclass(frozen=True, slots=True)
class Tokens:
    """Of texts (a sample where there are many): tokens each, special ones included."""

    texts: int
    mean: float
    median: int
    p90: int
    longest: int
    #: The share of the tokens, special ones aside, that are unknown to the model.
    unknown: float


def tokens_of(counter: TokenCounter, texts: Sequence[str], prompt: str) -> tuple[Tokens, Counts]:
    """What the texts (at least one) have behind the prompt, and each one's count (n,)."""
    counts, unknown = counter.unknown([prompt + text for text in texts])
    median, p90 = np.percentile(counts, [50, 90], method="higher")
    found = Tokens(
        texts=len(texts),
        mean=float(counts.mean()),
        median=int(median),
        p90=int(p90),
        longest=int(counts.max()),
        unknown=float(unknown.sum() / max(1, (counts - counter.special).sum())),
    )
    return found, counts


#: A base that cannot read so much of the texts is the wrong one. English text in an English
#: model's tokens has next to nothing unknown, Chinese text in the same about half.
UNREADABLE = 0.1


def unknown_share(queries: Tokens | None, documents: Tokens | None) -> float:
    """The documents' share of unknown tokens, since most of the text is theirs; the queries' where
    these alone cannot be read."""
    held = documents.unknown if documents else 0.0
    asked = queries.unknown if queries else 0.0
    return held if held >= UNREADABLE else max(held, asked)


def language_of(texts: Sequence[str]) -> str:
    """The code of the language that most of the texts are likely in; '' where none is."""
    starts = [text[:_START] for text in texts[:_TOLD]]
    parts = [" ".join(starts[at : at + _TOGETHER]) for at in range(0, len(starts), _TOGETHER)]
    likely: dict[str, float] = defaultdict(float)
    for part in parts:
        for language, sure in likelihoods()(part):
            likely[language] += sure / len(parts)
    best = max(likely, key=lambda one: likely[one], default=UNKNOWN)
    return best if likely[best] > _LIKELY else UNKNOWN


def spread_rows(count: int) -> list[int]:
    """At most :data:`SAMPLE` of so many rows, evenly from all of them."""
    return np.unique(np.linspace(0, count - 1, min(count, SAMPLE)).astype(np.int64)).tolist()


@dataclass(frozen=True)
class Texts:
    """What the base's tokenizer makes of the texts; None and '' where it has no file."""

    queries: Tokens | None
    documents: Tokens | None
    #: (n,) tokens of a sample of documents.
    counts: Counts | None
    positions: int
    language: str

    @classmethod
    def of(
        cls,
        reader: DatasetReader,
        contract: Contract,
        counter: tuple[TokenCounter, int] | None,
    ) -> "Texts":
        """``counter``: what counts the model's tokens, and the most it has positions for."""
        rows = spread_rows(int(reader.counts["documents"]))
        held = join_documents(reader.documents_at(rows), contract).to_pylist()
        language = language_of(held)
        if counter is None:
            return cls(None, None, None, contract.passage_max_len, language)
        tokens, positions = counter
        every = [text for split in SPLITS for text in reader.queries(split)["text"].to_pylist()]
        asked = [every[row] for row in spread_rows(len(every))]
        documents, counts = tokens_of(tokens, held, contract.document_prompt)
        queries, _ = tokens_of(tokens, asked, contract.query_prompt)
        return cls(queries, documents, counts, positions, language)

    def mean_cut_at(self, length: int) -> float:
        """What a document has on average where it is cut."""
        if self.counts is None:
            return float(length)
        return float(np.minimum(self.counts, length).mean())
