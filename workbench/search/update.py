"""The task ``index-update``: bring an index up to date. Worker processes only.

Documents are told apart by what the model reads of them: one that moved in the data set, or got
another id, keeps its vector. Where the model has changed, or the number of documents is no longer
the one the structure was laid out for, the index is built anew with its own settings.
"""

import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.records import Index
from workbench.data.digests import of_strings
from workbench.data.reader import DatasetReader
from workbench.errors import BadInput
from workbench.jobs.files import write_made
from workbench.jobs.reporting import JobContext
from workbench.models.locate import LocalModel
from workbench.recipes.evaluate import IndexRecipe, IndexUpdateRecipe
from workbench.search.index_types import INDEX_TYPES
from workbench.search.making import (
    BuiltIndex,
    IndexSource,
    encode,
    finish,
    load_material,
    make_folder,
    result_of,
)
from workbench.search.pictures import as_read
from workbench.search.plan import PlannedIndex
from workbench.search.registry import plan_of
from workbench.search.staleness import changed_fields, weights_changed
from workbench.search.texts import DOCUMENTS_FILE, OwnDocuments

Rows = NDArray[np.int64]
#: Lists and codes no longer fit where, since they were learned, as many documents came and went as
#: there were then, or fewer than this part of them is left.
_LEFT = 0.5


def run(recipe: IndexUpdateRecipe, context: JobContext) -> dict[str, Any]:
    """Add, take out or build anew; the result says how much of each, and what was measured."""
    workspace = context.workspace
    index = workspace.indexes.get(recipe.index)
    dataset = workspace.datasets.get(index.dataset_id)
    reader = workspace.datasets.read(index.dataset_id, dataset.version)
    left_out = _left_out(index, recipe)
    rows = _wanted(reader, left_out, recipe)
    started = time.monotonic()
    settings, name = settings_of(index, dataset.name), index.model_id or index.model
    material = load_material(settings, name, reader, context)
    rows = np.intersect1d(rows, material.rows(), assume_unique=True)
    change = Change.between(index, workspace.path(index.path), material, rows)
    why = "asked" if recipe.rebuild else _rebuild(index, material.model, change)
    id, folder = workspace.indexes.new_folder()
    try:
        if why:
            made = make_folder(material, folder, rows)
        else:
            made, change = _changed(material, index, folder, change)
        context.check_cancelled()
        record = replace(
            index,
            version=reader.version,
            path=f"indexes/{id}",
            documents=made.documents,
            bytes=made.bytes,
            contract=material.encoder.contract.model_dump(),
            summary={
                **made.summary,
                "left_out": sorted(left_out),
                "learned": _learned(index, made, change, anew=bool(why)),
                "updated_at": time.time(),
            },
        )
        result = {
            **result_of(record, dataset.name, time.monotonic() - started),
            "added": len(change.added),
            "removed": int(change.gone.sum()),
            "rebuilt": why,
        }
        write_made(context.folder, record.path, result)
        workspace.indexes.replace(record)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return result


class Change:
    """From the documents an index has to those it is to have.

    ``gone`` marks the index's positions (n,) that go; ``kept`` has the data set's rows of the
    others, in the index's order; ``added`` the rows that come, ascending.
    """

    def __init__(self, gone: NDArray[np.bool_], kept: Rows, added: Rows) -> None:
        self.gone, self.kept, self.added = gone, kept, added

    @property
    def rows(self) -> Rows:
        """The data set's rows in the order the index then has."""
        return np.concatenate([self.kept, self.added])

    def only(self, rows: Rows) -> "Change":
        """The same among the documents at these rows of the data set: those whose pictures could be
        opened."""
        good = np.isin(self.kept, rows)
        gone = self.gone.copy()
        gone[np.flatnonzero(~gone)[~good]] = True
        return Change(gone, self.kept[good], self.added[np.isin(self.added, rows)])

    @classmethod
    def between(cls, index: Index, folder: Path, material: IndexSource, rows: Rows) -> "Change":
        """``rows``: those of the data set that the index is to have."""
        if not (folder / DOCUMENTS_FILE).is_file():
            return cls(np.ones(index.documents, bool), np.empty(0, np.int64), rows)
        contract = material.encoder.contract
        before = [of_strings(as_read(batch, contract)) for batch in OwnDocuments(folder).batches()]
        place = np.full(material.reader.counts["documents"], -1, np.int64)
        place[rows] = np.arange(len(rows))
        after, start = np.zeros((len(rows), 2), np.uint64), 0
        for table in material.reader.iter_documents():
            mine = place[start : start + table.num_rows]
            start += table.num_rows
            after[mine[mine >= 0]] = of_strings(as_read(table, contract))[mine >= 0]
        old = np.concatenate(before) if before else np.zeros((0, 2), np.uint64)
        at, partner = matched(old, after)
        gone = np.ones(len(old), bool)
        gone[at] = False
        fresh = np.ones(len(rows), bool)
        fresh[partner] = False
        return cls(gone, rows[partner], rows[fresh])


def matched(old: NDArray[np.uint64], new: NDArray[np.uint64]) -> tuple[Rows, Rows]:
    """Pairs of equal digests (n, 2) and (m, 2), each used once: places in ``old``, ascending, and
    their partners in ``new``."""
    both = np.concatenate([old, new])
    _, groups = np.unique(both, axis=0, return_inverse=True)
    groups = groups.reshape(-1)
    left, right = groups[: len(old)], groups[len(old) :]
    width = len(both) + 1
    # The second of two equal documents has the same group but another turn.
    one = left * width + _turns(left)
    other = right * width + _turns(right)
    _, at, partner = np.intersect1d(one, other, assume_unique=True, return_indices=True)
    order = np.argsort(at)
    return at[order], partner[order]


def settings_of(index: Index, dataset: str) -> IndexRecipe:
    """The recipe an index was built with; of one from before recipes were kept, what is known."""
    known = index.summary.get("settings")
    found = known or {"dataset": dataset, "model": index.model, "name": index.name}
    return IndexRecipe.read({**found, "dataset": dataset, "dataset_version": None})


def _turns(groups: Rows) -> Rows:
    """Of each place, how many places before it have the same group."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    lengths = np.diff(np.concatenate([begins, [len(groups)]]))
    turns = np.empty(len(groups), np.int64)
    turns[order] = np.arange(len(groups)) - np.repeat(begins, lengths)
    return turns


def _left_out(index: Index, recipe: IndexUpdateRecipe) -> set[str]:
    before = set(index.summary.get("left_out", []))
    return (before | set(recipe.leave_out)) - set(recipe.take_back)


def _wanted(reader: DatasetReader, left_out: set[str], recipe: IndexUpdateRecipe) -> Rows:
    """The rows of the documents that are to be in the index."""
    if not left_out:
        return np.arange(reader.counts["documents"])
    found, known = [], set()
    for table in reader.iter_documents():
        ids = table["id"].to_pylist()
        known |= left_out.intersection(ids)
        found.append(np.array([id not in left_out for id in ids], bool))
    if missing := sorted(set(recipe.leave_out) - known):
        raise BadInput(
            f"There is no document '{missing[0]}' in '{reader.name}'.",
            "Give ids as a search shows them.",
        )
    rows = np.flatnonzero(np.concatenate(found))
    if not len(rows):
        raise BadInput("No document would be left in the index.", "Leave out fewer.")
    return rows


def _rebuild(index: Index, model: LocalModel, change: Change) -> str:
    """Why adding and removing would not do, or ''."""
    if changed_fields(index, model):
        return "contract"
    if weights_changed(index, model):
        return "model"
    if not len(change.kept):
        return "documents"
    if not INDEX_TYPES.get(plan_of(index).structure).outgrown:
        return ""
    since = _since(index, change)
    much = since["changed"] >= since["documents"]
    return "size" if much or len(change.rows) < _LEFT * since["documents"] else ""


def _since(index: Index, change: Change) -> dict[str, int]:
    """How many documents there were when the structure was learned, and how many have come and
    gone since, with this change: many small ones are one large one."""
    before = index.summary.get("learned", {"documents": index.documents, "changed": 0})
    moved = len(change.added) + int(change.gone.sum())
    return {"documents": int(before["documents"]), "changed": int(before["changed"]) + moved}


def _learned(index: Index, made: BuiltIndex, change: Change, *, anew: bool) -> dict[str, int]:
    return {"documents": made.documents, "changed": 0} if anew else _since(index, change)


def _changed(
    material: IndexSource, index: Index, folder: Path, change: Change
) -> tuple[BuiltIndex, Change]:
    """The index with what is to go taken out and what is to come added; and what that was, without
    pictures that cannot be opened."""
    context = material.context
    ready = encode(material, change.rows)
    try:
        change = change.only(ready.rows)
        folder_before = context.workspace.path(index.path)
        built = PlannedIndex.read(plan_of(index), folder_before, mapped=False)
        context.progress(0, None, "", "Taking documents out")
        context.check_cancelled()
        built.remove(change.gone)
        start = len(change.kept)
        for block in ready.spool.blocks(start):
            start += len(block)
            context.progress(start, len(ready.rows), material.unit, "Adding documents")
            context.check_cancelled()
            built.add(block)
        return finish(material, folder, built, ready), change
    finally:
        ready.spool.remove()
