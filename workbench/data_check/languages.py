"""In which languages the texts are: told by py3langid's model, and only where it is sure.

The library reads one text at a time, byte by byte in Python. Here many texts take each step
together, with the same verdicts at a tenth of its time: every text is looked at, no sample.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from workbench.data_check.checked import Array, CheckedVersion, queries_of
from workbench.data_check.report import EXAMPLES, Example, Finding, Fix
from workbench.plurals import form

#: How sure the classifier must be; what is short or mostly names, numbers or code is not told.
SURE = 0.95
#: Of a text that is in no language: numbers, signs.
NO_LANGUAGE = "zxx"
UNKNOWN = ""
#: Characters of a text that are looked at.
_START = 400
#: Texts that take each step together: their states fit the processor's cache.
_AT_ONCE = 500
#: Fewer texts than this in another language are chance.
_FEW = 3


@cache
def likelihoods() -> Callable[[str], list[tuple[str, float]]]:
    """Text -> every language's code with how likely it is (0 to 1), the likeliest first."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    known = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    def tell(text: str) -> list[tuple[str, float]]:
        return [(str(language), float(sure)) for language, sure in known.rank(text)]

    return tell


class _Model(NamedTuple):
    """py3langid's model: an automaton over bytes that completes features, and naive Bayes."""

    #: Place of (state, byte) in ``moves``: the state's row of 256, plus the byte.
    row: Array
    moves: Array
    #: The feature that is complete in a state, or -1.
    complete: Array
    #: (features, languages) log-likelihoods, and the languages' priors.
    weights: Array
    prior: Array
    codes: Array
    #: Columns of the same language: (first, other).
    doubles: list[tuple[int, int]]


@cache
def _model() -> _Model:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    known = LanguageIdentifier.from_model_file(MODEL_FILE)
    codes = list(known.nb_classes)
    return _Model(
        np.asarray(known.tk_row).astype(np.intp) << 8,
        np.asarray(known.tk_nextmove),
        np.asarray(known.tk_output, np.int32),
        # Kept as 16 bits, which every product would have to widen.
        known.nb_ptc.astype(np.float32),
        known.nb_pc,
        np.array(codes, "U8"),
        [(codes.index(code), at) for at, code in enumerate(codes) if codes.index(code) != at],
    )


def told(texts: Sequence[str]) -> Array:
    """(n,) language codes, '' where the model is not sure."""
    parts = [_told(texts[start : start + _AT_ONCE]) for start in range(0, len(texts), _AT_ONCE)]
    return np.concatenate([np.zeros(0, "U8"), *parts])


def _told(texts: Sequence[str]) -> Array:
    # Imported on use: the page imports this module, and tells no languages.
    from scipy.sparse import csr_matrix

    model = _model()
    read = [_bytes(text) for text in texts]
    lengths = np.array([len(text) for text in read])
    features, starts = _features(model, read, lengths)
    counts = csr_matrix(
        (np.ones(len(features), np.float32), features, starts), (len(read), len(model.weights))
    )
    counts.sum_duplicates()
    scores = counts.log1p() @ model.weights + model.prior
    # Where nothing is recognized, every language is as likely.
    scores[np.diff(starts) == 0] = 0.0
    # By the root of the length, as the library does it: else a long text is always sure.
    scores /= np.sqrt(np.maximum(lengths, 1), dtype=np.float32)[:, None]
    likely = np.exp(scores - scores.max(axis=1, keepdims=True))
    likely /= likely.sum(axis=1, keepdims=True)
    for first, other in model.doubles:
        likely[:, first] += likely[:, other]
        likely[:, other] = 0.0
    best = likely.argmax(axis=1)
    sure = likely[np.arange(len(best)), best] >= SURE
    return np.where(sure, model.codes[best], UNKNOWN)


def _bytes(text: str) -> bytes:
    lower = text.lower() if text.isupper() else text
    return unicodedata.normalize("NFC", lower).encode("utf-8", "surrogatepass")


def _features(model: _Model, read: list[bytes], lengths: Array) -> tuple[Array, Array]:
    """The features that each text completes, one text's after the other's, and where each text's
    begin (one more than texts)."""
    # Longest first: those that still go on are always the first ones.
    order = np.argsort(-lengths, kind="stable")
    steps = np.arange(lengths.max(initial=0))
    goes_on = steps < lengths[order, None]
    letters = np.zeros(goes_on.shape, np.uint8)
    letters[goes_on] = np.frombuffer(b"".join(read[place] for place in order), np.uint8)
    letters = np.ascontiguousarray(letters.T)
    reached = np.full(letters.shape, -1, np.int32)
    states = np.zeros(len(read), np.intp)
    for step, going in enumerate(goes_on.sum(axis=0).tolist()):
        states = model.moves[model.row[states[:going]] + letters[step, :going]]
        reached[step, :going] = model.complete[states]
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    by_text = reached.T[back]
    done = by_text >= 0
    return by_text[done], np.concatenate([[0], np.cumsum(done.sum(axis=1))])


def languages(data: CheckedVersion) -> Iterator[Finding]:
    """Queries, or documents, in several languages."""
    queries = _of_texts(data.query_texts())
    documents = _of_texts(data.document_words())
    main = {"queries": _main(queries), "documents": _main(documents)}
    asked = _others(data, queries, main["queries"])
    held = _others(data, documents, main["documents"])
    if not len(asked) and not len(held):
        return
    trained = asked[data.training(asked)]
    each = {"queries": queries, "documents": documents}
    said = "; ".join(f"{what}: {_words(own)}" for what, own in each.items() if len(own))
    known = int((queries != UNKNOWN).sum() + (documents != UNKNOWN).sum())
    yield Finding(
        "languages-mixed",
        "note",
        len(asked) + len(held),
        known,
        f"Several languages ({said}). Texts that are too short to tell are not counted. A model "
        "that does not know one of them learns little from it, and a few stray texts are often "
        "mistakes.",
        [data.query_examples([row], str(queries[row]))[0] for row in asked[: EXAMPLES // 2]]
        + [_example(data, int(row), str(documents[row])) for row in held[: EXAMPLES // 2]],
        [
            Fix(
                "keep-main-language",
                f"Leave {queries_of(len(trained))} out of training that "
                f"{form(len(trained), ('is', 'are'))} surely not in '{main['queries']}'; "
                "dev, test and documents stay.",
                {"drop_queries": trained},
            )
        ],
    )


def pair_languages(data: CheckedVersion) -> Iterator[Finding]:
    """Left texts, or right texts, of scored pairs in several languages. A pair of two languages,
    as of translations, is none for that."""
    sides = {side: _of_texts(data.pair_texts(side)) for side in ("left", "right")}
    main = {side: _main(found) for side, found in sides.items()}
    others = {side: _others(data, found, main[side]) for side, found in sides.items()}
    rows = np.union1d(others["left"], others["right"]).astype(np.int64)
    if not len(rows):
        return
    said = "; ".join(f"{side}: {_words(found)}" for side, found in sides.items())
    shown = {int(row): side for side in ("right", "left") for row in others[side]}
    yield Finding(
        "pair-languages-mixed",
        "note",
        len(rows),
        data.pairs.num_rows,
        f"Scored pairs in several languages ({said}). Texts that are too short to tell are not "
        "counted.",
        [data.pair(row, str(sides[shown[row]][row])) for row in rows[:EXAMPLES].tolist()],
        [data.untrain("keep-main-language-pairs", rows, pairs=True)],
    )


def _of_texts(parts: Iterable[tuple[int, list[str]]]) -> Array:
    """A language code for each text, '' where it cannot be told."""
    found = [told([text[:_START] for text in texts]) for _, texts in parts]
    return np.concatenate([np.zeros(0, "U8"), *found])


def _main(found: Array) -> str:
    counts = Counter(found[found != UNKNOWN].tolist())
    return counts.most_common(1)[0][0] if counts else UNKNOWN


def _others(data: CheckedVersion, found: Array, main: str) -> Array:
    """Rows in another language, if these are more than chance."""
    known = found != UNKNOWN
    rows = np.flatnonzero(known & (found != main))
    enough = max(_FEW, data.recipe.language_share * int(known.sum()))
    return rows if len(rows) >= enough else rows[:0]


def _words(found: Array) -> str:
    known = found[found != UNKNOWN].tolist()
    counts = Counter(known).most_common(4)
    return ", ".join(f"{100 * n / len(known):.3g}% {language}" for language, n in counts) or "none"


def _example(data: CheckedVersion, row: int, language: str) -> Example:
    return Example({"document": row}, [("document", data.document(row))], language)
