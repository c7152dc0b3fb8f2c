"""The evaluations of a workspace: measured once, kept as they were, each with its files."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.records import Evaluation
from workbench.errors import NotFound
from workbench.named_records import discard, new_folder, note_finished, note_unfinished
from workbench.recipes.data import ResplitRecipe

if TYPE_CHECKING:
    from storage.store import Store
    from workbench.data.reader import DatasetReader
    from workbench.data.registry import Datasets

FOLDER = "evaluations"
# The files in an evaluation's folder.
RUN_FILE = "run.parquet"
QUERIES_FILE = "queries.parquet"
QRELS_FILE = "qrels.parquet"
PAIRS_FILE = "pairs.parquet"


class Evaluations:
    """``workspace.evaluations``."""

    def __init__(self, store: "Store", home: Path) -> None:
        self._store = store
        self._home = home

    def get(self, id: str) -> Evaluation:
        """Raises :class:`NotFound`."""
        found = self._store.evaluations.get(id)
        if found is None:
            raise NotFound(f"There is no evaluation with the id '{id}'.")
        return found

    def for_job(self, job_id: str) -> "list[Evaluation]":
        """What one job measured, newest first."""
        return self._store.evaluations.for_job(job_id)

    def withdraw(self, job_id: str) -> None:
        """Take back what a job measured in an attempt that did not come to its end: it measures all
        of it again, and what is on record twice would count as two looks at the queries."""
        for one in self.for_job(job_id):
            note_unfinished(self._home, one.path)
            self._store.evaluations.delete(one.id)
            discard(self._home, one.path)

    def new_folder(self) -> tuple[str, Path]:
        """An id, and the empty folder for the run and the per-query metrics."""
        return new_folder(self._home, FOLDER)

    def add(self, evaluation: Evaluation) -> Evaluation:
        """Put it on record; its files must be complete."""
        self._store.evaluations.insert(evaluation)
        note_finished(self._home, evaluation.path)
        return evaluation

    def list(self, dataset: str | None = None, split: str | None = None) -> "list[Evaluation]":
        """Newest first. ``dataset`` is a name or id; one that is unknown has no evaluations."""
        filters = {} if split is None else {"split": split}
        if dataset is not None:
            named = self._store.datasets.by_name(dataset)
            filters["dataset_id"] = dataset if named is None else named.id
        return self._store.evaluations.list(**filters)

    def looks(self, datasets: "Datasets", reader: "DatasetReader", split: str) -> int:
        """How many jobs put numbers on record for a split's queries, in this version or in any
        other whose splits were dealt at the same time: evaluations and matrices, also those whose
        job was removed since. Each look is a chance to keep what is better by luck."""
        dataset = datasets.get(reader.name)
        dealt: dict[int, int | None] = {reader.version: _dealt(reader)}
        found = set()
        for one in self.list(dataset.id, split):
            if one.version not in dealt:
                dealt[one.version] = _dealt_in(datasets, dataset.id, one.version)
            if dealt[one.version] == dealt[reader.version]:
                found.add(one.job_id or one.id)
        return len(found)


def _dealt_in(datasets: "Datasets", dataset: str, version: int) -> int | None:
    """None for a version whose files are gone."""
    try:
        return _dealt(datasets.read(dataset, version))
    except NotFound:
        return None


def _dealt(reader: "DatasetReader") -> int:
    """The version that dealt the splits anew last; 0 where they are those of the import."""
    resplit = (one for one in reader.lineage if one.get("by") == ResplitRecipe.task)
    return max((int(one["version"]) for one in resplit), default=0)


def ranked_ids(result: Mapping[str, Any]) -> list[str]:
    """Ids in the order of the job's tables; those on a second data set last."""
    second = result.get("second_dataset") or {}
    return [*(result.get("evaluations") or ()), *(second.get("evaluations") or ())]
