"""``index``, ``search``, ``answer`` and ``picks``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from storage.records import Index
from workbench.answers.answer import collect_answer, load_settings, prepare, settings_over
from workbench.cli.output import columns, say, size_words
from workbench.cli.running import (
    Commands,
    add_fields,
    add_settings,
    allow_typed_key,
    read_values,
    run_job,
)
from workbench.errors import BadInput, EndpointFailed
from workbench.plurals import counted
from workbench.recipes.answer import AnswerRecipe
from workbench.recipes.evaluate import IndexRecipe, IndexUpdateRecipe
from workbench.search.fields import joined
from workbench.search.picks import Tally, get_pick, judge_pick, tallies, winner_top
from workbench.search.protocol import CANDIDATES, Hit
from workbench.search.staleness import Stale, stale
from workbench.workspace import Workspace

# An index as JSON and as lines for the terminal.

MEASURED = ("structure", "dimensions", "recall@10", "queries", "queries_from", "ms_p50", "ms_p95")


def document(workspace: Workspace, index: Index) -> dict[str, Any]:
    """What ``index list`` says of one; of an index from before it was measured, None."""
    return {
        "name": index.name,
        "model": index.model,
        "type": index.type,
        "documents": index.documents,
        "bytes": index.bytes,
        "version": index.version,
        **{name: index.summary.get(name) for name in MEASURED},
        "stale": [one.to_dict() for one in stale(workspace, index)],
    }


def table(found: list[dict[str, Any]]) -> str:
    heads = ["name", "model", "structure", "documents", "disk", "recall@10", "ms", "fits"]
    rows = [
        [
            one["name"],
            one["model"],
            one["structure"] or "flat",
            one["documents"],
            size_words(one["bytes"]),
            "" if one["recall@10"] is None else f"{one['recall@10']:.3f}",
            "" if one["ms_p50"] is None else f"{one['ms_p50']:.2f}",
            ", ".join(reason["code"] for reason in one["stale"]) or "yes",
        ]
        for one in found
    ]
    return columns(heads, rows)


def lines(index: Index, reasons: list[Stale]) -> str:
    """One index in full."""
    summary = index.summary
    rows: list[list[Any]] = [
        ["model", index.model],
        ["documents", f"{index.documents:,} (version {index.version} of the data set)"],
        ["disk", size_words(index.bytes)],
    ]
    if "recall@10" in summary:
        plan = {
            name: value
            for name, value in summary["plan"].items()
            if value and name not in ("structure", "dimensions", "notes", "normalize", "cut")
        }
        settings = ", ".join(f"{name} {value}" for name, value in plan.items())
        rows += [
            ["structure", f"{summary['structure']}, {summary['dimensions']} dimensions"],
            *([["parameters", settings]] if settings else []),
            [
                "recall@10",
                f"{summary['recall@10']:.3f} of exact search, by {summary['queries']} queries "
                f"({summary['queries_from']})",
            ],
            ["per query", f"{summary['ms_p50']:.2f} ms (p50), {summary['ms_p95']:.2f} ms (p95)"],
        ]
        rows += [["note", note] for note in summary.get("notes", [])]
    if left := summary.get("left_out"):
        rows.append(["left out", counted(len(left), "document")])
    rows += [["out of date", f"{one.sentence} {_mend(index, one)}".strip()] for one in reasons]
    return columns(["", index.name], rows)


def _mend(index: Index, reason: Stale) -> str:
    return f"Fix it with: python -m workbench index update {index.name}" if reason.mend else ""


def add(commands: Commands) -> None:
    actions = commands.group("index", "indexes: build, list, show, update, remove")
    building = actions.add("build", _build, "build an index over a data set")
    add_fields(building, IndexRecipe)
    add_settings(building, IndexRecipe)
    actions.add("list", _list, "all indexes with their recall")
    showing = actions.add("show", _show, "details of an index")
    showing.add_argument("name")
    updating = actions.add("update", _update, "add new documents and remove deleted ones")
    updating.add_argument("name")
    add_fields(updating, IndexUpdateRecipe, skip=("index",))
    removing = actions.add("remove", _remove, "delete an index")
    removing.add_argument("name")
    _add_search(commands)


def _add_search(commands: Commands) -> None:
    searching = commands.add("search", _search, "search an index")
    searching.add_argument("--index", required=True, metavar="NAME")
    searching.add_argument("--top-k", type=int, default=10, metavar="N")
    searching.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="FILTER",
        help="only documents whose own fields say so: 'year >= 2020 and lang in en, de'; may be "
        "given several times",
    )
    searching.add_argument(
        "--reranker",
        metavar="MODEL",
        help="a reranker or late-interaction model that re-ranks the first hits",
    )
    searching.add_argument(
        "--candidates",
        type=int,
        metavar="N",
        help=f"how many hits the second stage orders (default: {CANDIDATES}, or --top-k if larger)",
    )
    asked = searching.add_mutually_exclusive_group(required=True)
    asked.add_argument("text", metavar="TEXT", nargs="?", help="the question")
    asked.add_argument("--image", metavar="FILE", help="search by this picture instead")


def _build(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    values = read_values(args, IndexRecipe)
    result = run_job(workspace, IndexRecipe.read(values)).result or {}
    notes = "".join(f"\n{note}" for note in result.get("notes", []))
    recall = f"; it finds {result['recall@10']:.1%} of the exact ten best" if result else ""
    return result, f"Built the index '{result.get('index', values.get('name'))}'{recall}.{notes}"


def _list(workspace: Workspace, _args: argparse.Namespace) -> tuple[Any, str]:
    found = [document(workspace, index) for index in workspace.indexes.list()]
    if not found:
        say("No indexes yet. Build one with: python -m workbench index build --dataset NAME")
    return found, table(found) if found else ""


def _show(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    index = workspace.indexes.get(args.name)
    shown = document(workspace, index)
    said = {"path": index.path, "contract": index.contract, "summary": index.summary}
    users = list(workspace.indexes.used_by(index.name))
    text = lines(index, stale(workspace, index))
    if users:
        text += f"\nused by {', '.join(users)}"
    return {**shown, **said, "used_by": users}, text


def _update(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    values = read_values(args, IndexUpdateRecipe, {"index": args.name})
    result = run_job(workspace, IndexUpdateRecipe.read(values)).result or {}
    counts = f"{result.get('added', 0):,} documents added, {result.get('removed', 0):,} taken out"
    if result.get("rebuilt"):
        counts = f"built anew with {result.get('documents', 0):,} documents"
    return result, f"The index '{args.name}' is up to date: {counts}."


def _remove(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    index = workspace.indexes.get(args.name)
    workspace.indexes.remove(index.name)
    return {"removed": index.name}, f"Removed the index '{index.name}'."


def _search(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    from workbench.search.client import SearchClient

    candidates = max(CANDIDATES, args.top_k) if args.candidates is None else args.candidates
    where = joined(args.where)
    client = SearchClient(workspace)
    try:
        if args.image is not None:
            _refuse_second(args)
            found = client.search_picture([args.index], Path(args.image), args.top_k, where=where)[
                0
            ]
        else:
            found = client.search(
                args.index,
                args.text,
                args.top_k,
                reranker=args.reranker,
                candidates=candidates,
                where=where,
            )
    finally:
        client.close()
    said: dict[str, Any] = {
        "query": args.text if args.image is None else args.image,
        "hits": [_hit(hit, client.picture_file(found, hit)) for hit in found.hits],
        "milliseconds": found.milliseconds["total"],
    }
    if args.image is not None:
        said["image"] = args.image
    if found.reranker:
        said |= {"reranker": found.reranker, "stage_milliseconds": found.milliseconds}
    if found.where:
        said |= {"where": found.where, "matching": found.matching}
    return said, _hits_table(found.hits)


def _refuse_second(args: argparse.Namespace) -> None:
    if args.reranker:
        raise BadInput(
            "A second stage reads words, and a picture has none.", "Leave --reranker out."
        )


def _hit(hit: Hit, picture: Path | None) -> dict[str, Any]:
    """As JSON, with the document's own fields; a picture with its file, its text is the caption.
    After a second stage also where the index had it."""
    document: dict[str, Any] = {
        "id": hit.id,
        "score": hit.score,
        "text": hit.text,
        "fields": hit.fields,
    }
    if picture is not None:
        document["image"] = str(picture)
    if hit.first_rank is not None:
        document |= {"first_rank": hit.first_rank, "first_score": hit.first_score}
    return document


def _hits_table(hits: Sequence[Hit]) -> str:
    moved = any(hit.first_rank is not None for hit in hits)
    rows = [
        [
            f"{hit.score:.4f}",
            *([f"{hit.first_rank} -> {rank}"] if moved else []),
            hit.id,
            " ".join(hit.text.split())[:100],
        ]
        for rank, hit in enumerate(hits, start=1)
    ]
    return columns(["score", *(["rank"] if moved else []), "document", "text"], rows)


# ``picks``: what was preferred in blind tests.


def add_picks(commands: Commands) -> None:
    actions = commands.group("picks", "blind tests of searches: tally, list, judge")
    actions.add("tally", _tally, "how often each side was preferred")
    actions.add("list", _list_picks, "every answer, newest first")
    judging = actions.add(
        "judge", _judge_pick, "add an answer as a judgment, in a new version of the data set"
    )
    judging.add_argument("id")
    judging.add_argument(
        "--document",
        default="",
        metavar="ID",
        help="the relevant document (default: the winner's first)",
    )


def _tally(workspace: Workspace, _args: argparse.Namespace) -> tuple[Any, str]:
    found = tallies(workspace)
    if not found:
        say("No blind test was answered yet. There is one on the page's Search tab.")
    heads = ["first", "second", "won", "lost", "ties", "share", "95% interval", "p", "preferred"]
    text = columns(heads, [_pick_row(one) for one in found]) if found else ""
    return [one.to_dict() for one in found], text


def _pick_row(one: Tally) -> list[Any]:
    numbers = ["", "", ""]
    if one.share is not None and one.low is not None and one.high is not None:
        numbers = [f"{one.share:.2f}", f"{one.low:.2f} to {one.high:.2f}", f"{one.p_value:.3f}"]
    preferred = one.preferred or "nobody, yet"
    first = f"{one.first} (earlier build)" if one.earlier else one.first
    return [first, one.second, one.wins, one.losses, one.ties, *numbers, preferred]


def _list_picks(workspace: Workspace, _args: argparse.Namespace) -> tuple[Any, str]:
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


def _judge_pick(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    pick = get_pick(workspace, args.id)
    name, version = judge_pick(workspace, pick.id, args.document)
    document = args.document or winner_top(pick)
    said = {"dataset": name, "version": version, "query": pick.query, "document": document}
    return said, f"Version {version} of '{name}' has the judgment."


# ``answer``: passages of an index, and what a language model makes of them.

_NOTHING = "Nothing relevant was found."
#: How an answer ended -> what is said about it.
_SAYS = {
    "nothing-found": f"{_NOTHING} No passage scores at least %s (--min-score).",
    "not-in-passages": f"{_NOTHING} The model says that the passages do not answer the question.",
    "empty": "The model wrote nothing.",
    "passages": "For a written answer give --endpoint with --endpoint-model, or --local-model.",
}


def add_answer(commands: Commands) -> None:
    parser = commands.add(
        "answer",
        _answer,
        "answer a question from an index, with numbered citations",
        description="Options that are not given take the settings saved on the page under Answers.",
    )
    parser.add_argument("index", metavar="INDEX", help="the index to search")
    parser.add_argument("question", metavar="QUESTION")
    add_fields(parser, AnswerRecipe, skip=("index",))
    add_settings(parser, AnswerRecipe)


def _answer(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    from workbench.search.client import SearchClient

    allow_typed_key(workspace, args)
    values = settings_over(load_settings(workspace), read_values(args, AnswerRecipe))
    recipe = AnswerRecipe.read({**values, "index": args.index})
    recipe = prepare(workspace, recipe, args.question)
    client = SearchClient(workspace)
    try:
        said = collect_answer(
            workspace, client, recipe, args.question, None if args.json else _print
        )
    finally:
        client.close()
    if not args.json:
        _print_end(said)
    if said["error"]:
        # What there is of an answer is not lost: it is printed, and in the error's details.
        about = said["error"]
        raise EndpointFailed(about["message"], about["hint"], answer=said)
    return said, ""


def _print(event: dict[str, Any]) -> None:
    """Text as it comes; a citation of no passage is left out, and told at the end."""
    if event["event"] in ("text", "cite"):
        sys.stdout.write(event["text"])
        sys.stdout.flush()


def _print_end(said: dict[str, Any]) -> None:
    if said["answer"]:
        print("\n")
    if words := _SAYS.get(said["state"]):
        least = said["min_score"]
        say(words.replace("%s", "-" if least is None else f"{least:.3f}"))
    if said["uncited"]:
        say("The answer cites no passage: check it against them.")
    if said["wrong_citations"]:
        say(f"Left out, since no passage has these numbers: {said['wrong_citations']}.")
    if said["cut_off"]:
        say("The answer reached its longest length (--max-tokens) and ends there.")
    for one in said["passages"]:
        if one["cited"] or not said["answer"] or said["uncited"]:
            print(_line(one))
    say(_took(said))


def _line(one: dict[str, Any]) -> str:
    text = " ".join(f"{one['title']} {one['text']}".split())[:160]
    less = "" if one["enough"] else "  (score too low)"
    return f"[{one['number']}] {one['id']}  {one['score']:.3f}{less}  {text}"


def _took(said: dict[str, Any]) -> str:
    parts = [f"{name.replace('_', ' ')} {ms:.0f} ms" for name, ms in said["milliseconds"].items()]
    counts = said["tokens"]
    if counts["completion"] is not None:
        parts.append(f"{counts['prompt']} tokens read, {counts['completion']} written")
    return ", ".join(parts)
