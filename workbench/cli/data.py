"""``data``: bring data sets in, look at them, remove them."""

import argparse
import sys
import time
from typing import TYPE_CHECKING, Any

from storage.records import Dataset
from workbench.cli import data_check
from workbench.cli.output import clip, columns, say, size_words
from workbench.cli.running import (
    PREFIX,
    Commands,
    add_fields,
    add_push,
    follow,
    read_values,
    run_job,
    run_recipe,
    typed_token,
)
from workbench.data.registry import Dependents
from workbench.data.versions import VersionInfo, versions
from workbench.errors import BadInput
from workbench.plurals import counted
from workbench.recipes.data import (
    DrawPicturesRecipe,
    ExportDataRecipe,
    HubLookRecipe,
    ImportRecipe,
    MergeDataRecipe,
    ResplitRecipe,
    SampleRowsRecipe,
)
from workbench.recipes.push import PushDataRecipe
from workbench.takeaway.push import submit
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from workbench.data.preview import Preview


# ``data versions|sample|merge|resplit|rename|export``: data sets made of others, and taken out.


def _add_change_actions(actions: Commands) -> None:
    """The actions, below ``data``."""
    listing = actions.add("versions", _versions, "the versions of a data set and how each was made")
    listing.add_argument("name")
    listing.add_argument("--use", type=int, metavar="N", help="make version N the current one")

    sampling = actions.add(
        "sample", _sample, "take a sample of queries with their documents as a new data set"
    )
    _dataset(sampling)
    add_fields(sampling, SampleRowsRecipe, skip=("dataset",))

    merging = actions.add("merge", _merge, "merge data sets; identical texts become one")
    merging.add_argument(PREFIX + "datasets", nargs="+", metavar="NAME", help="the data sets")
    add_fields(merging, MergeDataRecipe, skip=("datasets",))

    for name in ("resplit", "split"):
        splitting = actions.add(name, _resplit, "split a data set into train, dev and test again")
        _dataset(splitting)
        add_fields(splitting, ResplitRecipe, skip=("dataset",))

    renaming = actions.add("rename", _rename, "rename a data set")
    renaming.add_argument("name")
    renaming.add_argument("to", metavar="NEW")

    exporting = actions.add("export", _export, "export a data set in another tool's format")
    _dataset(exporting)
    add_fields(exporting, ExportDataRecipe, skip=("dataset", "output"))
    exporting.add_argument(
        "--output",
        dest=PREFIX + "output",
        required=True,
        metavar="PATH",
        help="a folder, a .zip file, or the one file to write",
    )


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
    result = run_recipe(workspace, args, SampleRowsRecipe).result or {}
    return result, made_words(result)


def _merge(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    result = run_recipe(workspace, args, MergeDataRecipe).result or {}
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


# ``data add`` and ``data push``: files or a hub's data set in, a data set to a hub.

#: Recipe fields whose options have shorter names here.
_OWN = ("paths", "name", "mapping", "hub_split", "hub_subset", "remove_after")


def _add_import_actions(actions: Commands) -> None:
    """The two actions, below ``data``."""
    adding = actions.add("add", _add, "import files or a Hub data set as a new data set")
    adding.add_argument(
        PREFIX + "paths", nargs="+", metavar="PATH", help="files, folders or hf:OWNER/NAME"
    )
    adding.add_argument(
        "--name", dest=PREFIX + "name", metavar="TEXT", default="", help="the name of the data set"
    )
    adding.add_argument(
        "--map",
        dest=PREFIX + "mapping",
        action="append",
        default=argparse.SUPPRESS,
        metavar="ROLE=COLUMN",
        help="the role of a column, for example query=frage; may be given several times",
    )
    adding.add_argument(
        "--split",
        dest=PREFIX + "hub_split",
        default=argparse.SUPPRESS,
        metavar="NAMES",
        help="the splits of a Hub data set, separated by commas (default: all)",
    )
    adding.add_argument(
        "--subset",
        dest=PREFIX + "hub_subset",
        default=argparse.SUPPRESS,
        metavar="NAME",
        help="the subset (configuration) of a Hub data set",
    )
    adding.add_argument(
        "--preview",
        action="store_true",
        help="show columns, first rows and chunks as they would be imported, and write nothing",
    )
    add_fields(adding, ImportRecipe, skip=_OWN)
    adding.set_defaults(parser=adding)

    drawing = actions.add(
        "draw",
        _draw,
        "build a sample data set of pictures with captions, and a small untrained model for it",
    )
    add_fields(drawing, DrawPicturesRecipe)

    add_push(actions, _push, "data set")


def _add(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    from workbench.data.hub import is_hub
    from workbench.data.preview import preview  # readers of every shape: a fifth of a second

    values = read_values(args, ImportRecipe)
    if args.preview:
        recipe = ImportRecipe.read({**values, "name": values["name"] or "-"})
        for path in filter(is_hub, recipe.paths):
            look = HubLookRecipe(dataset_id=path, subset=recipe.hub_subset)
            run_job(workspace, look)
        found = preview(workspace, recipe)
        return found.to_dict(), _preview_words(found)
    if not values["name"]:
        args.parser.error("the following arguments are required: --name")
    result = run_job(workspace, ImportRecipe.read(values)).result or {}
    return result, report(result)


def _draw(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    result = run_recipe(workspace, args, DrawPicturesRecipe).result or {}
    words = report(result)
    return result, f"{words}\n  model: {result['model']}" if result["model"] else words


def _preview_words(found: "Preview") -> str:
    lines = [f"Read as: {found.format or 'nothing that is known'}"]
    if found.columns:
        lines.append("Columns:")
        for name, sample in found.columns.items():
            guess = f"  (perhaps --map {found.guess[name]}={name})" if _guessed(found, name) else ""
            lines.append(f"  {name}: {clip(sample, 200)}{guess}")
    for row in found.rows:
        lines.append(f"{row.file}:{row.line}, {row.kind}")
        lines += [f"    {role}: {clip(text, 200)}" for role, text in row.texts]
    for problem in found.problems[:5]:
        lines.append(f"  {problem['file']}:{problem['line']}: {problem['message']}")
    return "\n".join([*lines, *found.notes])


def _guessed(found: "Preview", name: str) -> bool:
    return not found.known and name in found.guess


def _push(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    recipe = PushDataRecipe.read(
        {"dataset": args.name, "repo": args.repo, "private": not args.public}
    )
    done = follow(workspace, submit(workspace, recipe, typed_token())).result or {}
    words = [f"'{done['dataset']}' is at {done['address']}."]
    if done["left_out"]:
        words += ["A hub has no place for these, which an export keeps:"]
        words += [f"  {one}" for one in done["left_out"]]
    return done, "\n".join(words)


def add(commands: Commands) -> None:
    actions = commands.group("data", "data sets: add, list, show, remove")

    _add_import_actions(actions)
    _add_change_actions(actions)
    data_check.add(actions)

    actions.add("list", _list, "all data sets")

    showing = actions.add("show", _show, "counts, splits and problems")
    showing.add_argument("name")
    showing.add_argument("--rows", type=int, default=3, metavar="N", help="show N rows (default 3)")

    removing = actions.add("remove", _remove, "delete a data set")
    removing.add_argument("name")
    removing.add_argument("--yes", action="store_true", help="do not ask for confirmation")


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
    warn(dataset.name, workspace.datasets.dependents(dataset.name), args.yes)
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
    said = [counted(n, one, many) for n, one, many in counts if n]
    if own := found.get("own_columns"):
        said.append(f"{counted(len(own), 'additional column')} kept ({_listed(own)})")
    return f"; {', '.join(said)}" if said else ""


def _listed(names: list[str], most: int = 5) -> str:
    """The first few names."""
    return ", ".join([*names[:most], *(["..."] if len(names) > most else [])])
