"""``cache``: the encodings and scores of pairs that are kept on disk, and what they take."""

import argparse
from datetime import datetime
from typing import Any

from workbench.cli.output import columns, say, size_words
from workbench.workspace import Workspace


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    parser = commands.add_parser("cache", help="cached embeddings and scores: show, clear")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    showing = actions.add_parser(
        "show", parents=[shared], help="what is cached, and for which model"
    )
    showing.set_defaults(command=_show)
    clearing = actions.add_parser(
        "clear", parents=[shared], help="delete cached embeddings and scores"
    )
    clearing.add_argument("--model", metavar="NAME", help="of one model only")
    clearing.set_defaults(command=_clear)


def _show(workspace: Workspace, _args: argparse.Namespace) -> tuple[Any, str]:
    from workbench.evaluation.encoding_cache import EncodingCache

    cache = EncodingCache(workspace.home)
    found = cache.show()
    total = sum(one.bytes for one in found)
    document = {
        "bytes": total,
        "limit": cache.limit,
        "encodings": [
            {
                "key": one.key,
                "about": one.about,
                "texts": one.texts,
                "bytes": one.bytes,
                "used_at": one.used_at,
            }
            for one in found
        ],
    }
    say(f"{size_words(total)} of at most {size_words(cache.limit)}.")
    rows = [
        [
            one.about.get("model", one.key),
            one.about.get("role", ""),
            one.texts,
            size_words(one.bytes),
            datetime.fromtimestamp(one.used_at).strftime("%Y-%m-%d %H:%M"),
        ]
        for one in found
    ]
    head = ["model", "kept are", "texts or pairs", "disk", "last used"]
    return document, columns(head, rows) if rows else ""


def _clear(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    from workbench.evaluation.encoding_cache import EncodingCache

    freed = EncodingCache(workspace.home).clear(args.model)
    return {"freed": freed}, f"Removed {size_words(freed)} of kept encodings and scores."
