"""Reads the command line, runs one command, and turns its outcome into an exit status.

0 done, 1 the job failed, 2 bad usage or bad input (nothing written), 130 interrupted, 141 nobody
reads the output any more.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from workbench.cli import data, evaluations, indexes, jobs, mine, models, serve, train
from workbench.cli.output import print_json, say
from workbench.cli.running import Command, Commands, JobFailed, until_unread
from workbench.endpoints import EndpointKeys
from workbench.errors import WorkbenchError
from workbench.workspace import Workspace


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the returned number is the process's exit status."""
    return until_unread(lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> int:
    # Known before the options are read, which extensions may keep from happening.
    args = argparse.Namespace(json="--json" in (sys.argv[1:] if argv is None else argv))
    try:
        build_parser().parse_args(argv, args)
        document, text = _run(args)
    except WorkbenchError as error:
        return _fail(args, error)
    except KeyboardInterrupt:
        return 130
    if args.json:
        print_json(document)
    elif text:
        print(text)
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    shared = argparse.ArgumentParser(add_help=False)
    # SUPPRESS: an option may stand before or after the command, and neither undoes the other.
    shared.add_argument("--home", metavar="DIR", default=argparse.SUPPRESS, help=_HOME)
    shared.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=_JSON)
    shared.add_argument(
        "--trust-remote-code", action="store_true", default=argparse.SUPPRESS, help=_TRUST
    )
    shared.add_argument(
        "--endpoint-key",
        action="append",
        default=argparse.SUPPRESS,
        metavar="NAME=ORIGIN",
        help=_KEY,
    )
    parser = argparse.ArgumentParser(
        prog="python -m workbench",
        description="Fine-tune retrieval models and measure whether they improved.",
        parents=[shared],
    )
    parsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    commands = Commands(parsers, shared)
    for add in (
        jobs.add_demo,
        data.add,
        train.add,
        evaluations.add_evaluate,
        train.add_sweep,
        train.add_curve,
        indexes.add,
        indexes.add_answer,
        mine.add,
        mine.add_synthesize,
        evaluations.add_matrix,
        models.add_merging,
        models.add_quantize,
        jobs.add,
        models.add,
        indexes.add_picks,
        evaluations.add,
        evaluations.add_cache,
        serve.add,
    ):
        add(commands)
    return parser


_HOME = "the workspace's folder (default: WORKBENCH_HOME or ~/.retrieval-workbench)"
_JSON = "write exactly one JSON document to stdout"
_TRUST = "allow models to run their own code"
_KEY = (
    "let endpoints at this scheme, host and port be sent the key in the environment variable NAME; "
    "may be given several times"
)


def _run(args: argparse.Namespace) -> tuple[Any, str]:
    args.json = getattr(args, "json", False)
    workspace = Workspace.open(
        getattr(args, "home", None),
        trust_remote_code=getattr(args, "trust_remote_code", False),
        endpoint_keys=EndpointKeys.read(getattr(args, "endpoint_key", [])),
    )
    try:
        # What died while nobody watched must not be shown as running.
        workspace.jobs.recover()
        command: Command = args.command
        return command(workspace, args)
    finally:
        workspace.close()


def _fail(args: argparse.Namespace, error: WorkbenchError) -> int:
    say(f"{error.message}\n{error.hint}".strip())
    if getattr(args, "json", False):
        print_json({"error": error.to_dict()})
    bad_input = error.is_bad_input if isinstance(error, JobFailed) else error.bad_input
    return 2 if bad_input else 1


if __name__ == "__main__":
    sys.exit(main())
