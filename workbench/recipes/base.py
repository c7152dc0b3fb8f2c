"""The base of every recipe: what one field says of itself, and how a recipe reads its input.

A recipe is a pydantic model without torch. The form, the command line, the reference page and
``recipe.json`` all come from its fields, so a field carries everything there is to say about it:
type, bounds, default, one sentence of help, its group, whether it is advanced, and on which other
field's value it depends.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from workbench.errors import BadInput, BadRecipe, value_sentence
from workbench.extensions import OneOf
from workbench.model_kinds import MODEL_KINDS, ModelKind

# A prompt that a person may leave to the base model, or explicitly want none of.

#: How 'no prompt' is written where an empty field means 'the base model's own'.
NO_PROMPT = '""'


def _read(text: str | None) -> str | None:
    return "" if text is not None and text.strip() in (NO_PROMPT, "''") else text


#: None: the base model's own; '' (or two quotation marks): none at all.
OptionalPrompt = Annotated[str | None, AfterValidator(_read)]


#: First stages that need no model.
MODEL_FREE = ("auto", "given", "bm25")
#: Words of fields that may, but need not, name a data set.
DATASET_FREE = ("auto", "none")
#: What of a workspace a field can name.
Referent = Literal["dataset", "model", "index", "job"]
#: What a data set has to hold for a job: :data:`workbench.prepare.NEEDS`.
Need = Literal["queries", "judged", "choosing", "choosing or test", "documents"]


@dataclass(frozen=True, slots=True)
class Fit:
    """Which models a field takes: those for whose kind ``can`` (an attribute of
    :class:`workbench.model_kinds.ModelKind`) is true, or all. Written as 'module:function' are
    ``refusal``, which makes the error of another one's name, and in place of both ``check``, which
    is given workspace and name, and raises."""

    can: str = ""
    refusal: str = ""
    check: str = ""


class Recipe(BaseModel):
    """What a job is asked to do. Frozen, closed to unknown fields, JSON in and out."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    task: ClassVar[str]
    #: Named starting points: preset name -> values of some fields.
    presets: ClassVar[dict[str, dict[str, Any]]] = {}

    @classmethod
    def nested(cls, values: Mapping[str, Any]) -> "Mapping[str, type[Recipe]]":  # noqa: ARG003
        """The fields that hold another recipe's values, and whose: field -> recipe."""
        return {}

    @property
    def default_name(self) -> str:
        """What the result is called, or like it, where no name is given; '' for nothing."""
        return ""

    @classmethod
    def read(cls, values: dict[str, Any]) -> Self:
        """Build the recipe, or raise :class:`BadRecipe` with a sentence per bad field."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise BadRecipe(*_explain(cls, error), fields=_sentences(error)) from error


def setting(
    default: Any = ...,
    *,
    help: str,
    group: str = "basics",
    advanced: bool = False,
    depends_on: tuple[str, tuple[Any, ...] | Callable[[], tuple[Any, ...]]] | None = None,
    refers_to: Referent | None = None,
    widget: str = "",
    names: Literal["dataset", "model", "index"] | None = None,
    needs: Need | None = None,
    fits: Fit | None = None,
    pinned: Literal["always", "unless waiting"] | None = None,
    **bounds: Any,
) -> Any:
    """A recipe's field. ``depends_on=("early_stopping", (True,))`` hides it unless that holds;
    a function gives values that can become more.

    ``refers_to``: the value, or each value of a list, is the name of such a thing (a model may be a
    folder or a hub id instead, and some fields know words of their own, such as 'bm25'). By it is
    found which one a job means and uses, and what a rename changes: :mod:`workbench.references`.

    ``widget`` says how the form asks where the type does not: 'column' (of a data set's own),
    'split', 'lines', 'files', 'numbers' (with commas), 'endpoint_key', 'text'. Without one, what a
    field refers to is chosen from a menu.

    The others say what is looked up when the job is submitted (:mod:`workbench.prepare`).
    ``names``: the value becomes the name of such a thing. ``needs``: what the data set must hold.
    ``fits``: the model must be there, and be one that fits. ``pinned``: an empty version becomes
    the current one, 'unless waiting' for another job, which may make the one that is meant.
    """
    about: dict[str, Any] = {
        "group": group,
        "advanced": advanced,
        "depends_on": depends_on,
        "refers_to": refers_to,
        "widget": widget,
        "names": names,
        "needs": needs,
        "fits": fits,
        "pinned": pinned,
    }
    return Field(default, description=help, json_schema_extra={"workbench": about}, **bounds)


#: A field that a form shows only when it is asked for all of them.
advanced = partial(setting, advanced=True)


def _sentences(error: ValidationError) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in error.errors():
        name = ".".join(str(part) for part in one["loc"]) or "recipe"
        found.setdefault(name, value_sentence(one))
    return found


def _explain(cls: type[Recipe], error: ValidationError) -> tuple[str, str]:
    sentences = _sentences(error)
    message = " ".join(f"{name}: {sentence}" for name, sentence in sentences.items())
    known = ", ".join(cls.model_fields)
    unknown = any(one["type"] == "extra_forbidden" for one in error.errors())
    return message, f"Known fields: {known}." if unknown else "Correct the value and try again."


# What of a model's contract a person can decide; the rest is decided by its weights.


def _kinds(which: Callable[[ModelKind], bool]) -> Callable[[], tuple[str, ...]]:
    return lambda: ("auto", *MODEL_KINDS.named(which))


_of_texts = _kinds(lambda kind: not kind.reads_pictures)
_VECTOR = ("kind", _kinds(lambda kind: kind.pools))
_PROMPTED = ("kind", _kinds(lambda kind: not (kind.reads_pairs or kind.reads_pictures)))
_contract = partial(setting, group="contract")
_ANSWERS = ("kind", lambda: MODEL_KINDS.named(lambda kind: kind.reads_pairs))


def _spelled(text: str | None) -> str | None:
    r"""A line break and a tab as people type them where they cannot press the key: \n, \t."""
    return text.replace("\\n", "\n").replace("\\t", "\t") if text is not None else None


class ContractRecipe(Recipe):
    """How a model is used. What is 'auto' or left out stays as the model has it."""

    task: ClassVar[str] = "contract"

    kind: Annotated[str, OneOf(_of_texts)] = _contract(
        "auto", help="What kind of model it is; 'auto' reads it from the model's own files."
    )
    pooling: Literal["auto", "mean", "cls", "lasttoken", "max", "weightedmean"] = _contract(
        "auto",
        help="How token embeddings are pooled into one vector; 'auto' keeps what the model's own "
        "files say.",
        depends_on=_VECTOR,
    )
    normalize: Literal["auto", "yes", "no"] = _contract(
        "auto",
        help="Whether embeddings are L2-normalized, so that they are compared by cosine "
        "similarity.",
        depends_on=_VECTOR,
    )
    causal: Literal["auto", "yes", "no"] = _contract(
        "auto",
        help="Whether a decoder uses causal attention, in which a token attends to earlier tokens "
        "only.",
        depends_on=_VECTOR,
    )
    query_max_len: int | None = _contract(
        None,
        help="Queries are truncated after this many tokens, special ones included.",
        ge=4,
        le=32768,
    )
    passage_max_len: int | None = _contract(
        None,
        help="Documents are truncated after this many tokens, special ones included.",
        ge=4,
        le=32768,
    )
    query_prompt: OptionalPrompt = _contract(
        None, help="Prefix of every query.", depends_on=_PROMPTED, max_length=2000
    )
    document_prompt: OptionalPrompt = _contract(
        None, help="Prefix of every document.", depends_on=_PROMPTED, max_length=2000
    )
    title_separator: Annotated[str | None, AfterValidator(_spelled)] = _contract(
        None,
        help="Stands between a document's title and its text; \\n is a line break.",
        max_length=40,
    )
    yes_token: str | None = _contract(
        None,
        help="The token with which an LLM reranker calls a document relevant.",
        depends_on=_ANSWERS,
        max_length=50,
    )
    no_token: str | None = _contract(
        None,
        help="The token with which an LLM reranker calls a document not relevant.",
        depends_on=_ANSWERS,
        max_length=50,
    )
    instruction: str | None = _contract(
        None,
        help="The instruction that tells an LLM reranker what counts as relevant, part of every "
        "prompt.",
        depends_on=_ANSWERS,
        max_length=2000,
    )
    prompt_template: str | None = _contract(
        None,
        help="An LLM reranker's prompt, with {query} and {document}, and {instruction}, {yes}, "
        "{no} where wanted.",
        depends_on=_ANSWERS,
        max_length=8000,
    )


# How many devices train one model together: a number, 'all', or GPUs by name.

ALL = "all"
_GPU = "gpu:"
_NAMED = re.compile(r"gpu:[\w-]+(,gpu:[\w-]+)*")
MOST = 64


def _plain(value: object) -> object:
    """A number, as JSON and YAML give it, is as good as its text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _checked(text: str) -> str:
    plain = re.sub(r"\s+", "", text).lower() or "1"
    if plain == ALL or _NAMED.fullmatch(plain):
        return plain
    if plain.isdecimal() and 1 <= int(plain) <= MOST:
        return str(int(plain))
    raise ValueError(
        f"Write a number from 1 to {MOST}, 'all', or GPUs by name such as gpu:0,gpu:2."
    )


Devices = Annotated[str, BeforeValidator(_plain), AfterValidator(_checked)]


def named(devices: str) -> tuple[str, ...]:
    """The GPUs that were asked for by name; none where a number or 'all' was."""
    if not devices.startswith(_GPU):
        return ()
    return tuple(dict.fromkeys(part.removeprefix(_GPU) for part in devices.split(",")))


def how_many(devices: str, gpus: Sequence[str]) -> int:
    """How many processes that is on a machine with these GPUs (none: on the CPU)."""
    if devices == ALL:
        return max(1, len(gpus))
    return len(named(devices)) or int(devices)


# Numbers of dimensions as a person types them: '64, 128, 256', or 'auto'.

AUTO = "auto"
#: 'auto' halves the model's dimensions down to this.
LEAST = 32
MOST_DIMENSIONS = 12


def read_dimensions(text: str) -> list[int]:
    """The numbers in the text, the largest first; none for '' and 'auto'. Raises ValueError."""
    if text.strip().lower() in ("", AUTO):
        return []
    parts = [part for part in text.replace(";", ",").replace(",", " ").split() if part]
    if not all(part.isdecimal() and 1 <= int(part) <= 100_000 for part in parts):
        raise ValueError("Give whole numbers with commas between them, such as 64, 128, or 'auto'.")
    found = sorted({int(part) for part in parts}, reverse=True)
    if len(found) > MOST_DIMENSIONS:
        raise ValueError(
            f"At most {MOST_DIMENSIONS} numbers of dimensions can be measured in one job."
        )
    return found


def checked_dimensions(text: str) -> str:
    """The text, if it can be read; raises ValueError."""
    read_dimensions(text)
    return text.strip()


def dimensions_of(text: str, full: int) -> list[int]:
    """What is measured of a model with ``full`` dimensions: all of them first, then fewer.

    Raises :class:`BadInput` where every number asked for is as many as the model has, or more.
    """
    if text.strip().lower() == AUTO:
        halves = [full]
        while halves[-1] // 2 >= LEAST:
            halves.append(halves[-1] // 2)
        return halves
    fewer = [size for size in read_dimensions(text) if size < full]
    if not fewer:
        raise BadInput(
            f"The model has {full} dimensions, so it cannot be truncated to {text}.",
            "Give numbers below that, or 'auto'.",
        )
    return [full, *fewer]


def _numbers(text: str) -> str:
    if any(not part.strip().isdecimal() for part in text.split(",") if text.strip()):
        raise ValueError("Write whole numbers with commas between them, such as 256, 128.")
    return text


#: Whole numbers in one line; an empty line is none.
Numbers = Annotated[str, AfterValidator(_numbers)]
