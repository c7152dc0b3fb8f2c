"""A new data set made of others: its own files, its own first version."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from workbench.data.edit_plan import Plan
from workbench.data.edit_write import Written, write
from workbench.data.job import dataset_folder
from workbench.data.lineage import entry
from workbench.data.problems import ProblemLog
from workbench.data.versions import (
    left_out,
    manifest_of,
    refuse_empty,
    summary_of,
    ticker,
)
from workbench.jobs.files import folder_bytes
from workbench.jobs.reporting import JobContext
from workbench.pictures.store import link_picture

_PROBLEMS = "v1/problems.parquet"


def new_dataset(
    context: JobContext, name: str, plan: Plan, how: Mapping[str, Any], format: str = ""
) -> dict[str, Any]:
    """Write and register it. Returns its name and summary, as an import does.

    Raises :class:`NameTaken`; nothing is left behind then.
    """
    reader = plan.parts[0].reader
    refuse_empty(reader, plan)
    with dataset_folder(context) as (id, folder):
        written: Written = write(plan, folder, "files", ticker(context), share=False)
        share_pictures(plan, folder, context)
        (folder / "v1").mkdir()
        ProblemLog(folder / _PROBLEMS).close()
        counts = {**how.get("counts", {}), **left_out(plan)}
        said = entry(1, None, {**how, "counts": counts, "job": context.job.id})
        manifest = manifest_of(reader, 1, plan, written, said)
        manifest = replace(
            manifest, problems=_PROBLEMS, problem_counts={}, format=format or manifest.format
        )
        manifest.write(folder / "v1/manifest.json")
        summary = {
            **summary_of(reader, manifest, plan),
            "format": manifest.format,
            "problem_counts": {},
            "problems_total": 0,
            "bytes": folder_bytes(folder),
        }
        context.workspace.datasets.add(id, name, f"datasets/{id}/v1/manifest.json", summary)
    return {"name": name, **summary, "counts": counts, "problems": []}


def share_pictures(plan: Plan, folder: Path, context: JobContext) -> None:
    """Put the files of the plan's pictures below a new data set's folder, too."""
    for part in plan.parts:
        start = 0
        for table in part.reader.iter_documents():
            keep = part.own_documents[start : start + table.num_rows]
            start += table.num_rows
            for place in table["picture"].filter(pa.array(keep)).drop_null().to_pylist():
                context.check_cancelled()
                link_picture(part.reader.folder, place, folder)
