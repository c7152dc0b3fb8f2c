"""What holds for every model behind an endpoint: which key it may be sent, and how much it may
answer."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from workbench.errors import BadInput, BadRecipe
from workbench.recipes.fields import origin

# Whoever starts the workbench says which keys may be sent where; a recipe only chooses. It comes
# from a page, a file or an agent: were a variable's name in it enough, the value of any environment
# variable could be sent to an address in the same recipe.

#: In a worker's environment: the pairs, with spaces between.
KEYS_VARIABLE = "WORKBENCH_ENDPOINT_KEYS"
_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")


class Asking(Protocol):
    """Of a recipe: who is asked, and which key it chose."""

    @property
    def endpoint(self) -> str: ...
    @property
    def key_variable(self) -> str: ...


class KeyNotAllowed(BadRecipe):
    """A key was to be sent where nobody said that it may go."""

    code = "key-not-allowed"


@dataclass(frozen=True, slots=True)
class EndpointKeys:
    """Pairs of an environment variable and the origin (scheme, host, port) it may be sent to."""

    pairs: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, texts: Iterable[str]) -> "EndpointKeys":
        """From 'NAME=ORIGIN' each; raises :class:`BadInput`, without a value that may be a key."""
        return cls(tuple(dict.fromkeys(_pair(text) for text in texts)))

    @classmethod
    def of_environment(cls) -> "EndpointKeys":
        """What the process that started this one allows."""
        return cls.read(os.environ.get(KEYS_VARIABLE, "").split())

    def __str__(self) -> str:
        return " ".join(f"{name}={where}" for name, where in self.pairs)

    def also(self, name: str, address: str) -> "EndpointKeys":
        """With one pair more."""
        where = origin(address)
        return self if where is None else EndpointKeys((*self.pairs, (name, where)))

    def variable(self, recipe: Asking) -> str:
        """The variable whose value the recipe's endpoint is sent; '' for none.

        Raises :class:`KeyNotAllowed` for one that may not be sent there, set or not.
        """
        where = origin(recipe.endpoint) if recipe.endpoint else None
        may = [name for name, allowed in self.pairs if allowed == where]
        if not recipe.endpoint or not recipe.key_variable:
            return may[0] if may else ""
        if recipe.key_variable in may:
            return recipe.key_variable
        raise self._refused(recipe, where)

    def key(self, recipe: Asking) -> str:
        """The key that the recipe's endpoint is sent; '' for none. Raises as :meth:`variable`."""
        name = self.variable(recipe)
        return os.environ.get(name, "").strip() if name else ""

    def _refused(self, recipe: Asking, where: str | None) -> KeyNotAllowed:
        name, place = recipe.key_variable, where or recipe.endpoint
        message = f"The value of {name} may not be sent to {place}."
        hint = (
            "Whoever starts the workbench can allow it with --endpoint-key "
            f"{name}={place}; without a key the endpoint is asked where 'key_variable' is empty."
        )
        return KeyNotAllowed(message, hint, fields={"key_variable": message})


def _pair(text: str) -> tuple[str, str]:
    name, equals, address = text.strip().partition("=")
    where = origin(address.rstrip("/"))
    # A path would promise more than is compared.
    plain = where is not None and "/" not in address.rstrip("/").partition("://")[2]
    if not (equals and plain and _NAME.fullmatch(name)):
        raise BadInput(
            "--endpoint-key is to be NAME=ORIGIN: an environment variable's name, and the scheme, "
            "host and port it may be sent to.",
            "For example OPENAI_API_KEY=https://api.openai.com.",
        )
    assert where is not None
    return name, where


NO_KEYS = EndpointKeys()


# How much text a number of tokens is, roughly: endpoints are held to what they were asked for.

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
