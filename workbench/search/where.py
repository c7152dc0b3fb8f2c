"""Filters as a person types them: ``year >= 2020 and lang in en, de``. Torch-free.

A condition is a field of the documents' own, an operator, and a value; several are joined by
'and'. Fields and values with spaces, commas or 'and' in them stand in double quotes.
"""

import re
from dataclasses import dataclass

from workbench.errors import BadInput

OPERATORS = ("=", "!=", ">=", "<=", ">", "<", "in")
_HINT = "Write it as: year >= 2020 and lang in en, de"
_TOKEN = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|(>=|<=|!=|==|=|>|<|,)|([^\s"<>=!,]+|!))')


@dataclass(frozen=True, slots=True)
class Condition:
    """``values`` has one value, or several for 'in'."""

    field: str
    operator: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        values = ", ".join(_quoted(one) for one in self.values)
        return f"{_quoted(self.field)} {self.operator} {values}"


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    #: 'word', 'quoted' or 'sign'.
    kind: str


def parse(text: str) -> tuple[Condition, ...]:
    """The conditions of a filter, all of which must hold; none for an empty text.

    Raises :class:`BadInput` that says where it is not understood.
    """
    tokens = _tokens(text)
    found: list[Condition] = []
    at = 0
    while at < len(tokens):
        condition, at = _condition(text, tokens, at)
        found.append(condition)
        if at < len(tokens):
            if not _is_and(tokens[at]) or at + 1 == len(tokens):
                raise _wrong(text, f"after '{condition}' there is '{tokens[at].text}'")
            at += 1
    return tuple(found)


def joined(filters: list[str]) -> str:
    """Several filters as one: all must hold."""
    return " and ".join(one.strip() for one in filters if one.strip())


def _condition(text: str, tokens: list[_Token], at: int) -> tuple[Condition, int]:
    """One condition; a field's name may be several plain words."""
    start = at
    while at < len(tokens) and not _operator(tokens[at]):
        at += 1
    field = " ".join(token.text for token in tokens[start:at]).strip()
    if not field:
        raise _wrong(text, "a field's name is missing")
    if at == len(tokens):
        raise _wrong(text, f"'{field}' is not followed by one of {', '.join(OPERATORS)}")
    operator = _operator(tokens[at])
    values, at = _values(text, tokens, at + 1, several=operator == "in")
    return Condition(field, operator, values), at


def _values(
    text: str, tokens: list[_Token], at: int, *, several: bool
) -> tuple[tuple[str, ...], int]:
    """Values up to the next 'and'; plain words beside each other are one value."""
    values: list[list[str]] = [[]]
    while at < len(tokens) and not _is_and(tokens[at]):
        token = tokens[at]
        if token == _Token(",", "sign") and several:
            values.append([])
        elif token.kind == "sign":
            raise _wrong(text, f"'{token.text}' stands where a value should be")
        else:
            values[-1].append(token.text)
        at += 1
    if not all(values):
        raise _wrong(text, "a value is missing")
    return tuple(" ".join(words) for words in values), at


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise _wrong(text, f"there is no telling what {text[at:].strip()[:20]!r} is")
        quoted, sign, word = match.groups()
        if quoted is not None:
            found.append(_Token(re.sub(r"\\(.)", r"\1", quoted), "quoted"))
        elif sign:
            found.append(_Token("=" if sign == "==" else sign, "sign"))
        else:
            found.append(_Token(word, "word"))
        at = match.end()
    return found


def _operator(token: _Token) -> str:
    if token.kind == "sign" and token.text in OPERATORS:
        return token.text
    return "in" if token.kind == "word" and token.text.lower() == "in" else ""


def _is_and(token: _Token) -> bool:
    return token.kind == "word" and token.text.lower() == "and"


def _quoted(text: str) -> str:
    plain = re.fullmatch(r'[^\s"<>=!,\\]+', text) and text.lower() not in ("and", "in")
    if plain:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _wrong(text: str, why: str) -> BadInput:
    return BadInput(f"The filter '{text.strip()}' is not understood: {why}.", _HINT)
