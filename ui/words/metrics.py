"""What the page calls a metric."""

from ui.words import sentences
from workbench.comparison import names


def label(metric: str) -> str:
    """'hit_rate@5' -> 'Hit rate@5', in the language spoken; abbreviations are the same in all."""
    return said(names.label(metric))


def said(written: str) -> str:
    """The same of a label as :mod:`workbench.comparison.names` writes it."""
    name, at, cutoff = written.partition("@")
    return f"{sentences.said(name)}{at}{cutoff}"
