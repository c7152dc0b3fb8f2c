"""Recipe fields as command-line options, and options back as recipe values."""

import argparse
from pathlib import Path
from typing import Any

import orjson

from workbench.errors import BadInput, BadRecipe
from workbench.recipes.base import Recipe
from workbench.recipes.describe import FieldSpec, describe
from workbench.workspace import Workspace

#: Where a recipe option's value is kept in the parsed arguments, apart from the commands' own.
PREFIX = "field_"
USUAL_KEY = "OPENAI_API_KEY"


def add_fields(
    parser: argparse.ArgumentParser, recipe: type[Recipe], skip: tuple[str, ...] = ()
) -> None:
    """One option per field: ``--batch-size 16``. Values stay text; the recipe reads them."""
    for spec in describe(recipe):
        if spec.name not in skip:
            add_field(parser, spec)


def add_settings(
    parser: argparse.ArgumentParser, recipe: type[Recipe], *others: type[Recipe]
) -> None:
    """``--set field=value`` and ``--recipe FILE`` (and ``--preset`` where the recipe, or one of the
    others that the command may read, has some)."""
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="set any field of the recipe; may be given several times",
    )
    parser.add_argument("--recipe", dest="recipe_file", metavar="FILE", help="a recipe.json")
    presets = list(dict.fromkeys(name for one in (recipe, *others) for name in one.presets))
    if presets:
        parser.add_argument("--preset", choices=presets, help="a starting point")


def read_values(
    args: argparse.Namespace, recipe: type[Recipe], before: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Recipe values from ``before``, file, preset, options and ``--set``; the later ones win."""
    values: dict[str, Any] = dict(before or {})
    if getattr(args, "recipe_file", None):
        values.update(_read_file(Path(args.recipe_file)))
    if getattr(args, "preset", None):
        if args.preset not in recipe.presets:
            raise BadRecipe(
                f"There is no preset '{args.preset}' here.",
                f"The presets are: {', '.join(recipe.presets)}.",
            )
        values.update(recipe.presets[args.preset])
    for name, value in vars(args).items():
        if name.startswith(PREFIX):
            values[name.removeprefix(PREFIX)] = value
    for setting in getattr(args, "settings", []):
        values.update(_read_setting(setting, recipe))
    return {name: _none_where_allowed(recipe, name, value) for name, value in values.items()}


def add_field(parser: argparse.ArgumentParser, spec: FieldSpec) -> None:
    """The option of one field."""
    flag = "--" + spec.name.replace("_", "-")
    common: dict[str, Any] = {
        "dest": PREFIX + spec.name,
        "default": argparse.SUPPRESS,
        "help": (spec.help + _default_words(spec)).replace("%", "%%"),
    }
    if spec.kind == "flag":
        parser.add_argument(flag, action=argparse.BooleanOptionalAction, **common)
    elif spec.kind == "list":
        parser.add_argument(flag, nargs="+", required=spec.required, **common)
    elif spec.kind == "choice":
        parser.add_argument(flag, choices=spec.choices, **common)
    else:
        metavar = {"int": "N", "float": "X"}.get(spec.kind, "TEXT")
        parser.add_argument(flag, metavar=metavar, required=spec.required, **common)


def allow_typed_key(workspace: Workspace, args: argparse.Namespace) -> None:
    """Whoever types an endpoint's address means to send it the key: the one typed with it, else
    that of OPENAI_API_KEY. What a file or kept settings say of either is no such word."""
    typed = {
        name.removeprefix(PREFIX): str(value)
        for name, value in vars(args).items()
        if name.startswith(PREFIX)
    }
    for setting in getattr(args, "settings", []):
        name, _, value = setting.partition("=")
        typed[name.strip().replace("-", "_")] = value
    if typed.get("endpoint"):
        name = typed.get("key_variable") or USUAL_KEY
        workspace.endpoint_keys = workspace.endpoint_keys.also(name, typed["endpoint"].strip())


def _default_words(spec: FieldSpec) -> str:
    shown = spec.default is not None and spec.default != "" and spec.kind != "flag"
    return f" (default: {spec.default})" if shown else ""


def _read_setting(setting: str, recipe: type[Recipe]) -> dict[str, Any]:
    name, equals, value = setting.partition("=")
    if not equals:
        raise BadInput(f"'--set {setting}' has no '='.", "Write it as --set field=value.")
    name = name.strip().replace("-", "_")
    if name not in recipe.model_fields:
        known = ", ".join(recipe.model_fields)
        raise BadRecipe(f"There is no field named '{name}'.", f"Known fields: {known}.")
    return {name: value}


def _read_file(path: Path) -> dict[str, Any]:
    try:
        values = orjson.loads(path.read_bytes())
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
    except orjson.JSONDecodeError as error:
        raise BadInput(f"{path} is not JSON: {error}.", "Give a recipe.json.") from error
    if not isinstance(values, dict):
        raise BadInput(f"{path} does not hold one JSON object.", "Give a recipe.json.")
    return values


def _none_where_allowed(recipe: type[Recipe], name: str, value: Any) -> Any:
    """'none' typed for an optional field means: no value."""
    optional = {spec.name for spec in describe(recipe) if spec.optional}
    return None if name in optional and value == "none" else value
