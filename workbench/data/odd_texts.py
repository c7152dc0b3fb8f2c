"""Texts that are hardly meant as texts: a list written out, a number alone, a placeholder."""

import re

#: A list as JSON, Python or numpy writes it: of quoted texts, or empty.
LIST = r"""^\s*\[\s*(\]|["'][^\x00]*["']\s*\])\s*$"""
_LIST = re.compile(LIST)
_NUMBER = re.compile(r"[-+]?\s?\d[\d.,\s]*%?")
_PLACEHOLDERS = frozenset(
    (
        *("nan", "none", "null", "nil", "na", "n/a", "<na>", "#n/a", "#value!", "nat"),
        *("undefined", "[]", "{}", "()", "-", "--", "---", ".", "..", "...", "?", "??", "_"),
        *("todo", "tbd", "fixme", "xxx", "placeholder", "[deleted]", "[removed]"),
    )
)
#: Every kind there is.
KINDS = ("placeholder", "list", "number")
#: A longer text is none of these but a list.
_LONGEST = 40


def kind_of(text: str) -> str | None:
    """'placeholder', 'list' or 'number'; None for a text like any other."""
    bare = text.strip()
    if len(bare) <= _LONGEST:
        if bare.casefold().rstrip(":") in _PLACEHOLDERS:
            return "placeholder"
        if _NUMBER.fullmatch(bare):
            return "number"
    return "list" if bare[:1] == "[" and _LIST.match(bare) else None
