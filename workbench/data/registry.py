"""The data sets of a workspace: records in the store, folders in the home."""

import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.records import Dataset, DatasetVersion, Model
from workbench.errors import BadInput, DatasetNotFound
from workbench.jobs.files import folder_bytes, folder_of, write_recipe
from workbench.named_records import NamedRecords, note_finished
from workbench.records import Job, JobStatus
from workbench.references import ACTIVE, in_words, jobs_using, renamed

if TYPE_CHECKING:
    from storage.datasets import VersionList
    from storage.store import Store
    from workbench.data.reader import DatasetReader

LONGEST_NAME = 80
ModelList = list[Model]


@dataclass(frozen=True, slots=True)
class Dependents:
    """What stays when the data set goes, and what it loses: models work on, evaluations keep their
    numbers, and indexes have no texts to show any more."""

    models: "list[str]"
    indexes: "list[str]"
    evaluations: int

    @property
    def any(self) -> bool:
        return bool(self.models or self.indexes or self.evaluations)


class Datasets(NamedRecords[Dataset]):
    """Find, read, add and remove data sets. A record is written only when its files are whole."""

    what = "data set"
    folder_name = "datasets"
    missing = DatasetNotFound
    hint = "Import one with: python -m workbench data add FILE --name NAME"
    taken = "There is already a data set named '{}'."
    needed = ("The data set '{}' is needed by {}.", "Wait until it is done, or cancel it.")

    def __init__(self, store: "Store", home: Path) -> None:
        super().__init__(store.datasets, home)
        self._store = store

    def read(self, name: str, version: int | None = None) -> "DatasetReader":
        """A reader of one version (the current one by default)."""
        from workbench.data.reader import DatasetReader

        dataset = self.get(name)
        wanted = dataset.version if version is None else version
        found = self._store.datasets.version(dataset.id, wanted)
        if found is None:
            raise DatasetNotFound(
                f"The data set '{dataset.name}' has no version {wanted}.",
                f"Its current version is {dataset.version}.",
            )
        manifest = self._home / found.manifest
        if not manifest.is_file():
            raise DatasetNotFound(
                f"The files of the data set '{dataset.name}' are missing from the workspace.",
                "Remove the data set, and import it again.",
            )
        return DatasetReader(dataset.name, manifest, found.summary)

    def add(self, id: str, name: str, manifest: str, summary: dict[str, Any]) -> Dataset:
        """Register a data set whose files are complete; raises :class:`NameTaken`."""
        now = time.time()
        dataset = Dataset(id, name, now, 1, summary)
        version = DatasetVersion(id, 1, None, manifest, summary, now)
        with self.naming(name):
            self._store.datasets.insert(dataset, version)
        note_finished(self._home, self._path(dataset))
        return dataset

    def versions(self, name: str) -> "VersionList":
        """All versions, oldest first; :mod:`workbench.data.versions` says how each came to be."""
        return self._store.datasets.versions(self.get(name).id)

    def add_version(self, version: DatasetVersion) -> DatasetVersion:
        """Register a version whose files are complete and make it the current one."""
        if self._store.datasets.get(version.dataset_id) is None:
            raise DatasetNotFound("The data set was removed while its new version was written.")
        self._store.datasets.add_version(version)
        note_finished(self._home, str(Path(version.manifest).parent))
        return version

    def make_current(self, name: str, version: int) -> Dataset:
        """Let another version be the one that is meant where none is named."""
        dataset = self.get(name)
        self.read(dataset.name, version)
        self._store.datasets.set_version(dataset.id, version)
        return self.get(dataset.id)

    def rename(self, name: str, to: str) -> Dataset:
        """Give it another name; raises :class:`NameTaken`, and :class:`InUse` while a job runs,
        which goes by the old one."""
        dataset = self.get(name)
        wanted = self.check_name(to)
        self.refuse_needed(dataset, self._jobs(dataset, JobStatus.RUNNING))
        models = self._trained_on(dataset.name)
        with self.naming(wanted):
            self._store.datasets.rename(dataset.id, wanted)
        for model in models:  # Their pages say what they were trained on by its name.
            self._store.models.update(replace(model, summary={**model.summary, "dataset": wanted}))
        for job in self._store.jobs.list():  # What was measured and found is looked up by it too.
            self._rename_in(job, dataset, wanted)
        return self.get(dataset.id)

    def _rename_in(self, job: Job, dataset: Dataset, wanted: str) -> None:
        """Let a job call the data set by its new name."""
        now = _with_result(renamed(job, "dataset", dataset, wanted), dataset, wanted)
        if now == job:
            return
        # It began, ended or was rewritten just now: with what it has since.
        if not self._store.jobs.rewrite(now, job):
            if later := self._store.jobs.get(job.id):
                self._rename_in(later, dataset, wanted)
            return
        if folder_of(self._home, job.id).is_dir():
            write_recipe(self._home, now)

    def dependents(self, name: str) -> Dependents:
        """What speaks of the data set and would lose it: for the warning before it is removed."""
        dataset = self.get(name)
        return Dependents(
            models=[model.name for model in self._trained_on(dataset.name)],
            indexes=[one.name for one in self._store.indexes.list(dataset_id=dataset.id)],
            evaluations=len(self._store.evaluations.list(dataset_id=dataset.id)),
        )

    def used_by(self, name: str) -> tuple[str, ...]:
        """The jobs that keep the data set from being removed, in words."""
        return self._jobs(self.get(name), ACTIVE)

    def _jobs(self, dataset: Dataset, status: JobStatus | Collection[JobStatus]) -> tuple[str, ...]:
        """Those with that status that name the data set, and those that work on an index of it."""
        indexes = self._store.indexes.list(dataset_id=dataset.id)
        ids = {one.id for one in indexes}
        called = ids | {one.name for one in indexes}
        mine = {dataset.id}, {dataset.id, dataset.name}
        found = [
            *jobs_using(self._store, "dataset", *mine, status),
            *jobs_using(self._store, "index", ids, called, status),
        ]
        return tuple(dict.fromkeys(map(in_words, found)))

    def bytes(self, name: str) -> int:
        """What the data set takes on disk."""
        return folder_bytes(self.folder(name))

    def _trained_on(self, name: str) -> "ModelList":
        return [one for one in self._store.models.list() if one.summary.get("dataset") == name]

    def check_name(self, name: str) -> str:
        plain = " ".join(name.split())
        if not plain or not plain.isprintable():
            raise BadInput("A data set needs a name of visible characters.", "Give it a name.")
        if len(plain) > LONGEST_NAME:
            raise BadInput(f"A name has between 1 and {LONGEST_NAME} characters.")
        return plain


def _with_result(job: Job, dataset: Dataset, new: str) -> Job:
    """The job whose result calls a data set by its new name. One that ended before the data set was
    there speaks of another one."""
    if job.result is None or job.result.get("dataset") != dataset.name:
        return job
    if job.finished_at is not None and job.finished_at < dataset.created_at:
        return job
    return replace(job, result={**job.result, "dataset": new})
