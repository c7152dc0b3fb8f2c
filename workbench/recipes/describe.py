"""A recipe class as a list of plain field descriptions, for the form, the options and the docs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from workbench.extensions import Labelled, OneOf
from workbench.recipes.base import MODEL_FREE, Fit, Need, Recipe, Referent

R = TypeVar("R", bound=Recipe)


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """All there is to know about one field, without pydantic."""

    name: str
    kind: str  # 'int', 'float', 'text', 'flag', 'choice', 'list', 'fields'
    optional: bool
    required: bool
    default: Any
    choices: tuple[str, ...]
    #: What a form calls choices, and when each is right, where an object says so.
    described: dict[str, Labelled] = field(hash=False)
    minimum: float | None
    maximum: float | None
    help: str
    group: str
    advanced: bool
    depends_on: tuple[str, tuple[Any, ...]] | None
    #: What it names: 'dataset', 'model', 'index' or 'job'.
    refers_to: Referent | None
    #: How it is asked for; a reference's is what it refers to, with an s where it is a list.
    widget: str
    #: What is looked up when the job is submitted (:func:`workbench.recipes.base.setting`).
    names: Literal["dataset", "model", "index"] | None
    needs: Need | None
    fits: Fit | None
    pinned: Literal["always", "unless waiting"] | None


def describe(recipe: type[Recipe]) -> list[FieldSpec]:
    """The recipe's fields in the order they are written."""
    return [_spec(name, info) for name, info in recipe.model_fields.items()]


def without_nulls(recipe: type[Recipe], values: dict[str, Any]) -> dict[str, Any]:
    """Values of a JSON document, without those null ones that only say: as usual."""
    may_be_none = {spec.name for spec in describe(recipe) if spec.optional}
    return {
        name: value
        for name, value in values.items()
        if value is not None or name in may_be_none or name not in recipe.model_fields
    }


def with_absolute_folders(recipe: R, is_name: Callable[[str], bool]) -> R:
    """The recipe with each folder that it names as a model by its absolute path: a job runs in
    another folder than the one the person stands in.

    ``is_name``: whether the workspace has a model of that name, which goes before a folder of the
    same name. Recipes inside the recipe (``Recipe.nested``) are treated alike.
    """
    return recipe.model_copy(update=_absolute(type(recipe), dict(recipe), is_name))


def _absolute(
    recipe: type[Recipe], values: dict[str, Any], is_name: Callable[[str], bool]
) -> dict[str, Any]:
    def whole(name: str) -> str:
        plain = name.strip()
        folder = Path(plain or "-").expanduser()
        if plain.lower() in MODEL_FREE or is_name(plain) or not folder.is_dir():
            return plain
        return str(folder.resolve())

    changed: dict[str, Any] = {}
    for spec in describe(recipe):
        value = values.get(spec.name)
        if spec.refers_to == "model" and value:
            found = [whole(one) for one in value] if isinstance(value, list) else whole(value)
            changed |= {spec.name: found} if found != value else {}
    for name, inner in recipe.nested(values).items():
        if isinstance(values.get(name), dict):
            changed[name] = {**values[name], **_absolute(inner, values[name], is_name)}
    return changed


def _spec(name: str, info: FieldInfo) -> FieldSpec:
    kind, choices, optional = _kind(info.annotation)
    described: dict[str, Labelled] = {}
    for one in info.metadata:
        if isinstance(one, OneOf):
            kind, choices = "choice", one.names()
            described = {thing.name: thing for thing in one.things() if thing.name in choices}
    extra = info.json_schema_extra
    about: dict[str, Any] = dict(extra.get("workbench", {})) if isinstance(extra, dict) else {}  # type: ignore[arg-type]
    refers_to: Referent | None = about.get("refers_to")
    menu = f"{refers_to or ''}{'s' * (kind == 'list')}" if refers_to else ""
    default = None if info.default is PydanticUndefined else info.default
    return FieldSpec(
        name=name,
        kind=kind,
        optional=optional,
        required=info.is_required(),
        default=default if info.default_factory is None else info.default_factory(),  # type: ignore[call-arg]
        choices=choices,
        described=described,
        minimum=_bound(info, "ge", "gt"),
        maximum=_bound(info, "le", "lt"),
        help=info.description or "",
        group=about.get("group", "basics"),
        advanced=about.get("advanced", False),
        depends_on=_depends_on(about.get("depends_on")),
        refers_to=refers_to,
        widget=about.get("widget") or menu,
        names=about.get("names"),
        needs=about.get("needs"),
        fits=about.get("fits"),
        pinned=about.get("pinned"),
    )


def _depends_on(about: Any) -> tuple[str, tuple[Any, ...]] | None:
    if about is None:
        return None
    field, values = about
    return field, values() if callable(values) else values


def _bound(info: FieldInfo, *names: str) -> float | None:
    for constraint in info.metadata:
        for name in names:
            value = getattr(constraint, name, None)
            if value is not None:
                return float(value)
    return None


def _kind(annotation: Any) -> tuple[str, tuple[str, ...], bool]:
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        inner = [part for part in get_args(annotation) if part is not NoneType]
        kind, choices, _ = _kind(inner[0])
        return kind, choices, NoneType in get_args(annotation)
    if origin is Literal:
        return "choice", tuple(str(value) for value in get_args(annotation)), False
    if origin in (list, tuple):
        return "list", (), False
    if origin is dict:
        return "fields", (), False
    plain = {bool: "flag", int: "int", float: "float", str: "text"}
    return plain[annotation], (), False
