"""How long texts are in a model's own tokens, and how much of them it knows. Torch-free."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.data_check.languages import UNKNOWN, likelihoods
from workbench.data_check.lengths import TokenCounter

Counts = NDArray[np.int64]

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
