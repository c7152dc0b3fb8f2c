"""What the page calls metrics and kinds of model."""

from inspect import getdoc

from ui.words import known, sentences, t
from workbench.comparison import names
from workbench.model_kinds import MODEL_KINDS


def label(metric: str) -> str:
    """'hit_rate@5' -> 'Hit rate@5', in the language spoken; abbreviations are the same in all."""
    return said(names.label(metric))


def said(written: str) -> str:
    """The same of a label as :mod:`workbench.comparison.names` writes it."""
    name, at, cutoff = written.partition("@")
    return f"{sentences.said(name)}{at}{cutoff}"


# What the page calls a kind of model.


def kind_name(kind: str) -> str:
    """A kind in words: the page's, else its own, else as it is written."""
    key = f"kind.{kind}"
    if known(key):
        return t(key)
    return sentences.said(MODEL_KINDS.get(kind).label) if kind in MODEL_KINDS else kind


def about_kind(kind: str) -> str:
    """What such a model is for: the page's words, else those of its recipe."""
    key = f"train.kind_{kind}"
    return t(key) if known(key) else sentences.said(getdoc(MODEL_KINDS.get(kind).recipe) or "")
