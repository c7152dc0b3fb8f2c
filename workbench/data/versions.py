"""Versions of a data set: each a manifest over files it shares with the one before."""

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from storage.records import DatasetVersion
from workbench.data.edit import Changes
from workbench.data.edit_plan import Plan, plan_of
from workbench.data.edit_write import Tick, Written, write
from workbench.data.lineage import VersionInfo, entry, versions
from workbench.data.manifest import Manifest
from workbench.data.reader import DatasetReader
from workbench.data.splits import CODES, ENOUGH, SPLITS, pair_remarks, remarks
from workbench.data.write_dataset import NO_QUERIES
from workbench.errors import BadInput
from workbench.jobs.reporting import JobContext
from workbench.workspace import Workspace

__all__ = ["Changes", "VersionInfo", "new_version", "versions"]

_NOTE = "version.txt"


def new_version(
    workspace: Workspace,
    dataset: str,
    changes: Changes,
    how: Mapping[str, Any],
    context: JobContext | None = None,
    base_version: int | None = None,
) -> int:
    """Make the changed data set's next version, which becomes the current one; its number.

    ``how`` says what was done: ``what`` (in words), ``by`` (a task or a person), ``recipe``,
    ``job`` and ``counts``, as far as they are known. Readers of older versions go on undisturbed.
    Two at once get numbers of their own. Raises :class:`BadInput` when nothing would change, when
    rows are named that are not there, and when nothing would be left.
    """
    reader = workspace.datasets.read(dataset, base_version)
    if changes.empty:
        raise BadInput("Nothing would change.", "Choose something to change first.")
    plan = plan_of(reader, changes)
    refuse_empty(reader, plan)
    id = workspace.datasets.get(dataset).id
    number, folder = _claim(workspace, id, context)
    try:
        written = write(plan, folder.parent, folder.name, ticker(context), share=True)
        counts = {**how.get("counts", {}), **left_out(plan)}
        said = entry(number, reader.version, {**how, "counts": counts})
        manifest = manifest_of(reader, number, plan, written, said)
        manifest.write(folder / "manifest.json")
        workspace.datasets.add_version(
            DatasetVersion(
                id,
                number,
                reader.version,
                f"datasets/{id}/{folder.name}/manifest.json",
                summary_of(reader, manifest, plan),
                time.time(),
            )
        )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return number


def manifest_of(
    reader: DatasetReader, number: int, plan: Plan, written: Written, said: dict[str, Any]
) -> Manifest:
    """The manifest of what was written, after that of the version it comes from."""
    before = reader.manifest
    old = set(_remarks(before.splits, reader.summary.get("pair_splits")))
    notes = [note for note in before.notes if note not in old]
    return Manifest(
        version=number,
        format=before.format,
        documents=written.documents,
        queries=written.queries,
        judgments=written.judgments,
        candidates=written.candidates,
        problems=before.problems,
        rows=written.rows,
        splits=plan.splits,
        histograms=written.histograms,
        problem_counts=before.problem_counts,
        notes=notes + _remarks(plan.splits, pair_splits(plan)),
        sources=before.sources,
        pairs=written.pairs,
        lineage=[*before.lineage, said],
    )


def _remarks(splits: dict[str, int], pairs: dict[str, int] | None) -> list[str]:
    """What counts alone say, and would say otherwise of other counts."""
    said = pair_remarks(pairs, {}) if pairs else []
    if sum(splits.values()):
        return said + remarks(splits, {})
    return said if pairs else [NO_QUERIES]


def summary_of(reader: DatasetReader, manifest: Manifest, plan: Plan) -> dict[str, Any]:
    """What lists show of a version."""
    pairs = pair_splits(plan)
    return {
        **reader.summary,
        **manifest.rows,
        "splits": manifest.splits,
        **({"pair_splits": pairs} if pairs else {}),
        "notes": manifest.notes,
        "too_few": bool(manifest.rows["queries"]) and manifest.splits["test"] < ENOUGH,
    }


def pair_splits(plan: Plan) -> dict[str, int]:
    """Scored pairs by split; empty where there are none."""
    codes = np.concatenate([part.pairs for part in plan.parts])
    counts = {name: int((codes == CODES[name]).sum()) for name in SPLITS}
    return counts if any(counts.values()) else {}


def left_out(plan: Plan) -> dict[str, int]:
    return {"queries_left_without_relevant": plan.unjudged} if plan.unjudged else {}


def refuse_empty(reader: DatasetReader, plan: Plan) -> None:
    """Raise :class:`BadInput` for a data set that would lose all it is for."""
    queries = sum(plan.splits.values())
    pairs = sum(int((part.pairs >= 0).sum()) for part in plan.parts)
    if reader.counts["queries"] and not queries and not pairs:
        raise BadInput("No query would be left.", "Take away less.")
    if not queries and not pairs and not plan.documents:
        raise BadInput("Nothing would be left.", "Take away less.")


def ticker(context: JobContext | None) -> Tick:
    """Called while tables are written: says so, and stops where the person asked to."""

    def tick(what: str) -> None:
        if context is not None:
            context.progress(0, None, "", f"writing {what}")
            context.check_cancelled()

    return tick


def _claim(workspace: Workspace, id: str, context: JobContext | None) -> tuple[int, Path]:
    """The next number, and its folder, which nobody else gets.

    A job notes it first, so that its next attempt removes what a killed one left.
    """
    home = workspace.path(f"datasets/{id}")
    known = {one.version for one in workspace.store.datasets.versions(id)}
    note = context.folder / _NOTE if context is not None else None
    if note is not None and note.is_file():
        left = note.read_text(encoding="utf-8").strip()
        if left.startswith(f"{id}/v") and int(left.rpartition("v")[2]) not in known:
            shutil.rmtree(home / left.rpartition("/")[2], ignore_errors=True)
    number = max(known, default=0) + 1
    while True:
        folder = home / f"v{number}"
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
            continue
        if note is not None:
            note.write_text(f"{id}/{folder.name}", encoding="utf-8")
        return number, folder
