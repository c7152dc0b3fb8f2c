"""The recipe that has questions written for the passages of a data set."""

from functools import partial
from typing import ClassVar, Literal

from pydantic import ValidationInfo, field_validator, model_validator

from workbench.recipes.base import Fit, advanced, setting
from workbench.recipes.fields import (
    Device,
    WriterRecipe,
    dataset_version,
    device,
    endpoint,
    endpoint_model,
    key_variable,
    local_model,
    seed,
    share,
)

_prompt = partial(advanced, group="prompt")
_endpoint = partial(advanced, group="endpoint")

#: Where a template takes the passage, and how many questions are wanted.
PASSAGE, COUNT = "{passage}", "{n}"
#: In the job's folder: the questions that were left out, and why, one JSON object a line.
DROPPED = "dropped.jsonl"


class SynthesizeRecipe(WriterRecipe):
    """Have questions written for passages; they make a new version of the data set.

    Who writes is an OpenAI-compatible endpoint, or a causal language model on this machine. The
    endpoint's key stays in the environment: the recipe knows only the variable's name.
    """

    task: ClassVar[str] = "synthesize"

    dataset: str = setting(
        help="The data set for whose documents questions are generated.",
        refers_to="dataset",
        needs="documents",
    )
    endpoint: str = endpoint(
        "The address of an OpenAI-compatible endpoint, up to and with its '/v1'. Passages are "
        "sent there."
    )
    endpoint_model: str = endpoint_model("The endpoint's name of the model that writes.")
    key_variable: str = key_variable()
    local_model: str = local_model()
    passages: int | None = setting(
        None,
        help="Generate questions for this many passages, drawn by the seed; empty takes all.",
        ge=1,
    )
    questions: int = setting(3, help="How many questions each passage gets.", ge=1, le=20)
    language: Literal["auto", "en", "zh"] = setting(
        "auto",
        help="The language of the questions: 'auto' asks in Chinese where the passage is Chinese.",
    )
    template_en: str = _prompt(
        "",
        help=f"The English prompt, with {PASSAGE} and {COUNT}; empty takes the built-in one.",
        max_length=20_000,
    )
    template_zh: str = _prompt(
        "",
        help=f"The Chinese prompt, with {PASSAGE} and {COUNT}; empty takes the built-in one.",
        max_length=20_000,
    )
    passage_chars: int = _prompt(
        6000,
        help="Passages are truncated to this many characters before they are sent.",
        ge=100,
        le=200_000,
    )
    round_trip: str | None = setting(
        "all-MiniLM-L6-v2",
        help="The embedding model (or 'bm25') that must retrieve a question's passage; empty "
        "keeps every question.",
        group="round_trip",
        refers_to="model",
        fits=Fit("first_stage", "workbench.synthesis.write:no_searcher"),
        max_length=500,
    )
    round_trip_k: int = setting(
        10,
        help="A question is kept if its passage is among this many top results.",
        group="round_trip",
        ge=1,
        le=1000,
    )
    skip_judged: bool = advanced(
        True, help="Leave out documents that are already relevant to a query."
    )
    seed: int = seed(13, "Decides which passages are drawn and how they are split.", most=2**31)
    dataset_version: int | None = dataset_version()
    preview: bool = advanced(
        False, help="Only show the questions: no round-trip check, no new version."
    )
    dev_share: float = share(
        0.1,
        "The share of passages whose questions become dev if the data set has no dev queries.",
        most=0.9,
    )
    test_share: float = share(
        0.1,
        "The share of passages whose questions become test if the data set has no test queries.",
        most=0.9,
    )
    concurrency: int = _endpoint(4, help="Concurrent requests.", ge=1, le=128)
    requests_per_minute: int | None = _endpoint(
        None,
        help="Send no more requests a minute than this; empty sets no limit.",
        ge=1,
        le=100_000,
    )
    timeout: float = _endpoint(60.0, help="Seconds to wait for an answer.", gt=0.0, le=3600.0)
    retries: int = _endpoint(
        4,
        help="How often a failed request is retried, each time after a longer pause.",
        ge=0,
        le=20,
    )
    temperature: float | None = _prompt(
        0.7,
        help="Sampling temperature; empty leaves it to the endpoint (some models do not accept "
        "one).",
        ge=0.0,
        le=2.0,
    )
    max_tokens: int = _prompt(
        400, help="The maximum length of an answer in tokens.", ge=16, le=32_000
    )
    device: Device = device("Where models on this machine run; 'auto' takes a GPU if there is one.")

    @field_validator("template_en", "template_zh")
    @classmethod
    def _places(cls, value: str) -> str:
        if value.strip() and PASSAGE not in value:
            raise ValueError(f"The template needs the place {PASSAGE}")
        return value.strip()

    @field_validator("local_model")
    @classmethod
    def _some_writer(cls, value: str, info: ValidationInfo) -> str:
        # None: the address was refused, and said why.
        if info.data.get("endpoint") == "" and not value:
            raise ValueError("Give the address of an endpoint, or a local model")
        return value

    @model_validator(mode="after")
    def _enough_to_train(self) -> "SynthesizeRecipe":
        if self.dev_share + self.test_share > 0.9:
            raise ValueError("Dev and test together leave too little to train on")
        return self
