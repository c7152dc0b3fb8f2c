"""The two jobs that bring data in: files a person has, and the sample."""

import ast
import shutil
import sysconfig
import tokenize
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from workbench.data.import_job import Import, be_lean
from workbench.data.problems import Report
from workbench.data.shapes.row import Row
from workbench.data.splits import Shares
from workbench.data.write_dataset import Assembly
from workbench.errors import BadInput
from workbench.jobs.files import write_made
from workbench.jobs.reporting import JobContext
from workbench.recipes.data import ImportRecipe, SampleRecipe

# The sample: what the functions of Python's standard library say of themselves, and their code.
#
# The first paragraph of a function's docstring is the query, its source without the docstring is
# the document. Real, on every machine that runs this program, and free to use. One Python version
# always gives the same sample.

_SKIPPED = {
    "test", "tests", "idle_test", "site-packages", "dist-packages", "lib2to3", "__pycache__",
}  # fmt: skip
_SKIPPED |= {"turtledemo", "_pyrepl"}
#: A docstring's first paragraph in characters, and the code left without it in lines.
_QUERY_LENGTH = (20, 400)
_CODE_LINES = (3, 80)
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Function:
    """A function: what it says it does, and how. ``where`` is its file in the library."""

    query: str
    code: str
    where: str
    line: int


#: What the sample's summary calls its format, and that of what is made of it.
SAMPLE_FORMAT = "stdlib-code"


def stdlib_pairs(recipe: SampleRecipe, context: JobContext, assembly: Assembly) -> None:
    """Add the recipe's numbers of pairs to an assembly. Raises :class:`BadInput` for too many."""
    wanted = {"test": recipe.test_pairs, "dev": recipe.dev_pairs, "train": recipe.train_pairs}
    pairs = list(collect(context.progress, context.check_cancelled))
    total = sum(wanted.values())
    if total > len(pairs):
        raise BadInput(
            f"The standard library here has {len(pairs):,} pairs; {total:,} were asked for.",
            "Ask for fewer.",
        )
    order = np.random.default_rng(recipe.seed).permutation(len(pairs))
    start = 0
    for split, count in wanted.items():
        report = Report(assembly.log, f"standard library ({split})")
        assembly.builder.begin(report, split)
        for place in order[start : start + count].tolist():
            pair = pairs[place]
            assembly.builder.add(pair.line, Row(pair.query, [pair.code], [1]))
        start += count
    assembly.builder.flush()
    assembly.formats[SAMPLE_FORMAT] = total
    version = sysconfig.get_python_version()
    assembly.notes.append(
        f"Built from the standard library of Python {version}: {len(pairs):,} functions have a "
        f"docstring and code enough, {total:,} of them were taken by seed {recipe.seed}."
    )


def collect(
    progress: Callable[[float, float, str, str], None], check: Callable[[], None]
) -> Iterator[Function]:
    """All usable pairs in a fixed order, without two of the same query or the same code."""
    root = _library()
    files = sorted(path for path in root.rglob("*.py") if _usable(path.relative_to(root)))
    queries: set[str] = set()
    codes: set[str] = set()
    for done, path in enumerate(files):
        check()
        progress(done, len(files), "files", f"reading {path.name}")
        for pair in pairs_in(path, path.relative_to(root).as_posix()):
            key = pair.query.lower()
            if key not in queries and pair.code not in codes:
                queries.add(key)
                codes.add(pair.code)
                yield pair


def _library() -> Path:
    return Path(sysconfig.get_paths()["stdlib"])


def _usable(path: Path) -> bool:
    return not any(part in _SKIPPED or part.startswith("test_") for part in path.parts)


def pairs_in(path: Path, where: str) -> Iterator[Function]:
    """The pairs of one source file; none of a file that this Python cannot read."""
    try:
        with tokenize.open(path) as file:
            source = file.read()
        functions = _functions(ast.parse(source).body)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return  # The library ships files that are broken on purpose.
    # Form feeds separate sections in the library; they are no line ends to the parser.
    lines = source.split("\n")
    for node in functions:
        pair = _pair(node, lines, where)
        if pair is not None:
            yield pair


def _functions(body: list[ast.stmt]) -> list[_Function]:
    """The functions among these statements and inside them, in the order they stand."""
    found: list[_Function] = []
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.append(node)
        for name in ("body", "orelse", "finalbody"):
            found += _functions(getattr(node, name, []))
        for handler in getattr(node, "handlers", []):
            found += _functions(handler.body)
    return found


def _pair(
    node: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str], where: str
) -> Function | None:
    said = ast.get_docstring(node)
    if not said or node.end_lineno is None or len(node.body) < 2:
        return None
    query = " ".join(said.split("\n\n")[0].split())
    code = _without_docstring(node, lines)
    if not _QUERY_LENGTH[0] <= len(query) <= _QUERY_LENGTH[1]:
        return None
    if not _CODE_LINES[0] <= code.count("\n") + 1 <= _CODE_LINES[1] or query in code:
        return None
    return Function(query, code, where, node.lineno)


def _without_docstring(node: _Function, lines: list[str]) -> str:
    """The function's lines, from its decorators on, less those of its docstring, moved left."""
    first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
    doc = node.body[0]
    kept = lines[first - 1 : doc.lineno - 1] + lines[doc.end_lineno or doc.lineno : node.end_lineno]
    indent = node.col_offset
    return "\n".join(line[indent:] if line[:indent].isspace() else line for line in kept).strip()


#: What a job's result says of a data set besides its summary.
_NOT_KEPT = ("name", "problems")


def run_import(recipe: ImportRecipe, context: JobContext) -> dict[str, Any]:
    """Read the files into a new data set. Returns what ``data add`` prints.

    Raises :class:`NoGoodRows`, :class:`StrictRefused` and :class:`NameTaken`; nothing is left
    behind then.
    """
    shares = Shares(recipe.dev_share, recipe.test_share, recipe.held_out_limit, recipe.seed)
    fill = lambda assembly: Import(recipe, context, assembly).run()  # noqa: E731
    result = build(recipe.name, fill, shares, context, strict=recipe.strict)
    if recipe.remove_after:
        _remove_uploads(recipe.paths, context)
    return result


def run_sample(recipe: SampleRecipe, context: JobContext) -> dict[str, Any]:
    """Build the sample from the Python standard library. Returns what ``data add`` prints."""
    fill = partial(stdlib_pairs, recipe, context)
    return build(recipe.name, fill, Shares(seed=recipe.seed), context)


def build(
    name: str,
    fill: Callable[[Assembly], None],
    shares: Shares,
    context: JobContext,
    *,
    strict: bool = False,
    noted_in: Path | None = None,
) -> dict[str, Any]:
    """Write a new data set of what ``fill`` adds and put it on record; its name and summary.

    Nothing is left behind where something is raised. ``noted_in``: the folder that keeps what was
    made (:func:`workbench.jobs.files.write_made`), where the data set is not all that the job
    makes.
    """
    be_lean()
    with dataset_folder(context) as (id, folder):
        assembly = Assembly(folder)
        try:
            fill(assembly)
            result = assembly.complete(name, shares, context, strict=strict)
            summary = {key: one for key, one in result.items() if key not in _NOT_KEPT}
            manifest = f"datasets/{id}/v1/manifest.json"
            write_made(noted_in or context.folder, manifest, result)
            context.workspace.datasets.add(id, name, manifest, summary)
        finally:
            assembly.close()
    return result


@contextmanager
def dataset_folder(context: JobContext) -> Iterator[tuple[str, Path]]:
    """A new folder for the data set, removed again unless all goes well."""
    id, folder = context.workspace.datasets.new_folder()
    try:
        yield id, folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _remove_uploads(paths: list[str], context: JobContext) -> None:
    """Delete what was uploaded through the page, and nothing that lies elsewhere."""
    uploads = (context.workspace.home / "uploads").resolve()
    for path in map(Path, paths):
        inside = path.parent.resolve() / path.name
        if inside == uploads or not inside.is_relative_to(uploads):
            continue
        # The folder of one upload goes with what was in it, and what was noted about it.
        whole = uploads / inside.relative_to(uploads).parts[0]
        if whole.is_dir() and not whole.is_symlink():
            shutil.rmtree(whole, ignore_errors=True)
        else:
            whole.unlink(missing_ok=True)
