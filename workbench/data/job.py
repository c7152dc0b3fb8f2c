"""The two jobs that bring data in: files a person has, and the sample."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from workbench.data.demo_dataset import stdlib_pairs
from workbench.data.import_job import Import, be_lean
from workbench.data.splits import Shares
from workbench.data.write_dataset import Assembly
from workbench.jobs.reporting import JobContext
from workbench.recipes.data import ImportRecipe, SampleRecipe

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
) -> dict[str, Any]:
    """Write a new data set of what ``fill`` adds and put it on record; its name and summary.

    Nothing is left behind where something is raised.
    """
    be_lean()
    with dataset_folder(context) as (id, folder):
        assembly = Assembly(folder)
        try:
            fill(assembly)
            result = assembly.complete(name, shares, context, strict=strict)
            summary = {key: one for key, one in result.items() if key not in _NOT_KEPT}
            context.workspace.datasets.add(id, name, f"datasets/{id}/v1/manifest.json", summary)
        finally:
            assembly.close()
    return result


@contextmanager
def dataset_folder(context: JobContext) -> Iterator[tuple[str, Path]]:
    """A new folder for the data set, removed again unless all goes well.

    Its id is noted in the job's folder first, so that what a killed attempt left goes too.
    """
    note = context.folder / "dataset.txt"
    if note.is_file():
        _remove_left_over(note.read_text().strip(), context)
    id, folder = context.workspace.datasets.new_folder()
    note.write_text(id)
    try:
        yield id, folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _remove_left_over(id: str, context: JobContext) -> None:
    if id and not context.workspace.datasets.exists(id):
        shutil.rmtree(context.workspace.path(f"datasets/{id}"), ignore_errors=True)


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
