"""A workspace in memory, for what needs no database; and models too small to take time."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from storage.errors import NameExists
from storage.records import Job, JobStatus, SlotKind
from workbench.errors import JobCancelled
from workbench.models.contract import Contract
from workbench.models.locate import LocalModel, locate_folder
from workbench.models.registry import Models
from workbench.workspace import Workspace


class Rows:
    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def insert(self, record: Any) -> Any:
        if self.by_name(record.name):
            raise NameExists(record.name)
        self.kept[record.id] = record
        return record

    def get(self, id: str) -> Any:
        return self.kept.get(id)

    def by_name(self, name: str) -> Any:
        return next((one for one in self.kept.values() if one.name == name), None)

    def list(self, **filters: Any) -> list[Any]:
        return [
            one
            for one in self.kept.values()
            if all(getattr(one, key) == value for key, value in filters.items())
        ]

    def update(self, record: Any) -> Any:
        self.kept[record.id] = record
        return record

    def delete(self, id: str) -> bool:
        return self.kept.pop(id, None) is not None


@dataclass
class FakeStore:
    models: Rows = field(default_factory=Rows)
    indexes: Rows = field(default_factory=Rows)
    jobs: Rows = field(default_factory=Rows)


class FakeWorkspace:
    trust_remote_code = False

    def __init__(self, home: Path) -> None:
        self.home = home
        self.store = FakeStore()
        self.models = Models(self.store, home)

    def path(self, relative: str) -> Path:
        return self.home / relative


def located(folder: Path, contract: Contract | None = None) -> LocalModel:
    """The model in a folder of no workspace, by its own contract or another one."""
    workspace: Any = FakeWorkspace(folder.parent)
    return locate_folder(workspace, folder, contract=contract)


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def write_plain(folder: Path, **config: Any) -> Path:
    """A folder that looks like a BERT checkpoint; its weights are a few bytes."""
    write_json(
        folder / "config.json",
        {
            "model_type": "bert",
            "architectures": ["BertModel"],
            "hidden_size": 32,
            "max_position_embeddings": 512,
        }
        | config,
    )
    write_json(folder / "tokenizer.json", {})
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def write_modules(folder: Path, *extra: str, **about: Any) -> Path:
    """A folder that looks like sentence-transformers'; ``extra`` are modules after the pooling."""
    write_plain(folder)
    kinds = ["Transformer", "Pooling", *extra]
    write_json(
        folder / "modules.json",
        [
            {
                "idx": n,
                "name": str(n),
                "path": f"{n}_{kind}" if n else "",
                "type": f"sentence_transformers.models.{kind}",
            }
            for n, kind in enumerate(kinds)
        ],
    )
    write_json(
        folder / "1_Pooling" / "config.json",
        {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True},
    )
    write_json(folder / "config_sentence_transformers.json", about)
    return folder


def queued_job(task: str, name: str, recipe: dict[str, Any]) -> Job:
    nothing: dict[str, Any] = dict.fromkeys(f.name for f in fields(Job))
    return Job(
        **nothing
        | {
            "id": "job00001",
            "task": task,
            "name": name,
            "recipe": recipe,
            "status": JobStatus.QUEUED,
            "slot_kind": SlotKind.LIGHT,
            "attempt": 0,
            "progress": {},
            "references": {},
            "created_at": 1.0,
        }
    )


class FakeContext:
    """Keeps what a task reports; ``cancel_at`` cancels at that message."""

    resuming = False
    cancelled = False

    def __init__(self, workspace: Workspace, cancel_at: str = "") -> None:
        self.workspace = workspace
        self.job = queued_job("some-task", "a job", {})
        self.folder = workspace.home
        self.messages: list[str] = []
        self.done: list[tuple[float, float | None]] = []
        self._cancel_at = cancel_at

    def progress(
        self, done: float, total: float | None = None, unit: str = "", message: str = ""
    ) -> None:
        self.done.append((done, total))
        if message not in self.messages:
            self.messages.append(message)

    def check_cancelled(self) -> None:
        if self._cancel_at and self._cancel_at in self.messages:
            raise JobCancelled("stopped")

    def metrics(self, step: int, kind: str, values: Mapping[str, float]) -> None: ...
    def forget_metrics_after(self, step: int) -> None: ...
    def flush(self) -> None: ...
    def note(self, message: str) -> None: ...
