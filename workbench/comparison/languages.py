"""In which language queries are, by the doctor's classifier: named only where it is sure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from workbench.doctor.classify import NO_LANGUAGE, SURE, likelihoods

#: Where a text is too short to tell, or is mostly names, numbers or code.
UNKNOWN = "unknown"
#: Fewer queries than this, or than this share of all, are one group: many of them are mistakes.
FEW, RARE = 3, 0.01
OTHERS = "other languages"
#: Characters of a text that are looked at.
_START = 400
#: So many of the likeliest languages are looked at.
_LIKELY = 20
#: Little writing tells these apart: they are one.
_CHINESE = {"zh", "wuu", "yue"}

#: ISO 639 codes as people call them; others are shown as they are.
_NAMES = {
    "af": "Afrikaans",
    "am": "Amharic",
    "ar": "Standard Arabic",
    "az": "Azerbaijani",
    "be": "Belarusian",
    "bg": "Bulgarian",
    "bn": "Bengali",
    "bs": "Bosnian",
    "ca": "Catalan",
    "cs": "Czech",
    "cy": "Welsh",
    "da": "Danish",
    "de": "German",
    "el": "Modern Greek",
    "en": "English",
    "eo": "Esperanto",
    "es": "Spanish",
    "et": "Estonian",
    "eu": "Basque",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "ga": "Irish",
    "gl": "Galician",
    "gu": "Gujarati",
    "he": "Modern Hebrew",
    "hi": "Hindi",
    "hr": "Croatian",
    "hu": "Hungarian",
    "hy": "Armenian",
    "id": "Indonesian",
    "is": "Icelandic",
    "it": "Italian",
    "ja": "Japanese",
    "ka": "Georgian",
    "kk": "Kazakh",
    "km": "Khmer",
    "kn": "Kannada",
    "ko": "Korean",
    "la": "Latin language",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "mk": "Macedonian",
    "ml": "Malayalam",
    "mn": "Mongolian",
    "mr": "Marathi",
    "ms": "Malay",
    "my": "Burmese",
    "ne": "Nepali",
    "nl": "Dutch",
    "nn": "Norwegian",
    "no": "Norwegian",
    "pa": "Punjabi",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sk": "Slovak",
    "sl": "Slovenian",
    "sq": "Albanian",
    "sr": "Serbian",
    "sv": "Swedish",
    "sw": "Swahili",
    "ta": "Tamil",
    "te": "Telugu",
    "th": "Thai",
    "tl": "Tagalog",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "uz": "Uzbek",
    "vi": "Vietnamese",
    "wuu": "Chinese",
    "yue": "Chinese",
    "zh": "Chinese",
}


@dataclass(frozen=True, slots=True)
class _Guess:
    """What the classifier says of one text: languages (by name) with how likely they are."""

    likely: tuple[tuple[str, float], ...]
    #: All letters are Chinese characters, and the likeliest language is a kind of Chinese: then
    #: even a short text is no other language's, whichever kind it is.
    chinese: bool

    @property
    def surely(self) -> str:
        name, sure = self.likely[0]
        return name if sure >= SURE or self.chinese else UNKNOWN

    def among(self, shares: Mapping[str, float]) -> str:
        """The language, given which ones the data set surely has, and their shares: a short
        question in one of two languages can be told where among a hundred it could not."""
        weights = {name: sure * shares[name] for name, sure in self.likely if name in shares}
        first = self.likely[0][0]
        total = sum(weights.values())
        if first in weights and first != UNKNOWN and weights[first] >= SURE * total:
            return first
        return UNKNOWN


def languages(texts: Sequence[str]) -> list[str]:
    """A name for each text: 'German', 'unknown' where it cannot be told, 'other languages' where
    hardly any of them is in its language."""
    guesses = [_guess(text[:_START]) for text in texts]
    sure = Counter(one.surely for one in guesses)
    sure.pop(UNKNOWN, None)
    few = max(FEW, RARE * len(texts))
    shares = {name: n / sure.total() for name, n in sure.items() if n >= few}
    found = [one.surely if one.surely != UNKNOWN else one.among(shares) for one in guesses]
    return [OTHERS if name not in shares and name != UNKNOWN else name for name in found]


@lru_cache(maxsize=20_000)
def _guess(text: str) -> _Guess:
    ranked = likelihoods()(text)
    named: dict[str, float] = {}
    for code, sure in ranked[:_LIKELY]:
        name = UNKNOWN if code == NO_LANGUAGE else _NAMES.get(code, code)
        named[name] = named.get(name, 0.0) + sure
    letters = [sign for sign in text if sign.isalpha()]
    chinese = ranked[0][0] in _CHINESE and all("\u3400" <= one <= "\u9fff" for one in letters)
    return _Guess(tuple(sorted(named.items(), key=lambda one: -one[1])), chinese and bool(letters))
