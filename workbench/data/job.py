"""The two jobs that bring data in: files a person has, and the sample."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workbench.data.demo_dataset import stdlib_pairs
from workbench.data.import_job import Import, be_lean
from workbench.data.splits import Shares
from workbench.data.write_dataset import Assembly
from workbench.jobs.reporting import JobContext
from workbench.recipes.data import ImportRecipe, SampleRecipe


def run_import(recipe: ImportRecipe, context: JobContext) -> dict[str, Any]:
    """Read the files into a new data set. Returns what ``data add`` prints.

    Raises :class:`NoGoodRows`, :class:`StrictRefused` and :class:`NameTaken`; nothing is left
    behind then.
    """
    be_lean()
    with dataset_folder(context) as (id, folder):
        shares = Shares(recipe.dev_share, recipe.test_share, recipe.held_out_limit, recipe.seed)
        assembly = Assembly(folder)
        try:
            Import(recipe, context, assembly).run()
            result = assembly.complete(recipe.name, shares, context, strict=recipe.strict)
            register(id, recipe.name, result, context)
        finally:
            assembly.close()
    if recipe.remove_after:
        _remove_uploads(recipe.paths, context)
    return result


def run_sample(recipe: SampleRecipe, context: JobContext) -> dict[str, Any]:
    """Build the sample from the Python standard library. Returns what ``data add`` prints."""
    be_lean()
    with dataset_folder(context) as (id, folder):
        assembly = Assembly(folder)
        try:
            stdlib_pairs(recipe, context, assembly)
            result = assembly.complete(recipe.name, Shares(seed=recipe.seed), context)
            register(id, recipe.name, result, context)
        finally:
            assembly.close()
    return result


def register(id: str, name: str, result: dict[str, Any], context: JobContext) -> None:
    """Put a data set whose files are complete on record."""
    summary = {key: value for key, value in result.items() if key not in ("name", "problems")}
    context.workspace.datasets.add(id, name, f"datasets/{id}/v1/manifest.json", summary)


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
