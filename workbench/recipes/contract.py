"""What of a model's contract a person can decide; the rest is decided by its weights."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator

from workbench.recipes.base import Recipe, setting
from workbench.recipes.prompts import OptionalPrompt

_VECTOR = ("kind", ("auto", "embedding"))
_PROMPTED = ("kind", ("auto", "embedding", "late-interaction"))
_ANSWERS = ("kind", ("reranker",))


def _spelled(text: str | None) -> str | None:
    r"""A line break and a tab as people type them where they cannot press the key: \n, \t."""
    return text.replace("\\n", "\n").replace("\\t", "\t") if text is not None else None


class ContractRecipe(Recipe):
    """How a model is used. What is 'auto' or left out stays as the model has it."""

    task: ClassVar[str] = "contract"

    kind: Literal["auto", "embedding", "reranker", "late-interaction"] = setting(
        "auto",
        help="What kind of model it is; 'auto' reads it from the model's own files.",
        group="contract",
    )
    pooling: Literal["auto", "mean", "cls", "lasttoken", "max", "weightedmean"] = setting(
        "auto",
        help="How a text's token vectors become one; 'auto' keeps what its own files say.",
        group="contract",
        depends_on=_VECTOR,
    )
    normalize: Literal["auto", "yes", "no"] = setting(
        "auto",
        help="Whether vectors are scaled to length 1, so that they are compared by cosine.",
        group="contract",
        depends_on=_VECTOR,
    )
    causal: Literal["auto", "yes", "no"] = setting(
        "auto",
        help="Attention direction of a decoder: whether a token looks back only.",
        group="contract",
        depends_on=_VECTOR,
    )
    query_max_len: int | None = setting(
        None,
        help="Queries are cut after this many tokens, special ones included.",
        group="contract",
        ge=4,
        le=32768,
    )
    passage_max_len: int | None = setting(
        None,
        help="Documents are cut after this many tokens, special ones included.",
        group="contract",
        ge=4,
        le=32768,
    )
    query_prompt: OptionalPrompt = setting(
        None,
        help="Put before every query.",
        group="contract",
        depends_on=_PROMPTED,
        max_length=2000,
    )
    document_prompt: OptionalPrompt = setting(
        None,
        help="Put before every document.",
        group="contract",
        depends_on=_PROMPTED,
        max_length=2000,
    )
    title_separator: Annotated[str | None, AfterValidator(_spelled)] = setting(
        None,
        help="Stands between a document's title and its text; \\n is a line break.",
        group="contract",
        max_length=40,
    )
    yes_token: str | None = setting(
        None,
        help="An LLM reranker's answer for a relevant document: one token.",
        group="contract",
        depends_on=_ANSWERS,
        max_length=50,
    )
    no_token: str | None = setting(
        None,
        help="An LLM reranker's answer for a wrong document: one token.",
        group="contract",
        depends_on=_ANSWERS,
        max_length=50,
    )
    instruction: str | None = setting(
        None,
        help="What counts as relevant, told to an LLM reranker with every pair.",
        group="contract",
        depends_on=_ANSWERS,
        max_length=2000,
    )
    prompt_template: str | None = setting(
        None,
        help="An LLM reranker's prompt, with {query} and {document}, and {instruction}, {yes}, "
        "{no} where wanted.",
        group="contract",
        depends_on=_ANSWERS,
        max_length=8000,
    )
