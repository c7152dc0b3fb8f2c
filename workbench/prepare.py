"""What is looked up when a job is submitted, so that bad input stops at the click.

What recipes have in common is read off their fields (:func:`workbench.recipes.base.setting`): the
data set is there, holds what is needed, and its version is pinned; models are there and fit; the
name of what is made is free. What is particular to a task is in its own ``prepare``, which comes
first. Torch-free, without network.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from workbench.data.reader import DatasetReader, choosing_split, no_queries
from workbench.data.splits import SPLITS
from workbench.errors import BadInput
from workbench.evaluation.named import BM25, find
from workbench.model_kinds import MODEL_KINDS
from workbench.models.resolve import resolve
from workbench.named_records import NamedRecords
from workbench.recipes.base import MODEL_FREE, Fit, Need, Recipe
from workbench.recipes.describe import FieldSpec, describe, with_absolute_folders
from workbench.references import Reference, references
from workbench.tasks import get_task, load
from workbench.workspace import Workspace

R = TypeVar("R", bound=Recipe)
#: Where a workspace keeps what has a name.
_RECORDS = {"dataset": "datasets", "model": "models", "index": "indexes"}


def prepare(recipe: R, workspace: Workspace, waits: bool = False) -> R:
    """The recipe as it is queued, with what was left empty filled in.

    ``waits``: another job comes first; names that are not there yet are left for the run. Raises a
    :class:`BadInput` that says what is missing or cannot be.
    """
    recipe = with_absolute_folders(recipe, workspace.models.exists)
    own = get_task(recipe.task).load_prepare()
    return look_up(own(recipe, workspace, waits) if own else recipe, workspace, waits)


def look_up(recipe: R, workspace: Workspace, waits: bool = False) -> R:
    """What all recipes have in common, in the order of the fields. Folders are absolute already."""
    specs = {spec.name: spec for spec in describe(type(recipe))}
    changes: dict[str, Any] = {}
    for field in specs.values():
        # What must be named and is not: the error says how to get one.
        if field.required and field.refers_to in _RECORDS and not getattr(recipe, field.name):
            getattr(workspace, _RECORDS[field.refers_to]).get("")
    for one in references(type(recipe), dict(recipe)):
        spec = specs.get(one.field)
        if spec is None:  # Of a recipe inside this one: its own task looks it up.
            continue
        if one.kind == "dataset":
            changes |= _dataset(recipe, workspace, one, specs, waits)
        elif one.kind == "index" and not waits:
            workspace.indexes.get(one.name)
        elif spec.fits is not None and not waits:
            _check_model(workspace, one.name, spec, spec.fits)
    return recipe.model_copy(update=changes | _names(recipe, workspace, specs))


def _dataset(
    recipe: Recipe,
    workspace: Workspace,
    one: Reference,
    specs: Mapping[str, FieldSpec],
    waits: bool,
) -> dict[str, Any]:
    """The version that is worked on, whatever becomes current before the job starts."""
    version = specs.get("dataset_version")
    pinned = version.pinned if version else None
    if waits and (pinned != "always" or not workspace.datasets.exists(one.name)):
        return {}
    first = one.field == "dataset"
    wanted = getattr(recipe, "dataset_version", None) if first else None
    reader = workspace.datasets.read(one.name, wanted)
    if need := specs[one.field].needs:
        NEEDS[need](reader, getattr(recipe, "split", "all"))
    return {"dataset_version": reader.version} if first and pinned else {}


def _check_model(workspace: Workspace, name: str, spec: FieldSpec, fit: Fit) -> None:
    """A hub model's kind shows in the run."""
    word = name.strip().lower()
    if word in MODEL_FREE and spec.default == "auto":
        return
    if fit.check:
        load(fit.check)(workspace, name)
    elif not fit.can:
        resolve(workspace, name)
    elif not _can(find(workspace, name).kind, fit.can):
        raise load(fit.refusal)(name)


def _can(kind: str | None, what: str) -> bool:
    """What a kind of model (None: not known yet) can; BM25 finds documents, and nothing else."""
    if kind == BM25:
        return what == "first_stage"
    return kind is None or bool(getattr(MODEL_KINDS.get(kind), what))


def _names(recipe: Recipe, workspace: Workspace, specs: Mapping[str, FieldSpec]) -> dict[str, Any]:
    """The names of what is made: those given, if they are free; else free ones."""
    changes: dict[str, Any] = {}
    for name, spec in specs.items():
        given = getattr(recipe, name)
        if not spec.names or (spec.default == "" and not (given.strip() or recipe.default_name)):
            continue
        records: NamedRecords[Any] = getattr(workspace, _RECORDS[spec.names])
        changes[name] = records.new_name(given, recipe.default_name)
    return changes


# What a data set has to hold.


def judged(reader: DatasetReader, split: str) -> bool:
    """Whether a split has something to measure on: queries, or scored pairs."""
    if reader.counts["splits"].get(split):
        return True
    return bool(reader.counts.get("pairs") and reader.pairs(split).num_rows)


def _need_judged(reader: DatasetReader, split: str) -> None:
    if not judged(reader, split):
        raise no_queries(reader, split)


def _need_queries(reader: DatasetReader, split: str) -> None:
    splits = SPLITS if split == "all" else (split,)
    if not any(reader.counts["splits"].get(name) for name in splits):
        raise no_queries(reader, "train" if split == "all" else split)


def _need_documents(reader: DatasetReader, _split: str) -> None:
    if not reader.counts["documents"]:
        raise BadInput(f"'{reader.name}' has no documents.", "Questions need passages.")


#: What a recipe's field asks of the data set that it names, with the recipe's split ('all' of one
#: that has none): raises :class:`BadInput` where that is not there.
NEEDS: Mapping[Need, Callable[[DatasetReader, str], object]] = {
    "queries": _need_queries,
    "judged": _need_judged,
    "choosing": choosing_split,
    "choosing or test": partial(choosing_split, or_test=True),
    "documents": _need_documents,
}
