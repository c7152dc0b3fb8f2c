"""An edited data set, written: as its next version, or as a new data set of its own."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from storage.records import DatasetVersion
from workbench.data.edit import Changes
from workbench.data.edit_plan import Part, Plan, plan_of
from workbench.data.edit_write import Tick, Written, write
from workbench.data.job import dataset_folder
from workbench.data.problems import ProblemLog
from workbench.data.reader import DatasetReader
from workbench.data.splits import CODES, ENOUGH, SPLITS, pair_remarks, remarks
from workbench.data.write_dataset import NO_QUERIES
from workbench.data.writer import Manifest, along
from workbench.errors import BadInput
from workbench.jobs.files import folder_bytes, write_made
from workbench.jobs.reporting import JobContext
from workbench.named_records import discard, note_unfinished
from workbench.pictures.store import link_picture
from workbench.workspace import Workspace

# What each version is: when it was made, from which one, and how.


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """One line of a version list. ``counts`` is what the change itself counted."""

    version: int
    parent: int | None
    created_at: float
    current: bool
    what: str
    by: str
    counts: dict[str, Any]
    lineage: list[dict[str, Any]]
    summary: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "parent": self.parent,
            "created_at": self.created_at,
            "current": self.current,
            "what": self.what,
            "by": self.by,
            "counts": self.counts,
            "lineage": self.lineage,
            **{key: self.summary.get(key) for key in ("queries", "documents", "judgments")},
            **{key: self.summary.get(key) for key in ("candidates", "splits")},
        }


def entry(version: int, parent: int | None, how: Mapping[str, Any]) -> dict[str, Any]:
    """A version's own line in the lineage its manifest keeps."""
    said = {"what": "", "by": "", "recipe": {}, "job": None, "counts": {}, **how}
    return {"version": version, "parent": parent, "at": time.time(), **said}


def versions(workspace: Workspace, name: str) -> list[VersionInfo]:
    """All versions of a data set, oldest first; raises :class:`DatasetNotFound`."""
    dataset = workspace.datasets.get(name)
    found = []
    for one in workspace.datasets.versions(name):
        path = workspace.home / one.manifest
        manifest = Manifest.read(path) if path.is_file() else None
        lineage = manifest.lineage if manifest else []
        mine = lineage[-1] if lineage else {}
        found.append(
            VersionInfo(
                version=one.version,
                parent=one.parent,
                created_at=one.created_at,
                current=one.version == dataset.version,
                what=str(mine.get("what") or _imported(manifest)),
                by=str(mine.get("by") or ("" if mine else "import")),
                counts=dict(mine.get("counts") or {}),
                lineage=lineage,
                summary=one.summary,
            )
        )
    return found


def _imported(manifest: Manifest | None) -> str:
    files = [str(source["file"]) for source in (manifest.sources if manifest else [])]
    shown = ", ".join(files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")
    return f"imported from {shown}" if files else "imported"


__all__ = ["Changes", "VersionInfo", "new_version", "versions"]


def new_version(
    workspace: Workspace,
    dataset: str,
    changes: Changes,
    how: Mapping[str, Any],
    context: JobContext | None = None,
    base_version: int | None = None,
    result: Callable[[DatasetReader], dict[str, Any]] | None = None,
) -> int:
    """Make the changed data set's next version, which becomes the current one; its number.

    ``how`` says what was done: ``what`` (in words), ``by`` (a task or a person), ``recipe``,
    ``job`` and ``counts``, as far as they are known. ``result``: what the job, if it is one, gives
    back of the new version, which is whole then and not yet on record. Readers of older versions go
    on undisturbed. Two at once get numbers of their own. Raises :class:`BadInput` when nothing
    would change, when rows are named that are not there, and when nothing would be left.
    """
    reader = workspace.datasets.read(dataset, base_version)
    if changes.empty:
        raise BadInput("Nothing would change.", "Choose something to change first.")
    plan = plan_of(reader, changes)
    refuse_empty(reader, plan)
    id = workspace.datasets.get(dataset).id
    number, folder = _claim(workspace, id)
    try:
        written = write(plan, folder.parent, folder.name, ticker(context), share=True)
        counts = {**how.get("counts", {}), **left_out(plan)}
        said = entry(number, reader.version, {**how, "counts": counts})
        manifest = manifest_of(reader, number, plan, written, said)
        manifest.write(folder / "manifest.json")
        path, summary = (
            f"datasets/{id}/{folder.name}/manifest.json",
            summary_of(reader, manifest, plan),
        )
        if context is not None and result is not None:
            new = DatasetReader(reader.name, workspace.path(path), summary)
            write_made(context.folder, path, result(new))
        workspace.datasets.add_version(
            DatasetVersion(id, number, reader.version, path, summary, time.time())
        )
    except BaseException:
        discard(workspace.home, f"datasets/{id}/{folder.name}")
        raise
    return number


def manifest_of(
    reader: DatasetReader, number: int, plan: Plan, written: Written, said: dict[str, Any]
) -> Manifest:
    """The manifest of what was written, after that of the version it comes from."""
    before = reader.manifest
    old = set(_remarks(before.splits, reader.summary.get("pair_splits")))
    notes = [note for note in before.notes if note not in old]
    return replace(
        before,
        version=number,
        documents=written.documents,
        queries=written.queries,
        judgments=written.judgments,
        candidates=written.candidates,
        pairs=written.pairs,
        rows=written.rows,
        splits=plan.splits,
        histograms=written.histograms,
        notes=notes + _remarks(plan.splits, pair_splits(plan)),
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
        "carved": _carved(plan),
        "notes": manifest.notes,
        "too_few": bool(manifest.rows["queries"]) and manifest.splits["test"] < ENOUGH,
    }


def _carved(plan: Plan) -> dict[str, int]:
    """Queries of the splits that an import carved from train, and that nobody added any to: who
    trains may use these again, but none that a person wants to judge by."""
    added = set(plan.new_queries["split"].to_pylist())
    return {
        name: plan.splits[name]
        for name in ("test", "dev")
        if plan.splits[name]
        and name not in added
        and all(_carved_in(part, name) for part in plan.parts)
    }


def _carved_in(part: Part, split: str) -> bool:
    """Whether all that stands in the split now was carved by the import of this data set."""
    here = (part.splits == CODES[split]) & (part.queries >= 0)
    if not here.any():
        return True
    before = part.reader.query_codes()[here]
    return split in part.reader.summary.get("carved", {}) and bool((before == CODES[split]).all())


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


def _claim(workspace: Workspace, id: str) -> tuple[int, Path]:
    """The next number, and its folder, which nobody else gets."""
    home = workspace.path(f"datasets/{id}")
    known = {one.version for one in workspace.store.datasets.versions(id)}
    number = max(known, default=0) + 1
    while True:
        folder = home / f"v{number}"
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
            continue
        # Not before: until it is made, it may become another one's.
        note_unfinished(workspace.home, f"datasets/{id}/{folder.name}")
        return number, folder


# A new data set made of others: its own files, its own first version.

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
        result = {"name": name, **summary, "counts": counts, "problems": []}
        path = f"datasets/{id}/v1/manifest.json"
        write_made(context.folder, path, result)
        context.workspace.datasets.add(id, name, path, summary)
    return result


def share_pictures(plan: Plan, folder: Path, context: JobContext) -> None:
    """Put the files of the plan's pictures below a new data set's folder, too."""
    for part in plan.parts:
        for table, keep in along(part.reader.iter_documents(), part.own_documents):
            for place in table["picture"].filter(pa.array(keep)).drop_null().to_pylist():
                context.check_cancelled()
                link_picture(part.reader.folder, place, folder)
