"""``index`` and ``search``."""

import argparse
from typing import Any

from workbench.cli.options import add_fields, read_values
from workbench.cli.output import columns, say, size_words
from workbench.cli.running import run_job
from workbench.recipes.evaluate import IndexRecipe
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

    client = SearchClient(workspace)
    try:
        found = client.search(args.index, args.text, top_k=args.top_k)
    finally:
        client.close()
    document = {
        "query": args.text,
        "hits": [{"id": h.id, "score": h.score, "text": h.text} for h in found.hits],
        "milliseconds": found.milliseconds["total"],
    }
    rows = [[f"{h.score:.4f}", h.id, " ".join(h.text.split())[:100]] for h in found.hits]
    return document, columns(["score", "document", "text"], rows)
