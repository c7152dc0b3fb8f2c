"""How often a split's queries were looked at: each look is a chance to keep what is better by luck.

Counted from what is on record: jobs that measured models on the split, in this version or in any
other whose splits were dealt at the same time.
"""

from typing import TYPE_CHECKING

from workbench.data.reader import DatasetReader
from workbench.errors import NotFound
from workbench.recipes.data import ResplitRecipe

if TYPE_CHECKING:
    from workbench.workspace import Workspace


def looks(workspace: "Workspace", reader: DatasetReader, split: str) -> int:
    """How many jobs put numbers on record for the split: evaluations and matrices, also those
    whose job was removed since."""
    dataset = workspace.datasets.get(reader.name)
    dealt: dict[int, int | None] = {reader.version: _dealt(reader)}
    found = set()
    for one in workspace.evaluations.list(dataset.id, split):
        if one.version not in dealt:
            dealt[one.version] = _dealt_in(workspace, dataset.id, one.version)
        if dealt[one.version] == dealt[reader.version]:
            found.add(one.job_id or one.id)
    return len(found)


def _dealt_in(workspace: "Workspace", dataset: str, version: int) -> int | None:
    """None for a version whose files are gone."""
    try:
        return _dealt(workspace.datasets.read(dataset, version))
    except NotFound:
        return None


def _dealt(reader: DatasetReader) -> int:
    """The version that dealt the splits anew last; 0 where they are those of the import."""
    resplit = (one for one in reader.manifest.lineage if one.get("by") == ResplitRecipe.task)
    return max((int(one["version"]) for one in resplit), default=0)
