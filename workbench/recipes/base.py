"""The base of every recipe: what one field says of itself, and how a recipe reads its input.

A recipe is a pydantic model without torch. The form, the command line, the reference page and
``recipe.json`` all come from its fields, so a field carries everything there is to say about it:
type, bounds, default, one sentence of help, its group, whether it is advanced, and on which other
field's value it depends.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workbench.errors import BadRecipe

#: What of a workspace a field can name.
Referent = Literal["dataset", "model", "index", "job"]


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
    depends_on: tuple[str, tuple[Any, ...]] | None = None,
    refers_to: Referent | None = None,
    widget: str = "",
    **bounds: Any,
) -> Any:
    """A recipe's field. ``depends_on=("early_stopping", (True,))`` hides it unless that holds.

    ``refers_to``: the value, or each value of a list, is the name of such a thing (a model may be a
    folder or a hub id instead, and some fields know words of their own, such as 'bm25'). What is
    used by a job, and what a rename changes, is found by it: :mod:`workbench.references`.

    ``widget`` says how the form asks where the type does not: 'column' (of a data set's own),
    'split', 'lines', 'files', 'numbers' (with commas), 'endpoint_key', 'text'. Without one, what a
    field refers to is chosen from a menu.
    """
    about: dict[str, Any] = {
        "group": group,
        "advanced": advanced,
        "depends_on": depends_on,
        "refers_to": refers_to,
        "widget": widget,
    }
    return Field(default, description=help, json_schema_extra={"workbench": about}, **bounds)


def _sentences(error: ValidationError) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in error.errors():
        name = ".".join(str(part) for part in one["loc"]) or "recipe"
        found.setdefault(name, one["msg"].removeprefix("Value error, ").rstrip(".") + ".")
    return found


def _explain(cls: type[Recipe], error: ValidationError) -> tuple[str, str]:
    sentences = _sentences(error)
    message = " ".join(f"{name}: {sentence}" for name, sentence in sentences.items())
    known = ", ".join(cls.model_fields)
    unknown = any(one["type"] == "extra_forbidden" for one in error.errors())
    return message, f"Known fields: {known}." if unknown else "Correct the value and try again."
