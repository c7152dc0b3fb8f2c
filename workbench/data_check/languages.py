"""In which languages the texts are: told by py3langid, and only where it is sure."""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

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


@cache
def classifier() -> Callable[[str], str]:
    """Text -> language code, or '' where it is not sure."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    known = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    def tell(text: str) -> str:
        language, sure = known.classify(text)
        return str(language) if sure >= SURE else UNKNOWN

    return tell


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


def _of_texts(parts: Any) -> Array:
    """A language code for each text, '' where it cannot be told."""
    tell = classifier()
    found = [tell(text[:_START]) for _, texts in parts for text in texts]
    return np.array(found or [], dtype="U8")


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
