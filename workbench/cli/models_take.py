"""``models push`` and ``models script``: a model to a hub, and its run as a script."""

import argparse
import getpass
import os
import sys
from pathlib import Path
from typing import Any

from workbench.takeaway.apart import write_in_own_process
from workbench.takeaway.push import TOKEN_VARIABLE, push
from workbench.workspace import Workspace


def add(actions: Any, shared: argparse.ArgumentParser) -> None:
    """The two actions, below ``models``."""
    pushing = actions.add_parser("push", parents=[shared], help="send a model to a hub")
    pushing.add_argument("name")
    pushing.add_argument("repo", metavar="OWNER/NAME", help="made where it does not exist yet")
    pushing.add_argument("--public", action="store_true", help="a repository that all can read")
    pushing.set_defaults(command=_push)

    scripting = actions.add_parser(
        "script", parents=[shared], help="write a model's run as a plain train.py with its rows"
    )
    scripting.add_argument("name", help="a trained model, or the job that trained it")
    scripting.add_argument("--output", required=True, metavar="FOLDER", help="where to write it")
    scripting.set_defaults(command=_script)


def _push(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    model = workspace.models.get(args.name)
    token = ""
    # Never an option: what is typed as one stands in the list of processes and in the history.
    if not os.environ.get(TOKEN_VARIABLE) and sys.stdin.isatty():
        token = getpass.getpass("Token (used once, not kept): ")
    done = push(workspace, model, args.repo, token=token, private=not args.public)
    return done, f"'{model.name}' is at {done['address']}."


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
