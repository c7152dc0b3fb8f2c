"""``data``: bring data sets in, look at them, remove them."""

import argparse
from typing import Any

from storage.records import Dataset
from workbench.cli.options import PREFIX, add_fields, read_values
from workbench.cli.output import columns, say, size_words
from workbench.cli.running import run_job
from workbench.recipes.data import ImportRecipe
from workbench.workspace import Workspace


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    parser = commands.add_parser("data", help="data sets: add, list, show, remove")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    adding = actions.add_parser("add", parents=[shared], help="read files into a new data set")
    adding.add_argument(
        PREFIX + "paths", nargs="+", metavar="PATH", help="files or folders to read"
    )
    add_fields(adding, ImportRecipe, skip=("paths", "remove_after"))
    adding.set_defaults(command=_add)

    listing = actions.add_parser("list", parents=[shared], help="all data sets")
    listing.set_defaults(command=_list)

    showing = actions.add_parser("show", parents=[shared], help="counts, splits and problems")
    showing.add_argument("name")
    showing.add_argument("--rows", type=int, default=3, metavar="N", help="show N rows (default 3)")
    showing.set_defaults(command=_show)

    removing = actions.add_parser("remove", parents=[shared], help="delete a data set")
    removing.add_argument("name")
    removing.set_defaults(command=_remove)


def _add(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    job = run_job(workspace, ImportRecipe.read(read_values(args, ImportRecipe)))
    result = job.result or {}
    return result, _report(result)


def _list(workspace: Workspace, _args: argparse.Namespace) -> tuple[Any, str]:
    found = [_about(workspace, dataset) for dataset in workspace.datasets.list()]
    rows = [[d["name"], d["queries"], d["documents"], size_words(d["bytes"])] for d in found]
    if not found:
        say("No data sets yet. Bring one in with: python -m workbench data add FILE --name NAME")
    return found, columns(["name", "queries", "documents", "disk"], rows) if found else ""


def _show(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    dataset = workspace.datasets.get(args.name)
    reader = workspace.datasets.read(dataset.name)
    about = _about(workspace, dataset)
    page = [
        {"query": r.query, "split": r.split, "positives": r.positives, "negatives": r.negatives}
        for r in reader.page(0, max(args.rows, 0))
    ]
    lines = [_report({**about, "name": dataset.name})]
    lines += [f"\n[{row['split']}] {row['query']}\n  + {row['positives'][:1]}" for row in page]
    return {**about, "rows": page}, "\n".join(lines)


def _remove(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    dataset = workspace.datasets.get(args.name)
    workspace.datasets.remove(dataset.name)
    return {"removed": dataset.name}, f"Removed the data set '{dataset.name}'."


def _about(workspace: Workspace, dataset: Dataset) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "version": dataset.version,
        **dataset.summary,
        "bytes": workspace.datasets.bytes(dataset.name),
    }


def _report(result: dict[str, Any]) -> str:
    splits = ", ".join(f"{count:,} {split}" for split, count in result["splits"].items())
    lines = [
        f"{result['name']} ({result['format']}): {result['queries']:,} queries ({splits}), "
        f"{result['documents']:,} documents, {result['judgments']:,} judgments"
    ]
    lines += [f"  {note}" for note in result.get("notes", [])]
    lines += [f"  {count:,} x {code}" for code, count in result["problem_counts"].items()]
    for problem in result.get("problems", [])[:10]:
        field = f", {problem['field']}" if problem.get("field") else ""
        lines.append(f"    {problem['file']}:{problem['line']}{field}: {problem['message']}")
    return "\n".join(lines)
