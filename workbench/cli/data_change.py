"""``data versions|sample|merge|resplit|rename|export``: data sets made of others, and taken out."""

import argparse
import sys
import time
from typing import Any

from workbench.cli.options import PREFIX, add_fields, read_values
from workbench.cli.output import columns, say, size_words
from workbench.cli.running import follow, run_job
from workbench.data.lineage import VersionInfo, versions
from workbench.data.registry import Dependents
from workbench.errors import BadInput
from workbench.recipes.data_change import (
    ExportDataRecipe,
    MergeDataRecipe,
    ResplitRecipe,
    SampleRowsRecipe,
)
from workbench.workspace import Workspace


def add(actions: Any, shared: argparse.ArgumentParser) -> None:
    """The actions, below ``data``."""
    listing = actions.add_parser("versions", parents=[shared], help="how a data set came to be")
    listing.add_argument("name")
    listing.add_argument("--use", type=int, metavar="N", help="make version N the current one")
    listing.set_defaults(command=_versions)

    sampling = actions.add_parser(
        "sample",
        parents=[shared],
        help="some queries, with what belongs to them, as a new data set",
    )
    _dataset(sampling)
    add_fields(sampling, SampleRowsRecipe, skip=("dataset",))
    sampling.set_defaults(command=_sample)

    merging = actions.add_parser(
        "merge", parents=[shared], help="several data sets as one: equal texts become one"
    )
    merging.add_argument(PREFIX + "datasets", nargs="+", metavar="NAME", help="the data sets")
    add_fields(merging, MergeDataRecipe, skip=("datasets",))
    merging.set_defaults(command=_merge)

    for name in ("resplit", "split"):
        splitting = actions.add_parser(
            name, parents=[shared], help="decide anew which queries are train, dev and test"
        )
        _dataset(splitting)
        add_fields(splitting, ResplitRecipe, skip=("dataset",))
        splitting.set_defaults(command=_resplit)

    renaming = actions.add_parser("rename", parents=[shared], help="give a data set another name")
    renaming.add_argument("name")
    renaming.add_argument("to", metavar="NEW")
    renaming.set_defaults(command=_rename)

    exporting = actions.add_parser(
        "export", parents=[shared], help="write a data set in the shape another tool reads"
    )
    _dataset(exporting)
    add_fields(exporting, ExportDataRecipe, skip=("dataset", "output"))
    exporting.add_argument(
        "--output",
        dest=PREFIX + "output",
        required=True,
        metavar="PATH",
        help="a folder, a .zip file, or the one file to write",
    )
    exporting.set_defaults(command=_export)


def _dataset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(PREFIX + "dataset", metavar="NAME", help="the data set")


def _versions(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    if args.use is not None:
        workspace.datasets.make_current(args.name, args.use)
    found = versions(workspace, args.name)
    head = ["version", "from", "made", "queries", "documents", "judgments", "candidates", "what"]
    rows = [_line(one) for one in found]
    name = workspace.datasets.get(args.name).name
    document = {"name": name, "versions": [one.to_dict() for one in found]}
    return document, columns(head, rows)


def _line(one: VersionInfo) -> list[str]:
    summary = one.summary
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.created_at))
    counts = ", ".join(f"{key.replace('_', ' ')}: {value}" for key, value in one.counts.items())
    return [
        f"{one.version}{' *' if one.current else ''}",
        "" if one.parent is None else str(one.parent),
        made,
        *(f"{summary.get(key, 0):,}" for key in ("queries", "documents", "judgments")),
        f"{summary.get('candidates', 0):,}",
        one.what + (f" ({counts})" if counts else ""),
    ]


def _sample(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    recipe = SampleRowsRecipe.read(read_values(args, SampleRowsRecipe))
    result = run_job(workspace, recipe).result or {}
    return result, made_words(result)


def _merge(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    recipe = MergeDataRecipe.read(read_values(args, MergeDataRecipe))
    result = run_job(workspace, recipe).result or {}
    return result, made_words(result)


def _resplit(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    recipe = ResplitRecipe.read(read_values(args, ResplitRecipe))
    result = follow(workspace, workspace.jobs.submit(recipe, name=recipe.dataset)).result or {}
    return result, (
        f"'{result['dataset']}' is at version {result['version']}: "
        f"{_splits(result['pair_splits'] or result['splits'])}; {result['moved']:,} moved."
    )


def _rename(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    before = workspace.datasets.get(args.name).name
    after = workspace.datasets.rename(args.name, args.to).name
    return {"renamed": before, "name": after}, f"'{before}' is called '{after}' now."


def _export(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    recipe = ExportDataRecipe.read(read_values(args, ExportDataRecipe))
    result = follow(workspace, workspace.jobs.submit(recipe, name=recipe.dataset)).result or {}
    files = ", ".join(f"{one['file']} ({one['rows']:,} rows)" for one in result["files"])
    lines = [f"{result['output']}: {files}, {size_words(result['bytes'])}"]
    if result["scores"]:
        lines.append(result["scores"])
    if result["left_out"]:
        lines.append("This shape has no place for:")
        lines += [f"  {one}" for one in result["left_out"]]
    return result, "\n".join(lines)


def made_words(result: dict[str, Any]) -> str:
    """A new data set in one or two lines."""
    lines = [
        f"{result['name']}: {result['queries']:,} queries ({_splits(result['splits'])}), "
        f"{result['documents']:,} documents, {result['judgments']:,} judgments"
    ]
    lines += [f"  {key.replace('_', ' ')}: {n:,}" for key, n in result.get("counts", {}).items()]
    return "\n".join(lines)


def _splits(splits: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {split}" for split, count in splits.items())


# -- before a data set is removed ------------------------------------------------------------


def warn(name: str, found: Dependents, yes: bool) -> None:
    """Say what a data set's removal costs; ask where somebody can answer."""
    if not found.any:
        return
    for line in dependents_words(found):
        say(line)
    if yes or not sys.stdin.isatty():
        return
    say(f"Remove '{name}' all the same? Type its name:")
    if sys.stdin.readline().strip() != name:
        raise BadInput(f"'{name}' stays.", "")


def dependents_words(found: Dependents) -> list[str]:
    lines = []
    if found.models:
        lines.append(f"Trained on it: {_names(found.models)}. Their runs cannot be repeated.")
    if found.indexes:
        lines.append(f"Indexes of it: {_names(found.indexes)}. They cannot be searched any more.")
    if found.evaluations:
        lines.append(f"Measured on it: {found.evaluations} times. Only the numbers stay.")
    return lines


def _names(names: list[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")
