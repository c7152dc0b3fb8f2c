"""``index`` and ``search``."""

import argparse
from collections.abc import Sequence
from typing import Any

from workbench.cli.options import add_fields, read_values
from workbench.cli.output import columns, say, size_words
from workbench.cli.running import run_job
from workbench.recipes.evaluate import IndexRecipe
from workbench.search.results import CANDIDATES, Hit
from workbench.workspace import Workspace


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    parser = commands.add_parser("index", help="indexes: build, list, remove")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    building = actions.add_parser("build", parents=[shared], help="encode and index the documents")
    add_fields(building, IndexRecipe)
    building.set_defaults(command=_build)
    listing = actions.add_parser("list", parents=[shared], help="all indexes")
    listing.set_defaults(command=_list)
    removing = actions.add_parser("remove", parents=[shared], help="delete an index")
    removing.add_argument("name")
    removing.set_defaults(command=_remove)

    searching = commands.add_parser("search", parents=[shared], help="ask an index a question")
    searching.add_argument("--index", required=True, metavar="NAME")
    searching.add_argument("--top-k", type=int, default=10, metavar="N")
    searching.add_argument(
        "--reranker",
        metavar="MODEL",
        help="a second stage: a reranker or late-interaction model that orders the first hits anew",
    )
    searching.add_argument(
        "--candidates",
        type=int,
        metavar="N",
        help=f"how many hits the second stage orders (default: {CANDIDATES}, or --top-k if larger)",
    )
    searching.add_argument("text", metavar="TEXT", help="the question")
    searching.set_defaults(command=_search)


def _build(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    values = read_values(args, IndexRecipe)
    job = run_job(workspace, IndexRecipe.read(values))
    result = job.result or {}
    return result, f"Built the index '{result.get('index', values.get('name'))}'."


def _list(workspace: Workspace, _args: argparse.Namespace) -> tuple[Any, str]:
    found: list[dict[str, Any]] = [
        {
            "name": index.name,
            "model": index.model,
            "type": index.type,
            "documents": index.documents,
            "bytes": index.bytes,
        }
        for index in workspace.indexes.list()
    ]
    if not found:
        say("No indexes yet. Build one with: python -m workbench index build --dataset NAME")
    rows = [[i["name"], i["model"], i["documents"], size_words(i["bytes"])] for i in found]
    return found, columns(["name", "model", "documents", "disk"], rows) if found else ""


def _remove(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    index = workspace.indexes.get(args.name)
    workspace.indexes.remove(index.name)
    return {"removed": index.name}, f"Removed the index '{index.name}'."


def _search(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    from workbench.search.client import SearchClient

    candidates = max(CANDIDATES, args.top_k) if args.candidates is None else args.candidates
    client = SearchClient(workspace)
    try:
        found = client.search(
            args.index, args.text, args.top_k, reranker=args.reranker, candidates=candidates
        )
    finally:
        client.close()
    document: dict[str, Any] = {
        "query": args.text,
        "hits": [_hit(hit) for hit in found.hits],
        "milliseconds": found.milliseconds["total"],
    }
    if found.reranker:
        document |= {"reranker": found.reranker, "stage_milliseconds": found.milliseconds}
    return document, _hits_table(found.hits)


def _hit(hit: Hit) -> dict[str, Any]:
    """As JSON; after a second stage also where the index had it."""
    document: dict[str, Any] = {"id": hit.id, "score": hit.score, "text": hit.text}
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
