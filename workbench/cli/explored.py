"""What ``evaluations explore`` prints: the changed queries, or one query's two rankings."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from workbench.cli.output import columns
from workbench.comparison.explore import (
    Change,
    Hit,
    Pairing,
    changes,
    common,
    pairing,
    rankings,
    row_name,
)
from workbench.comparison.judge import judge
from workbench.comparison.names import label
from workbench.comparison.order import ordered
from workbench.comparison.sorting import first_order
from workbench.errors import BadInput
from workbench.workspace import Workspace

_CLIP = 70


def explore(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    if args.top < 1:
        raise BadInput(f"--top {args.top} shows nothing.", "Give 1 or more.")
    if args.judge and not args.query:
        raise BadInput("--judge needs to know the query.", "Give its id with --query.")
    if (args.sort or args.reverse) and not args.which:
        raise BadInput(
            "--sort and --reverse order the list that --which names.", "Add --which all, for one."
        )
    pair = pairing(workspace, args.id, args.model, args.against, args.metric)
    gains, losses, same = pair.counted
    about = {
        "model": row_name(pair.after),
        "against": row_name(pair.before),
        "metric": pair.metric,
        "queries": len(pair.queries),
        "gains": gains,
        "losses": losses,
        "same": same,
    }
    if args.query:
        return _one(workspace, args, pair, about)
    if args.which:
        return _sorted(workspace, args, pair, about)
    best = changes(workspace, pair, pair.sorted()[: args.top])
    worst = changes(workspace, pair, pair.sorted(losses=True)[: args.top])
    document = {
        **about,
        "biggest_gains": [_change(one) for one in best],
        "biggest_losses": [_change(one) for one in worst],
    }
    name = label(pair.metric)
    said = (
        f"{about['model']} against {about['against']}, {name}: {gains} queries gained, "
        f"{losses} lost, {same} stayed the same."
    )
    return document, _lines(said, name, [*best, *reversed(worst)])


def _sorted(
    workspace: Workspace, args: argparse.Namespace, pair: Pairing, about: dict[str, Any]
) -> tuple[Any, str]:
    """Some or all queries, by any column."""
    by, down = first_order(args.which, args.sort)
    down = down != args.reverse
    every = changes(workspace, pair, list(range(len(pair.queries))))
    places = ordered(pair, every, args.which, by, down)
    found = [every[at] for at in places[: args.top]]
    document = {**about, "which": args.which, "sort": by, "descending": down, "of": len(places)}
    said = f"{len(found)} of {len(places)} queries ({args.which}), by {by}, "
    said += f"{'the highest' if down else 'the lowest'} first."
    listed = [_change(one) for one in found]
    return {**document, "listed": listed}, _lines(said, label(pair.metric), found)


def _lines(said: str, name: str, found: Sequence[Change]) -> str:
    rows = [
        [f"{one.delta:+.3f}", f"{one.before:.3f}", f"{one.after:.3f}", one.id, _clip(one.text)]
        for one in found
    ]
    head = [name, "before", "after", "id", "query"]
    return f"{said}\n{columns(head, rows)}" if rows else said


def _one(
    workspace: Workspace, args: argparse.Namespace, pair: Pairing, about: dict[str, Any]
) -> tuple[Any, str]:
    every = changes(workspace, pair, list(range(len(pair.queries))))
    query = next((one for one in every if one.id == args.query), None)
    if query is None:
        raise BadInput(f"No query with the id '{args.query}' was asked in both.", "Check the id.")
    found = rankings(workspace, pair, query.query)
    document: dict[str, Any] = {
        **about,
        "query": _change(query),
        "before": [_hit(query.text, hit) for hit in found.before],
        "after": [_hit(query.text, hit) for hit in found.after],
    }
    lines = [f"{query.id}: {query.text}", ""]
    for name, hits in ((about["against"], found.before), (about["model"], found.after)):
        rows = [
            [hit.rank, "" if hit.grade is None else hit.grade, hit.id, _clip(hit.title or hit.text)]
            for hit in hits
        ]
        lines += [name, columns(["rank", "grade", "id", "document"], rows), ""]
    if args.judge:
        row = next((h.document for h in (*found.before, *found.after) if h.id == args.judge), None)
        if row is None:
            raise BadInput(
                f"'{args.judge}' is not among the documents shown.", "Choose one of their ids."
            )
        dataset, version = judge(workspace, pair, query.query, row)
        document["judged"] = {"dataset": dataset, "version": version, "document": args.judge}
        lines.append(f"'{dataset}' is now version {version}, in which {args.judge} is right.")
    return document, "\n".join(lines).rstrip()


def _change(one: Change) -> dict[str, Any]:
    return {
        "id": one.id,
        "text": one.text,
        "before": one.before,
        "after": one.after,
        "delta": one.delta,
    }


def _hit(query: str, hit: Hit) -> dict[str, Any]:
    words = dict.fromkeys(p.lower() for p, marked in common(query, hit.text) if marked)
    return {**asdict(hit), "words_in_common": list(words)}


def _clip(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _CLIP else text[: _CLIP - 1] + "…"
