"""``data add`` and ``data push``: files or a hub's data set in, a data set to a hub."""

import argparse
import getpass
import os
import sys
from typing import TYPE_CHECKING, Any

from workbench.cli.options import PREFIX, add_fields, read_values
from workbench.cli.output import say
from workbench.cli.running import run_job
from workbench.recipes.data import ImportRecipe
from workbench.recipes.draw import DrawPicturesRecipe
from workbench.recipes.hub_look import HubLookRecipe
from workbench.takeaway.push import TOKEN_VARIABLE
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from workbench.data.preview import Preview

#: Recipe fields whose options have shorter names here.
_OWN = ("paths", "name", "mapping", "hub_split", "hub_subset", "remove_after")
_CLIP = 200


def add(actions: Any, shared: argparse.ArgumentParser) -> None:
    """The two actions, below ``data``."""
    adding = actions.add_parser(
        "add", parents=[shared], help="read files, or a hub's data set, into a new data set"
    )
    adding.add_argument(
        PREFIX + "paths", nargs="+", metavar="PATH", help="files, folders or hf:OWNER/NAME"
    )
    adding.add_argument(
        "--name", dest=PREFIX + "name", metavar="TEXT", default="", help="what to call it here"
    )
    adding.add_argument(
        "--map",
        dest=PREFIX + "mapping",
        action="append",
        default=argparse.SUPPRESS,
        metavar="ROLE=COLUMN",
        help="which column holds what, for example query=frage; may be given several times",
    )
    adding.add_argument(
        "--split",
        dest=PREFIX + "hub_split",
        default=argparse.SUPPRESS,
        metavar="NAMES",
        help="the splits of a hub's data set, with commas between them (default: all)",
    )
    adding.add_argument(
        "--subset",
        dest=PREFIX + "hub_subset",
        default=argparse.SUPPRESS,
        metavar="NAME",
        help="the subset (configuration) of a hub's data set",
    )
    adding.add_argument(
        "--preview",
        action="store_true",
        help="show columns, first rows and pieces as they would be read, and write nothing",
    )
    add_fields(adding, ImportRecipe, skip=_OWN)
    adding.set_defaults(command=_add, parser=adding)

    drawing = actions.add_parser(
        "draw",
        parents=[shared],
        help="draw sample pictures with captions, and make a small untrained model for them",
    )
    add_fields(drawing, DrawPicturesRecipe)
    drawing.set_defaults(command=_draw)

    pushing = actions.add_parser("push", parents=[shared], help="send a data set to a hub")
    pushing.add_argument("name")
    pushing.add_argument("repo", metavar="OWNER/NAME", help="made where it does not exist yet")
    pushing.add_argument("--public", action="store_true", help="a repository that all can read")
    pushing.set_defaults(command=_push)


def _add(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    from workbench.cli.data import report
    from workbench.data.hub import is_hub
    from workbench.data.preview import preview  # readers of every shape: a fifth of a second

    values = read_values(args, ImportRecipe)
    if args.preview:
        recipe = ImportRecipe.read({**values, "name": values["name"] or "-"})
        for path in filter(is_hub, recipe.paths):
            look = HubLookRecipe(dataset_id=path, subset=recipe.hub_subset)
            run_job(workspace, look)
        found = preview(workspace, recipe)
        return found.to_dict(), _preview_words(found)
    if not values["name"]:
        args.parser.error("the following arguments are required: --name")
    job = run_job(workspace, ImportRecipe.read(values))
    result = job.result or {}
    return result, report(result)


def _draw(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    from workbench.cli.data import report

    job = run_job(workspace, DrawPicturesRecipe.read(read_values(args, DrawPicturesRecipe)))
    result = job.result or {}
    words = report(result)
    return result, f"{words}\n  model: {result['model']}" if result["model"] else words


def _preview_words(found: "Preview") -> str:
    lines = [f"Read as: {found.format or 'nothing that is known'}"]
    if found.columns:
        lines.append("Columns:")
        for name, sample in found.columns.items():
            guess = f"  (perhaps --map {found.guess[name]}={name})" if _guessed(found, name) else ""
            lines.append(f"  {name}: {_clip(sample)}{guess}")
    for row in found.rows:
        lines.append(f"{row.file}:{row.line}, {row.kind}")
        lines += [f"    {role}: {_clip(text)}" for role, text in row.texts]
    for problem in found.problems[:5]:
        lines.append(f"  {problem['file']}:{problem['line']}: {problem['message']}")
    return "\n".join([*lines, *found.notes])


def _guessed(found: "Preview", name: str) -> bool:
    return not found.known and name in found.guess


def _clip(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _CLIP else flat[: _CLIP - 1] + "…"


def _push(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    from workbench.data.push import push_dataset

    token = ""
    # Never an option: what is typed as one stands in the list of processes and in the history.
    if not os.environ.get(TOKEN_VARIABLE) and sys.stdin.isatty():
        token = getpass.getpass("Token (used once, not kept): ")
    say(f"Sending '{args.name}' ...")
    done = push_dataset(workspace, args.name, args.repo, token=token, private=not args.public)
    words = [f"'{done['dataset']}' is at {done['address']}."]
    if done["left_out"]:
        words += ["A hub has no place for these, which an export keeps:"]
        words += [f"  {one}" for one in done["left_out"]]
    return done, "\n".join(words)
