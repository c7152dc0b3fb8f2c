"""What a look at the data found before anything is trained, and what follows from it. Torch-free.

The look (``take.py``) is one pass of the base over a person's own queries: how well it ranks at
each length of passages, how well BM25 does, which documents are hard to tell from the relevant
ones, how long texts are and how much of them the base can read.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from workbench.auto.decisions import Decision
from workbench.auto.readable import UNREADABLE, Tokens, unknown_share
from workbench.comparison.names import HEADLINE
from workbench.comparison.significance import randomization_p_value
from workbench.models.resolve import catalogue

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

JSON_FILE, ARRAYS_FILE = "look.json", "look.npz"
#: Raised when what is kept changes its meaning.
FORMAT = 3


@dataclass(frozen=True, slots=True)
class Trial:
    """A length on a part of the pool: its MAP, and that of the contract's own length there."""

    map: float
    own: float
    queries: int
    documents: int


@dataclass(frozen=True, eq=False)
class Look:
    """What was found. Values are AP@100 of each query of ``queries`` over the documents ``rows``.
    Lengths are of passages, in tokens."""

    #: The contract's own length.
    own: int
    #: (n,) rows of the judged train and dev queries that were asked, ascending.
    queries: Rows
    #: (n,) numbers of clusters: queries that share a relevant document are in one.
    clusters: Rows
    #: Length -> (n,) AP of the base; the own length is always there.
    values: Mapping[int, Floats]
    #: (n,) AP of BM25 over the same documents.
    bm25: Floats
    #: Row of a query that was asked -> documents that the base ranks first and that probably do not
    #: answer it (:func:`workbench.auto.look_pool.mined_negatives`), the hardest first: what a model
    #: may be trained with.
    mined: Mapping[int, Rows]
    #: Row of a judged query, asked or not -> BM25's first that are not relevant: what a model is
    #: judged among. The base's own first documents are where the base errs; among them any other
    #: model looks better than it is.
    words: Mapping[int, Rows]
    #: Rows of the documents searched, ascending; and how many the data set has.
    rows: Rows
    corpus: int
    #: (n,) how many documents are relevant to each query.
    positives: Rows
    #: In the base's tokens; None without a tokenizer's file.
    query_tokens: Tokens | None = None
    document_tokens: Tokens | None = None
    #: The code of the language that most documents are in, '' where it cannot be told.
    language: str = ""
    #: Lengths that were tried on a part of the pool alone.
    trials: Mapping[int, Trial] = field(default_factory=dict)

    @property
    def documents(self) -> int:
        """How many documents were searched."""
        return len(self.rows)

    @property
    def judged(self) -> int:
        """How many judged queries train and dev have, asked or not."""
        return max(len(self.words), len(self.queries))

    @property
    def lengths(self) -> list[int]:
        """All that were tried."""
        return sorted({*self.values, *self.trials})

    @property
    def unknown(self) -> float:
        """The share of tokens unknown to the base."""
        return unknown_share(self.query_tokens, self.document_tokens)

    def map(self, length: int) -> float:
        """The base's MAP@100 at a length that was measured on the whole pool."""
        return float(self.values[length].mean())

    def summary(self) -> dict[str, Any]:
        """What a result says of it."""
        tried: list[dict[str, Any]] = [
            {"length": length, HEADLINE: self.map(length)} for length in self.values
        ]
        for length, one in self.trials.items():
            about = {"own": one.own, "queries": one.queries, "documents": one.documents}
            tried.append({"length": length, HEADLINE: one.map, **about})
        return {
            "lengths": sorted(tried, key=lambda one: int(one["length"])),
            "bm25": float(self.bm25.mean()),
            "unknown": self.unknown,
            "documents": self.documents,
            "corpus": self.corpus,
            "queries": len(self.queries),
            "judged": self.judged,
        }

    def write(self, folder: Path) -> None:
        """Two files in the folder, the JSON last: where it is, both are whole."""
        arrays: dict[str, Any] = {
            "queries": self.queries,
            "clusters": self.clusters,
            "bm25": self.bm25,
            "rows": self.rows,
            "positives": self.positives,
            **_listed("mined", self.mined),
            **_listed("words", self.words),
            **{f"length_{length}": values for length, values in self.values.items()},
        }
        about = {
            "format": FORMAT,
            "own": self.own,
            "corpus": self.corpus,
            "lengths": list(self.values),
            "query_tokens": self.query_tokens and asdict(self.query_tokens),
            "document_tokens": self.document_tokens and asdict(self.document_tokens),
            "language": self.language,
            "trials": {str(length): asdict(one) for length, one in self.trials.items()},
        }
        folder.mkdir(parents=True, exist_ok=True)
        with _beside(folder / ARRAYS_FILE) as path, path.open("wb") as file:
            np.savez_compressed(file, **arrays)
        with _beside(folder / JSON_FILE) as path:
            path.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "Look | None":
        """The look in a folder; None where there is none, or where it cannot be read."""
        try:
            about = json.loads((folder / JSON_FILE).read_text(encoding="utf-8"))
            if about["format"] != FORMAT:
                return None
            with np.load(folder / ARRAYS_FILE) as kept:
                return _assembled(about, dict(kept))
        except (OSError, ValueError, KeyError, TypeError, BadZipFile):
            return None


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Where to write a file that is then moved to its place: the old one or the new, never half."""
    # Two jobs may look at the same data at once, and keep it at the same place.
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    yield beside
    beside.replace(path)


def _listed(name: str, found: Mapping[int, Rows]) -> dict[str, Rows]:
    """Each query's documents in three arrays."""
    lists = list(found.values())
    return {
        f"{name}_queries": np.array(list(found), np.int64),
        f"{name}_counts": np.array([len(one) for one in lists], np.int64),
        f"{name}_documents": np.concatenate([np.zeros(0, np.int64), *lists]),
    }


def _by_query(arrays: Mapping[str, Rows], name: str) -> dict[int, Rows]:
    """What :func:`_listed` makes arrays of."""
    ends = np.cumsum(arrays[f"{name}_counts"])[:-1]
    lists = np.split(arrays[f"{name}_documents"], ends)
    return dict(zip(arrays[f"{name}_queries"].tolist(), lists, strict=True))


def _assembled(about: dict[str, Any], arrays: dict[str, Any]) -> Look:
    tokens = {
        name: Tokens(**about[name]) if about[name] else None
        for name in ("query_tokens", "document_tokens")
    }
    return Look(
        own=about["own"],
        queries=arrays["queries"],
        clusters=arrays["clusters"],
        values={length: arrays[f"length_{length}"] for length in about["lengths"]},
        bm25=arrays["bm25"],
        mined=_by_query(arrays, "mined"),
        words=_by_query(arrays, "words"),
        rows=arrays["rows"],
        corpus=about["corpus"],
        positives=arrays["positives"],
        language=about["language"],
        trials={int(length): Trial(**one) for length, one in about["trials"].items()},
        **tokens,
    )


# The lengths to serve and to train at.

#: MAP by which a shorter length must be ahead of the contract's own, and a longer one: less is not
#: worth a model that reads otherwise, and every later search with a longer one is dearer.
SHORTER, LONGER = 0.005, 0.01
#: With a smaller p-value it is no luck.
LEVEL = 0.05
#: Training lengths are whole multiples of this, and at least as long.
STEP, SHORTEST = 16, 32


def serving_length(look: Look) -> Decision:
    """How long passages are read when the model is used.

    The contract's own length, unless another is ahead by its margin and by more than luck: the
    paired randomization test over clusters of queries, one-sided, its level divided among the
    other lengths (Bonferroni). The own length is what the model was published with, and what
    vectors made before were made with: in doubt it stays.
    """
    others = sorted((one for one in look.values if one != look.own), key=lambda one: -look.map(one))
    for length in others:
        if _ahead(look, length, LEVEL / len(others)):
            said = f"base MAP on your queries {_number(look.map(length))} at {length} tokens"
            behind = f"against {_number(look.map(look.own))} at {look.own}, its own length"
            return Decision("serving_length", length, f"{said} {behind}", "measured")
    return _kept(look, others)


def margin(own: int, length: int) -> float:
    """MAP by which a length must be ahead of the contract's own."""
    return SHORTER if length < own else LONGER


def _kept(look: Look, others: list[int]) -> Decision:
    """The contract's own length, and what spoke for it."""
    own = look.own
    if len(look.lengths) == 1:
        why = "the model's own length; no other one would cut the texts differently"
        return Decision("serving_length", own, why, "rule")
    base, tried = look.map(own), {one: look.map(one) for one in others}
    for length, one in look.trials.items():
        # What was measured on fewer queries is told by its difference there.
        tried[length] = base + one.map - one.own
    against = " and ".join(f"{_number(tried[one])} at {one}" for one in sorted(tried))
    said = f"base MAP on your queries {_number(base)} at {own} tokens against {against}"
    best = max(tried, key=lambda one: tried[one])
    if tried[best] > base:
        said += f"; what {best} is ahead may be chance"
    return Decision("serving_length", own, said, "measured")


def lengths_ahead(look: Look, serving: int) -> list[int]:
    """The lengths at which the base is better than at the serving one, be it by chance:
    a trained model has to beat it there, too. Those measured on the whole pool alone."""
    if serving not in look.values:
        return []
    return [one for one in sorted(look.values) if look.map(one) > look.map(serving)]


def _ahead(look: Look, length: int, level: float) -> bool:
    differences = look.values[length] - look.values[look.own]
    if differences.mean() < margin(look.own, length):
        return False
    summed = np.bincount(look.clusters, weights=differences).astype(np.float64)
    # Two-sided, and the sign is known.
    return randomization_p_value(summed, seed=0) / 2 < level


def training_length(look: Look, serving: int | None = None) -> Decision:
    """After how many tokens passages are cut in training: what nine of ten documents need, never
    more than is read later (``serving``; the look's own choice where it is None)."""
    most = int(serving_length(look).value) if serving is None else serving
    return length_for(look.document_tokens, most)


def length_for(tokens: Tokens | None, most: int) -> Decision:
    """The same by the documents' ``tokens``, where ``most`` of them are read later."""
    if tokens is None:
        why = "as far as passages are read later; the base has no tokenizer file to count with"
        return Decision("passage_max_len", most, why, "rule")
    enough = max(SHORTEST, -(-tokens.p90 // STEP) * STEP)
    if enough >= most:
        why = f"as far as passages are read later; one of ten documents is longer than {tokens.p90}"
        return Decision("passage_max_len", most, why, "rule")
    why = f"nine of ten documents have {tokens.p90} tokens or fewer"
    return Decision("passage_max_len", enough, why, "rule")


# What a person should know before training.

#: A base with so high a MAP has little left to win: training seldom finds more than a third of
#: what is missing, and less than .025 is hard to tell from luck.
CEILING = 0.93
#: BM25 is worth a word where it is ahead by so much.
WORDS_AHEAD = 0.05
#: Models recommended, and the millions of parameters of the largest.
_NAMED, _LARGEST = 3, 600
#: Languages by their codes, as the catalogue calls them.
_LANGUAGES = {"zh": "Chinese", "en": "English"}


def at_ceiling(look: Look) -> bool:
    """Whether the base is so good on these queries that little can be won."""
    return max(look.map(length) for length in look.values) >= CEILING


def warnings(look: Look) -> list[str]:
    """Sentences that a person can act on: the base cannot read the texts, words alone do better,
    there is little left to win."""
    best = max(look.map(length) for length in look.values)
    words = float(look.bm25.mean())
    ahead = words >= best + WORDS_AHEAD
    found = []
    if look.unknown >= UNREADABLE:
        found.append(unreadable(look.unknown, look.language, words, best if ahead else None))
    elif ahead:
        found.append(
            f"BM25 alone has MAP {_number(words)} on your queries, this model {_number(best)}: "
            "compare the trained model with it, or start from another model."
        )
    if at_ceiling(look):
        found.append(
            f"This model has MAP {_number(best)} on your queries already: there is little that "
            "training can add, and it may make other queries worse."
        )
    return found


def unreadable(unknown: float, language: str, bm25: float, base: float | None = None) -> str:
    """That a base does not know this share of the tokens, and what to start from. ``bm25``: its
    MAP on the queries; ``base``: the base's, where it is worth a word."""
    compared = f" (this model has {_number(base)})" if base is not None else ""
    return (
        f"{unknown:.0%} of your tokens are unknown to this model; BM25 alone has MAP "
        f"{_number(bm25)} here{compared}. Start from a model of your language, such as "
        f"{', '.join(models_for(language))}."
    )


def models_for(language: str) -> list[str]:
    """Embedding models of the catalogue for a language (its code), small ones first: those of this
    language, then one of many languages; for one that is not told, those of many."""
    name = _LANGUAGES.get(language)
    fit = [one for one in catalogue("embedding") if one.parameters and one.parameters <= _LARGEST]
    many = [one for one in fit if "about" in one.languages or "more than" in one.languages]
    own = [one for one in fit if name and one.languages == name]
    small = sorted(own, key=lambda one: one.parameters or 0)[: _NAMED - 1]
    rest = sorted(many, key=lambda one: one.parameters or 0)
    return [one.id for one in [*small, *rest]][:_NAMED]


def _number(value: float) -> str:
    """MAP as it is printed elsewhere: '.944'."""
    return f"{value:.3f}".removeprefix("0")
