"""How much text a number of tokens is, roughly: endpoints are held to what they were asked for."""

import re

_CHINESE = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")


#: By how much the estimate may be wrong: long words, indentation, lines of dashes.
_MARGIN = 4


def tokens(text: str) -> int:
    """About how many tokens a text is: one for each Chinese character or four others."""
    wide = len(_CHINESE.findall(text))
    return wide + -(-(len(text) - wide) // 4)


class Limit:
    """Takes an answer in pieces, and no more of it than ``max_tokens`` can possibly be."""

    def __init__(self, max_tokens: int) -> None:
        self._left = max_tokens * 4 * _MARGIN
        self.reached = False

    def take(self, text: str) -> str:
        """The piece, or its beginning where the rest is too much."""
        if self.reached:
            return ""
        cost = len(text) + 3 * len(_CHINESE.findall(text))
        if cost <= self._left:
            self._left -= cost
            return text
        self.reached = True
        for at, letter in enumerate(text):
            self._left -= 4 if _CHINESE.match(letter) else 1
            if self._left < 0:
                return text[:at]
        return text
