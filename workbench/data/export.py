"""The task 'data-export': a data set in the shape that another tool reads.

Written beside and renamed: what stands at the asked-for place is whole, and nothing that was there
is overwritten.
"""

import shutil
import zipfile
from pathlib import Path
from typing import Any

from workbench.data.edit import refuse_taken
from workbench.data.export_held import held, told
from workbench.data.export_shapes import OWN, SHAPES, Job, Scale, Shape, scale_of, splits_with
from workbench.data.reader import DatasetReader
from workbench.data.splits import SPLITS
from workbench.errors import BadInput
from workbench.jobs.files import folder_bytes
from workbench.jobs.reporting import JobContext
from workbench.recipes.data import KEPT, ExportDataRecipe

_SINGLE = (".jsonl", ".csv", ".parquet", ".json")


def run(recipe: ExportDataRecipe, context: JobContext) -> dict[str, Any]:
    """Write the files; returns where they are, their rows, and what they leave out.

    Raises :class:`BadInput` where there is nothing to write, and where something stands already.
    """
    reader = context.workspace.datasets.read(recipe.dataset, recipe.dataset_version)
    shape = SHAPES[recipe.format]
    output = Path(recipe.output) if recipe.output else context.folder / KEPT
    if not recipe.output:
        output.unlink(missing_ok=True)
    refuse_taken(output)
    splits, scale = _splits(reader, recipe, context)
    beside = output.parent / f".{output.name}.part"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        typed = _file_type(recipe, shape, output)
        job = Job(reader, context, beside / "files", splits, typed, scale=scale or Scale(OWN))
        job.folder.mkdir()
        shape.write(job)
        if not job.files:
            lost = "; ".join(told(job.lost, ()))
            message = f"There is nothing to write but {lost}." if lost else "There are no rows."
            raise BadInput(message, "Choose another format.")
        counts = held(reader, _asked(recipe), context) + job.lost
        size = folder_bytes(job.folder)
        _place(job.folder, output, beside)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return {
        "dataset": reader.name,
        "version": reader.version,
        "format": recipe.format,
        "splits": splits,
        "files": [{"file": name, "rows": rows} for name, rows in sorted(job.files.items())],
        "left_out": told(counts, scale.holds if scale else shape.holds),
        "scores": scale.says() if scale else "",
        "output": str(output) if recipe.output else "",
        "bytes": size,
    }


def _splits(
    reader: DatasetReader, recipe: ExportDataRecipe, context: JobContext
) -> tuple[list[str], Scale | None]:
    """The splits that have something to write, and of scored pairs whose scores; raises
    :class:`BadInput` without any."""
    asked = _asked(recipe)
    if recipe.format == "scored":
        scale = scale_of(reader, recipe, asked, context)
        return splits_with(reader, scale, asked), scale
    found = [split for split in asked if reader.manifest.splits[split]]
    # A corpus is worth having without queries too.
    if not found and not (recipe.format == "beir" and reader.counts["documents"]):
        where = "" if recipe.split == "all" else f" in {recipe.split}"
        raise BadInput(
            f"'{reader.name}' has no queries{where}: there is nothing to write.",
            "Choose another format or split.",
        )
    return found, None


def _asked(recipe: ExportDataRecipe) -> list[str]:
    return list(SPLITS) if recipe.split == "all" else [recipe.split]


def _file_type(recipe: ExportDataRecipe, shape: Shape, output: Path) -> str:
    if not shape.typed:
        return shape.suffix.lstrip(".")
    asked = output.suffix.lstrip(".") if output.suffix in _SINGLE[:3] else ""
    if recipe.file_type == "auto":
        return asked or "jsonl"
    return recipe.file_type


def _place(folder: Path, output: Path, beside: Path) -> None:
    """Put the finished files where they were asked for."""
    if output.suffix == ".zip":
        packed = beside / "packed.zip"
        _pack(folder, packed)
        packed.rename(output)
    elif output.suffix in _SINGLE:
        files = [path for path in folder.rglob("*") if path.is_file()]
        if len(files) != 1 or files[0].suffix != output.suffix:
            names = ", ".join(sorted(path.relative_to(folder).as_posix() for path in files))
            raise BadInput(
                f"This export is {names}: that cannot be written as '{output.name}'.",
                "Name a folder or a .zip file, or one split.",
            )
        files[0].rename(output)
    else:
        if output.is_dir():  # It is empty, or it would have been refused.
            output.rmdir()
        folder.rename(output)


def _pack(folder: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())
