"""``data``: bring data sets in, look at them, remove them."""

import argparse
from typing import Any

from storage.records import Dataset
from workbench.cli import data_bring, data_change, doctor
from workbench.cli.output import columns, say, size_words
from workbench.workspace import Workspace


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    parser = commands.add_parser("data", help="data sets: add, list, show, remove")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    data_bring.add(actions, shared)
    data_change.add(actions, shared)
    doctor.add(actions, shared)

    listing = actions.add_parser("list", parents=[shared], help="all data sets")
    listing.set_defaults(command=_list)

    showing = actions.add_parser("show", parents=[shared], help="counts, splits and problems")
    showing.add_argument("name")
    showing.add_argument("--rows", type=int, default=3, metavar="N", help="show N rows (default 3)")
    showing.set_defaults(command=_show)

    removing = actions.add_parser("remove", parents=[shared], help="delete a data set")
    removing.add_argument("name")
    removing.add_argument("--yes", action="store_true", help="do not ask, whatever depends on it")
    removing.set_defaults(command=_remove)


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
    wanted = max(args.rows, 0)
    page = [
        {"query": r.query, "split": r.split, "positives": r.positives, "negatives": r.negatives}
        for r in reader.page(0, wanted)
    ]
    lines = [report({**about, "name": dataset.name})]
    lines += [f"\n[{row['split']}] {row['query']}\n  + {row['positives'][:1]}" for row in page]
    if not page and reader.counts["pairs"]:
        page = reader.pair_page(0, wanted).to_pylist()
        lines += [f"\n{one['score']:g}  {one['left']}\n   {one['right']}" for one in page]
    elif not page:
        page = reader.documents(0, wanted).select(["id", "title", "text", "fields"]).to_pylist()
        lines += [f"\n{one['id']}: {one['title']}\n  {one['text'][:200]}" for one in page]
    users = list(workspace.datasets.used_by(dataset.name))
    lines += [f"\nused by {', '.join(users)}"] if users else []
    return {**about, "rows": page, "used_by": users}, "\n".join(lines)


def _remove(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    dataset = workspace.datasets.get(args.name)
    data_change.warn(dataset.name, workspace.datasets.dependents(dataset.name), args.yes)
    workspace.datasets.remove(dataset.name)
    return {"removed": dataset.name}, f"Removed the data set '{dataset.name}'."


def _about(workspace: Workspace, dataset: Dataset) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "version": dataset.version,
        **dataset.summary,
        "bytes": workspace.datasets.bytes(dataset.name),
    }


def report(result: dict[str, Any]) -> str:
    """A data set's counts, notes and first problems, in lines."""
    splits = ", ".join(f"{count:,} {split}" for split, count in result["splits"].items())
    lines = [
        f"{result['name']} ({result['format']}): {result['queries']:,} queries ({splits}), "
        f"{result['documents']:,} documents, {result['judgments']:,} judgments"
        f"{_set_aside(result.get('set_aside') or {})}"
    ]
    if result.get("pairs"):
        splits = ", ".join(f"{count:,} {name}" for name, count in result["pair_splits"].items())
        lines.append(f"  {result['pairs']:,} scored pairs ({splits})")
    lines += [f"  {note}" for note in result.get("notes", [])]
    lines += [f"  {count:,} x {code}" for code, count in result["problem_counts"].items()]
    for problem in result.get("problems", [])[:10]:
        field = f", {problem['field']}" if problem.get("field") else ""
        lines.append(f"    {problem['file']}:{problem['line']}{field}: {problem['message']}")
    return "\n".join(lines)


def _set_aside(found: dict[str, Any]) -> str:
    """What was not read as it stands in the files: '; 2 rows refused, 1 column kept aside'."""
    counts = (
        (found.get("rows_refused", 0), "row refused", "rows refused"),
        (
            found.get("files_without_rows", 0),
            "file without a usable row",
            "files without a usable row",
        ),
        (found.get("queries_left_out", 0), "query left out", "queries left out"),
        (found.get("list_texts", 0), "list read as text", "lists read as text"),
    )
    said = [f"{n:,} {one if n == 1 else many}" for n, one, many in counts if n]
    if own := found.get("own_columns"):
        columns = "1 column" if len(own) == 1 else f"{len(own):,} columns"
        said.append(f"{columns} kept aside ({_listed(own)})")
    return f"; {', '.join(said)}" if said else ""


def _listed(names: list[str], most: int = 5) -> str:
    """The first few names."""
    return ", ".join([*names[:most], *(["..."] if len(names) > most else [])])
