"""Fields that several recipes have: each is written once, and stands in a recipe where its form
has it (a base class would put it before the recipe's own).

``help`` and the other arguments say what differs from recipe to recipe.
"""

import ipaddress
import re
from functools import partial
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, ValidationInfo, field_validator

from workbench.comparison.names import deciding
from workbench.extensions import OneOf
from workbench.recipes.base import Fit, Recipe, advanced, setting

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
#: The metric that a recipe chooses by.
DecidingMetric = Annotated[str, OneOf(deciding)]
#: Of every recipe that measures: whether a query's own document may be found by it.
QueryDocument = Literal["auto", "yes", "no"]


def device(
    help: str = "Where to compute; 'auto' takes a GPU if there is one.", group: str = "basics"
) -> Any:
    """On what it runs."""
    return setting("auto", help=help, group=group, advanced=True)


def precision(
    help: str = "Floating-point format for encoding; 'auto' takes bf16 where this machine is fast "
    "at it.",
    group: str = "basics",
) -> Any:
    """In which numbers it computes."""
    return setting("auto", help=help, group=group, advanced=True)


def seed(
    default: int, help: str, group: str = "basics", *, advanced: bool = True, most: int = 2**31 - 1
) -> Any:
    """What decides whatever is random."""
    return setting(default, help=help, group=group, advanced=advanced, ge=0, le=most)


def dataset_version(help: str = "The data set's version; empty takes the newest.") -> Any:
    """Which of the data set's versions is meant; the current one where the data set is there."""
    return setting(None, help=help, advanced=True, ge=1, pinned="always")


def current_version() -> Any:
    """Which version an operation on data takes; the one that the job before it makes, if any."""
    said = "Its version; empty takes the current one."
    return setting(None, help=said, advanced=True, ge=1, pinned="unless waiting")


def max_queries(
    help: str = "Use at most this many queries, chosen by the seed; empty uses all.",
) -> Any:
    """How many queries are used at most."""
    return setting(None, help=help, advanced=True, ge=1)


def use_cache(
    help: str = "Reuse cached embeddings and reranker scores that were computed with the same "
    "settings; off computes everything again and caches nothing.",
) -> Any:
    """Whether what was encoded before is taken again."""
    return setting(True, help=help, advanced=True)


def share(default: float, help: str, *, most: float = 0.5, group: str = "splits") -> Any:
    """What part of the queries becomes a split."""
    return setting(default, help=help, group=group, advanced=group == "splits", ge=0.0, le=most)


def dimensions(help: str, *, advanced: bool = False) -> Any:
    """To how many dimensions embeddings are also truncated."""
    return setting("", help=help, widget="numbers", advanced=advanced, max_length=200)


def model_name(help: str) -> Any:
    """What a model that the job makes is called; empty takes one made of others' names."""
    return setting("", help=help, max_length=120, names="model")


def token_limit(default: int, help: str) -> Any:
    """After how many tokens texts of a kind are truncated."""
    return setting(default, help=help, ge=4, le=32768)


def query_document(group: str = "basics") -> Any:
    """The field ``exclude_query_document``."""
    return setting(
        "auto",
        help="Leave the document with the query's own id out of its ranking, as BEIR and MTEB do; "
        "'auto' does so if query ids are document ids, unless that document is judged relevant to "
        "the query.",
        group=group,
        advanced=True,
    )


def candidates_of_first_stage(
    help: str = "How many documents of the first stage a reranker or late-interaction model "
    "re-ranks.",
    group: str = "basics",
    *,
    advanced: bool = True,
) -> Any:
    """How many documents a second stage gets."""
    return setting(50, help=help, group=group, advanced=advanced, ge=2, le=1000)


# Where a language model is asked: what recipes that name an endpoint have in common.

#: Letters of an address that every program reads alike. A backslash, say, ends a host's name for
#: some and is a part of it for others.
_PLAIN = re.compile(r"[!-\[\]-~]+")
_ORIGIN = re.compile(r"(https?)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}


def address(value: str) -> str:
    """An endpoint's address as it is kept, or ''; raises ValueError for one that will not do."""
    value = value.strip().rstrip("/")
    if not value:
        return value
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("Write the address as http://host:port/v1 or https://host/v1")
    if "@" in parts.netloc or parts.query or parts.fragment:
        # A recipe is kept and shown; a key in it would be, too.
        raise ValueError(
            "The address holds no key, no password and no '?'; a key belongs into the environment"
        )
    if not _PLAIN.fullmatch(value) or origin(value) is None:
        raise ValueError("Write the address in plain letters, as http://host:port/v1")
    return value


def origin(address: str) -> str | None:
    """Scheme, host and port of an address, written one way; None for one that is not plain."""
    found = _ORIGIN.match(address)
    if found is None or address[found.end() : found.end() + 1] not in ("", "/"):
        return None
    scheme, host, port = found[1].lower(), found[2].lower(), found[3]
    if host.startswith("["):
        try:
            host = f"[{ipaddress.IPv6Address(host[1:-1])}]"
        except ValueError:
            return None
    number = int(port) if port else _PORTS[scheme]
    if not 0 < number < 65536:
        return None
    return f"{scheme}://{host}" if number == _PORTS[scheme] else f"{scheme}://{host}:{number}"


def endpoint(help: str) -> Any:
    """The address of a language model's endpoint."""
    return setting("", help=help, group="endpoint", max_length=500)


def endpoint_model(help: str) -> Any:
    """What the endpoint calls the model."""
    return setting("", help=help, group="endpoint", max_length=200)


def local_model() -> Any:
    """The field that names a language model to use instead of an endpoint."""
    return setting(
        "",
        help="Instead of an endpoint: a causal language model on this machine, as a name of the "
        "workspace, a folder or a Hub id.",
        group="endpoint",
        refers_to="model",
        fits=Fit(check="workbench.synthesis.write:check_writer"),
        max_length=500,
    )


def key_variable() -> Any:
    """The field that says which key an endpoint is sent."""
    return setting(
        "",
        help="The environment variable that holds the endpoint's key, never the key itself: one "
        "that may be sent to this address (--endpoint-key). Empty takes the first of those; where "
        "there is none, no key is sent.",
        group="endpoint",
        widget="endpoint_key",
        pattern=r"^([A-Z_][A-Z0-9_]*)?$",
        max_length=100,
    )


class WriterRecipe(Recipe):
    """What recipes have in common that let an endpoint or a local model write. Its fields stand in
    the recipe itself, as above."""

    @field_validator("endpoint", check_fields=False)
    @classmethod
    def _address(cls, value: str) -> str:
        return address(value)

    @field_validator("endpoint_model", check_fields=False)
    @classmethod
    def _named(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("endpoint") and not value.strip():
            raise ValueError("Say what the endpoint calls the model")
        return value.strip()

    @field_validator("local_model", check_fields=False)
    @classmethod
    def _one_writer(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("endpoint") and value.strip():
            raise ValueError("Choose an endpoint or a local model, not both")
        return value.strip()

    @property
    def writer(self) -> str:
        """Who writes, by name; '' for nobody."""
        values = dict(self)
        return str(values["endpoint_model"] if values["endpoint"] else values["local_model"])


# An adapter (LoRA: Hu et al. 2021) and quantized weights below one (QLoRA).

ADAPTED = ("lora", "qlora")
QUANTIZED = ("qlora",)
_adapter = partial(advanced, group="adapter", depends_on=("method", ADAPTED))
#: A choice of numbers is kept as text: so the form, the command line and JSON all can give it.
Bits = Annotated[Literal["4", "8"], BeforeValidator(str)]


class AdapterFields(Recipe):
    """Read where ``method`` is one of those above."""

    lora_r: int = _adapter(
        16, help="The adapter's rank: higher learns more and is larger.", ge=1, le=1024
    )
    lora_alpha: int = _adapter(
        32, help="The adapter's output is scaled by alpha / rank.", ge=1, le=4096
    )
    lora_dropout: float = _adapter(
        0.05, help="Dropout rate of the adapter's inputs.", ge=0.0, lt=1.0
    )
    target_modules: str = _adapter(
        "all-linear",
        help="Which layers get an adapter: all-linear, or names separated by commas (q_proj, "
        "v_proj).",
        max_length=500,
    )
    quantization_bits: Bits = _adapter(
        "4",
        help="Bits per frozen weight: 4 is smaller, 8 is closer to the original.",
        depends_on=("method", QUANTIZED),
    )
    quantization_type: Literal["nf4", "fp4"] = _adapter(
        "nf4",
        help="The 4-bit number format; nf4 fits weights better (Dettmers et al. 2023).",
        depends_on=("quantization_bits", ("4",)),
    )
    double_quantization: bool = _adapter(
        True,
        help="Quantizes the quantization constants too, which saves another 0.4 bits per weight.",
        depends_on=("quantization_bits", ("4",)),
    )
    compute_dtype: Literal["auto", "fp32", "bf16", "fp16"] = _adapter(
        "auto",
        help="The data type in which 4-bit weights are multiplied; 'auto' takes bf16 if the run "
        "computes in bf16, else fp32.",
        depends_on=("quantization_bits", ("4",)),
    )
