"""Text -> language, by py3langid, and only where it is sure."""

from collections.abc import Callable
from functools import cache

#: How sure the classifier must be; what is short or mostly names, numbers or code is not told.
SURE = 0.95


#: Of a text that is in no language: numbers, signs.
NO_LANGUAGE = "zxx"


UNKNOWN = ""


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
