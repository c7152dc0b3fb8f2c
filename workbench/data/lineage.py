"""What each version of a data set is: when it was made, from which one, and how."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench.data.manifest import Manifest
from workbench.workspace import Workspace


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
