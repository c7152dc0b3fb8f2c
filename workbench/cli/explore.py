"""``evaluations explore``: the queries that gained and lost most between two rows."""

import argparse
from typing import Any

from workbench.comparison.names import HEADLINE, METRICS
from workbench.comparison.sorting import COLUMNS, WHICH
from workbench.workspace import Workspace


def add(actions: Any, shared: argparse.ArgumentParser) -> None:
    """The action below ``evaluations``."""
    parser = actions.add_parser(
        "explore", parents=[shared], help="which queries gained and lost most between two rows"
    )
    parser.add_argument("id", help="the id of an evaluate or matrix job, or of one evaluation")
    parser.add_argument("--model", required=True, metavar="A", help="a row of the table")
    parser.add_argument("--against", required=True, metavar="B", help="the row it is set against")
    parser.add_argument("--metric", choices=METRICS, default=HEADLINE)
    parser.add_argument(
        "--top", type=int, default=10, metavar="N", help="so many gains and losses (default: 10)"
    )
    parser.add_argument(
        "--which",
        choices=WHICH,
        help="list these queries instead, the first --top of them in the order of --sort",
    )
    parser.add_argument(
        "--sort",
        choices=COLUMNS,
        help="with --which: by the change, the value before or after, the query's length in "
        "characters or its text (default: by the change; of unchanged ones the value after)",
    )
    parser.add_argument("--reverse", action="store_true", help="with --which: the other way round")
    parser.add_argument(
        "--query", metavar="ID", help="show both rankings of this query instead, by its id"
    )
    parser.add_argument(
        "--judge",
        metavar="DOCUMENT",
        help="with --query: judge this document right, by its id, as a new version of the data set",
    )
    parser.set_defaults(command=_explore)


def _explore(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    # What it reads with takes a while to import, and no other command needs it.
    from workbench.cli.explored import explore

    return explore(workspace, args)
