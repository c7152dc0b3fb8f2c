"""``picks``: what was preferred in blind tests."""

import argparse
from typing import Any

from workbench.cli.output import columns, say
from workbench.search.picks import Tally, get_pick, judge_pick, tallies, winner_top
from workbench.workspace import Workspace


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    parser = commands.add_parser("picks", help="blind tests of searches: tally, list, judge")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    counting = actions.add_parser(
        "tally", parents=[shared], help="how often each side was preferred"
    )
    counting.set_defaults(command=_tally)
    listing = actions.add_parser("list", parents=[shared], help="every answer, newest first")
    listing.set_defaults(command=_list)
    judging = actions.add_parser(
        "judge",
        parents=[shared],
        help="add an answer as a judgment, in a new version of the data set",
    )
    judging.add_argument("id")
    judging.add_argument(
        "--document",
        default="",
        metavar="ID",
        help="the relevant document (default: the winner's first)",
    )
    judging.set_defaults(command=_judge)


def _tally(workspace: Workspace, _args: argparse.Namespace) -> tuple[Any, str]:
    found = tallies(workspace)
    if not found:
        say("No blind test was answered yet. There is one on the page's Search tab.")
    heads = ["first", "second", "won", "lost", "ties", "share", "95% interval", "p", "preferred"]
    text = columns(heads, [_row(one) for one in found]) if found else ""
    return [one.to_dict() for one in found], text


def _row(one: Tally) -> list[Any]:
    numbers = ["", "", ""]
    if one.share is not None and one.low is not None and one.high is not None:
        numbers = [f"{one.share:.2f}", f"{one.low:.2f} to {one.high:.2f}", f"{one.p_value:.3f}"]
    preferred = one.preferred or "nobody, yet"
    first = f"{one.first} (earlier build)" if one.earlier else one.first
    return [first, one.second, one.wins, one.losses, one.ties, *numbers, preferred]


def _list(workspace: Workspace, _args: argparse.Namespace) -> tuple[Any, str]:
    found = [
        {
            "id": pick.id,
            "query": pick.query,
            "first": pick.first,
            "second": pick.second,
            "winner": pick.winner,
            "document": winner_top(pick),
        }
        for pick in workspace.store.picks.list()
    ]
    heads = ["id", "question", "first", "second", "winner"]
    rows = [[one["id"], one["query"][:60], *(one[name] for name in heads[2:])] for one in found]
    return found, columns(heads, rows) if found else ""


def _judge(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    pick = get_pick(workspace, args.id)
    name, version = judge_pick(workspace, pick.id, args.document)
    document = args.document or winner_top(pick)
    said = {"dataset": name, "version": version, "query": pick.query, "document": document}
    return said, f"Version {version} of '{name}' has the judgment."
