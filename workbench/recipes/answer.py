"""What is asked of an index and a language model: a written answer over the passages found.

No job: an answer takes seconds and is read as it is written. The recipe is what the page, the
command line and the kept settings have in common.
"""

from functools import partial
from typing import ClassVar, Literal

from pydantic import field_validator

from workbench.recipes.base import Fit, advanced, setting
from workbench.recipes.fields import (
    Device,
    WriterRecipe,
    device,
    endpoint,
    endpoint_model,
    key_variable,
    local_model,
)

_prompt = partial(advanced, group="prompt")
_endpoint = partial(advanced, group="endpoint")

#: What a template takes: the passages, the question, and what to say where they do not answer it.
PASSAGES, QUESTION, NOTHING = "{passages}", "{question}", "{nothing}"
#: Passages for an answer, and how many tokens of them a model reads unless said.
TOP_K, BUDGET = 5, 3000


class AnswerRecipe(WriterRecipe):
    """A question to an index, and who writes the answer.

    That is an OpenAI-compatible endpoint, or a causal language model on this machine; without
    either, the passages alone are the answer. The endpoint's key stays in the environment: the
    recipe knows only the variable's name.
    """

    task: ClassVar[str] = "answer"

    index: str = setting(help="The index to search.", refers_to="index", max_length=500)
    top_k: int = setting(TOP_K, help="How many passages are given to the model.", ge=1, le=50)
    reranker: str | None = setting(
        None,
        help="A reranker or late-interaction model that re-ranks the passages.",
        refers_to="model",
        fits=Fit(),
        max_length=500,
    )
    where: str = setting(
        "",
        help="Only documents whose fields match: 'year >= 2020 and lang in en, de'.",
        max_length=10_000,
    )
    min_score: float | None = setting(
        None,
        help="Passages that score lower count as not found; empty takes the best score that "
        "nonsense questions reach.",
        ge=-1e9,
        le=1e9,
        allow_inf_nan=False,
    )
    endpoint: str = endpoint(
        "The address of an OpenAI-compatible endpoint, up to and with its '/v1'. The question "
        "and the passages are sent there."
    )
    endpoint_model: str = endpoint_model("What the endpoint calls the model that answers.")
    key_variable: str = key_variable()
    local_model: str = local_model()
    template_language: Literal["auto", "en", "zh"] = setting(
        "auto", help="The template's language: 'auto' takes that of the question.", group="prompt"
    )
    template_en: str = _prompt(
        "",
        help=f"The prompt for English questions, with {PASSAGES} and {QUESTION}; empty takes the "
        "built-in one.",
        max_length=20_000,
    )
    template_zh: str = _prompt(
        "",
        help=f"The prompt for Chinese questions, with {PASSAGES} and {QUESTION}; empty takes the "
        "built-in one.",
        max_length=20_000,
    )
    budget: int = _prompt(
        BUDGET,
        help="Token budget of all passages together: four letters, or one Chinese character, "
        "count as one token.",
        ge=50,
        le=1_000_000,
    )
    max_tokens: int = _prompt(
        600, help="The maximum length of an answer in tokens.", ge=1, le=32_000
    )
    temperature: float | None = _prompt(
        None,
        help="Sampling temperature; empty leaves it to the endpoint, and makes a model on this "
        "machine deterministic.",
        ge=0.0,
        le=2.0,
    )
    timeout: float = _endpoint(
        60.0, help="Seconds without output after which the answer is given up.", gt=0.0, le=3600.0
    )
    total_timeout: float = _endpoint(
        600.0,
        help="Seconds after which the answer is ended even if it is still being written.",
        gt=0.0,
        le=7200.0,
    )
    retries: int = _endpoint(
        2, help="How often a request that failed before its first output is retried.", ge=0, le=20
    )
    device: Device = device(
        "Where a model on this machine runs; 'auto' takes a GPU if there is one."
    )

    @field_validator("template_en", "template_zh")
    @classmethod
    def _places(cls, value: str) -> str:
        value = value.strip()
        for place in (PASSAGES, QUESTION):
            if value and place not in value:
                raise ValueError(f"The template needs the place {place}")
        return value
