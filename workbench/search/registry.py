"""The search indexes of a workspace: records in the store, folders in the home."""

from pathlib import Path

from storage.records import Index
from workbench.errors import IndexNotFound
from workbench.jobs.files import folder_bytes
from workbench.models.contract import check_name
from workbench.models.registry import Store
from workbench.named_records import NamedRecords, discard, note_finished, note_unfinished
from workbench.references import in_words, jobs_using
from workbench.search.index_types import Plan


def plan_of(index: Index) -> Plan:
    """How an index is made and asked; one from before there were structures is exact."""
    if "plan" in index.summary:
        return Plan.from_dict(index.summary["plan"])
    return Plan("flat", int(index.contract.get("dimensions", 0)))


class Indexes(NamedRecords[Index]):
    """Find, add and remove indexes. A record is written only when its folder is complete."""

    what = "index"
    folder_name = "indexes"
    missing = IndexNotFound
    hint = "Build one with: python -m workbench index build --dataset NAME"
    taken = "There is already an index named '{}'."
    needed = ("The index '{}' is needed by {}.", "Wait until the job is done, or cancel it.")

    def __init__(self, store: Store, home: Path) -> None:
        super().__init__(store.indexes, home)
        self._store = store

    def add(self, index: Index) -> Index:
        """Register an index whose folder is complete; raises :class:`NameTaken`."""
        with self.naming(index.name):
            self._store.indexes.insert(index)
        note_finished(self._home, index.path)
        return index

    def check_name(self, name: str) -> str:
        return check_name(name)

    def replace(self, index: Index) -> Index:
        """Put a changed record in the place of the one of its id; the folder it had before goes.
        A search that has the old files open goes on with them until it is done."""
        before = self.get(index.id)
        if before.path == index.path:
            self._store.indexes.update(index)
            return index
        note_unfinished(self._home, before.path)
        self._store.indexes.update(index)
        note_finished(self._home, index.path)
        discard(self._home, before.path)
        return index

    def used_by(self, name: str) -> tuple[str, ...]:
        """The jobs that keep the index from being removed, in words."""
        index = self.get(name)
        using = jobs_using(self._store, "index", {index.id}, {index.id, index.name})
        return tuple(map(in_words, using))

    def _path(self, record: Index) -> str:
        return record.path

    def bytes(self, name: str) -> int:
        """What the index takes on disk."""
        return folder_bytes(self.folder(name))
