"""``models``: what is in the workspace, from here or from elsewhere."""

import argparse
import getpass
import os
import sys
from pathlib import Path
from typing import Any

from storage.records import Model
from workbench.cli.output import columns, size_words
from workbench.cli.running import PREFIX, add_fields, add_settings, follow, read_values, run_job
from workbench.errors import BadInput
from workbench.model_kinds import MODEL_KINDS
from workbench.models.contract import Contract
from workbench.models.resolve import catalogue, manner
from workbench.recipes.base import ContractRecipe
from workbench.recipes.data import AddModelRecipe
from workbench.recipes.push import PushModelRecipe
from workbench.takeaway.push import TOKEN_VARIABLE, submit
from workbench.takeaway.script_subprocess import write_in_own_process
from workbench.takeaway.snippet import use_lines
from workbench.workspace import Workspace

# ``models push`` and ``models script``: a model to a hub, and its run as a script.


def _add_take_actions(actions: Any, shared: argparse.ArgumentParser) -> None:
    """The two actions, below ``models``."""
    pushing = actions.add_parser(
        "push", parents=[shared], help="push a model to the Hugging Face Hub"
    )
    pushing.add_argument("name")
    pushing.add_argument("repo", metavar="OWNER/NAME", help="created if it does not exist")
    pushing.add_argument("--public", action="store_true", help="make the repository public")
    pushing.set_defaults(command=_push)

    scripting = actions.add_parser(
        "script",
        parents=[shared],
        help="write a model's training run as a standalone train.py with its rows",
    )
    scripting.add_argument("name", help="a trained model, or the job that trained it")
    scripting.add_argument("--output", required=True, metavar="FOLDER", help="where to write it")
    scripting.set_defaults(command=_script)


def _push(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    recipe = PushModelRecipe.read(
        {"model": args.name, "repo": args.repo, "private": not args.public}
    )
    token = ""
    # Never an option: what is typed as one stands in the list of processes and in the history.
    if not os.environ.get(TOKEN_VARIABLE) and sys.stdin.isatty():
        token = getpass.getpass("Token (used once, not kept): ")
    done = follow(workspace, submit(workspace, recipe, token)).result or {}
    return done, f"'{done['model']}' is at {done['address']}."


def _script(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    model = _trained(workspace, args.name)
    folder = Path(args.output).expanduser().absolute()
    written = write_in_own_process(workspace, model, folder)
    return written, f"Wrote train.py, rows.jsonl, batches.jsonl and README.md into {folder}."


def _trained(workspace: Workspace, name: str) -> str:
    """The id of the model of that name, or of the one that the job of that id trained."""
    if not workspace.models.exists(name):
        made = [model for model in workspace.models.list() if model.job_id == name]
        if made:
            return made[0].id
    return workspace.models.get(name).id


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "models", help="models: add, set, list, show, remove, export, catalogue"
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    adding = actions.add_parser("add", parents=[shared], help="copy a model into the workspace")
    adding.add_argument(PREFIX + "source", metavar="PATH", help="a folder or a Hub id")
    add_fields(adding, AddModelRecipe, skip=("source",))
    add_settings(adding, AddModelRecipe)
    adding.set_defaults(command=_add)

    setting = actions.add_parser(
        "set", parents=[shared], help="change a model's usage settings: models set NAME pooling=cls"
    )
    setting.add_argument("name")
    setting.add_argument("settings", nargs="+", metavar="FIELD=VALUE")
    setting.set_defaults(command=_set)

    listing = actions.add_parser("list", parents=[shared], help="all models")
    listing.set_defaults(command=_list)

    for name, function, words in (
        ("show", _show, "a model's contract and results"),
        ("remove", _remove, "delete a model"),
    ):
        action = actions.add_parser(name, parents=[shared], help=words)
        action.add_argument("name")
        action.set_defaults(command=function)

    browsing = actions.add_parser(
        "catalogue", parents=[shared], help="base models to start from; nothing is downloaded"
    )
    browsing.add_argument("--kind", choices=MODEL_KINDS.names(), help="only this kind")
    browsing.set_defaults(command=_catalogue)

    exporting = actions.add_parser("export", parents=[shared], help="write a model as a zip file")
    exporting.add_argument("name")
    exporting.add_argument("--to", required=True, metavar="FILE", help="the zip file to write")
    exporting.set_defaults(command=_export)
    _add_take_actions(actions, shared)


def _add(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    job = run_job(workspace, AddModelRecipe.read(read_values(args, AddModelRecipe)))
    result = job.result or {}
    return result, f"Added the model '{result.get('model')}'."


def _set(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    from workbench.models.jobs import edit

    for name in (one.partition("=")[0].strip() for one in args.settings):
        if name in Contract.model_fields and name not in ContractRecipe.model_fields:
            raise BadInput(
                f"'{name}' follows from the model's weights and cannot be set.",
                f"What can be set: {', '.join(ContractRecipe.model_fields)}.",
            )
    wanted = ContractRecipe.read(read_values(args, ContractRecipe))
    done = edit(workspace, args.name, wanted)
    about = {"model": done.model.name, "changed": list(done.changed), "notes": list(done.notes)}
    said = [f"{name:<18} {done.model.contract[name]!r}" for name in done.changed]
    text = "\n".join([*said, *done.notes]) or f"'{done.model.name}' is used like this already."
    return {**about, "contract": done.model.contract}, text


def _list(workspace: Workspace, _args: argparse.Namespace) -> tuple[Any, str]:
    workspace.models.ensure_packaged()
    found = [_about(workspace, model) for model in workspace.models.list()]
    rows = [[m["name"], m["kind"], m["base"] or "", size_words(m["bytes"])] for m in found]
    return found, columns(["name", "kind", "base", "disk"], rows)


def _show(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    workspace.models.ensure_packaged()
    about = _about(workspace, workspace.models.get(args.name))
    about["used_by"] = list(workspace.models.used_by(args.name))
    lines = [f"{key:<16} {value}" for key, value in about.items() if key != "contract"]
    lines += [f"  {key:<18} {value!r}" for key, value in about["contract"].items()]
    about["use"] = use_lines(workspace, workspace.models.get(args.name))
    lines += ["", *about["use"].splitlines()]
    return about, "\n".join(lines)


def _remove(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    model = workspace.models.get(args.name)
    workspace.models.remove(model.name)
    return {"removed": model.name}, f"Removed the model '{model.name}'."


def _export(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    from workbench.models.files import export_zip
    from workbench.takeaway.snippet import replaced_files

    model = workspace.models.get(args.name)
    instead = replaced_files(workspace, model)
    written = export_zip(workspace.models.folder(model.name), Path(args.to), instead)
    return {"model": model.name, "file": str(written)}, f"Wrote {written}."


def _catalogue(_workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    found = catalogue(args.kind)
    rows = [
        [
            m.id, m.kind, m.languages, _megabytes(m.size), str(m.max_len or "not known"),
            manner(m) or "-", m.licence or "not known",
        ]
        for m in found
    ]  # fmt: skip
    header = ["id (use it as --model)", "kind", "languages", "size", "tokens", "use", "licence"]
    return [model.model_dump() for model in found], columns(header, rows)


def _megabytes(size: int | None) -> str:
    return size_words(size * 1_000_000) if size else "not known"


def _about(workspace: Workspace, model: Model) -> dict[str, Any]:
    return {
        "name": model.name,
        "kind": model.kind,
        "base": model.base,
        "verdict": model.verdict,
        "summary": model.summary,
        "contract": model.contract,
        "folder": str(workspace.models.folder(model.name)),
        "bytes": workspace.models.bytes(model),
        "created_at": model.created_at,
    }
