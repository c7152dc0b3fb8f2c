"""What jobs refer to: the data sets, models, indexes and other jobs that their recipes name.

A recipe's fields say it themselves (``refers_to``), so no list of fields is kept anywhere else. A
recipe names things by their names, for people. Which ones it means is recorded beside it, by their
ids (``Job.references``): a rename, and another thing of a removed one's name, change nothing of it.
From here come what a job keeps from being removed, what a rename changes in records, and which
data set a job is about.
"""

from collections.abc import Collection, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from storage.records import Job, JobStatus, Model
from workbench.errors import NotFound, WasRemoved
from workbench.recipes.base import DATASET_FREE, MODEL_FREE, Recipe, Referent
from workbench.recipes.describe import FieldSpec, describe
from workbench.tasks import get_task

ACTIVE = (JobStatus.QUEUED, JobStatus.RUNNING)
#: What has an id on record, and the store's table of it. A job is named by its id anyway.
_TABLES = {"dataset": "datasets", "model": "models", "index": "indexes"}
_WORDS = {"dataset": "data set", "model": "model", "index": "index"}


class _JobRows(Protocol):
    def list(self, status: JobStatus | Collection[JobStatus] | None = None) -> list[Job]: ...


class _Store(Protocol):
    @property
    def jobs(self) -> _JobRows: ...


class Thing(Protocol):
    """What can be named, as the store has it on record."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def created_at(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Reference:
    """One thing that a recipe names. ``path``: the field, and where it is a list the place in it;
    of a recipe inside the recipe both begin with the field that holds that one."""

    field: str
    path: str
    kind: Referent
    name: str


def references(
    recipe: type[Recipe], values: Mapping[str, Any], *, idle: bool = False
) -> Iterator[Reference]:
    """What a recipe with these values names, in the order of its fields. A field that has no
    effect, because the one that it depends on has another value, refers to nothing, unless ``idle``
    ones are asked for too."""
    specs = _specs(recipe)
    for name, spec in specs.items():
        if spec.refers_to and (idle or _matters(spec, specs, values)):
            for path, one in _listed(name, values.get(name)):
                if not _is_word(spec, one):
                    yield Reference(name, path, spec.refers_to, one)
    for name, inner in recipe.nested(values).items():
        for found in references(inner, values.get(name) or {}, idle=idle):
            yield replace(found, field=f"{name}.{found.field}", path=f"{name}.{found.path}")


def referring_fields(recipe: type[Recipe]) -> dict[str, Referent]:
    """The recipe's own fields that refer to something, and to what."""
    return {name: spec.refers_to for name, spec in _specs(recipe).items() if spec.refers_to}


def bound(job: Job, store: Any, given: Collection[str] = ()) -> Job:
    """The job with the ids of all that its recipe names and that the workspace has, under the names
    that they have now. What has no id on record yet is found by its name.

    Hub ids, folders, words such as 'bm25', what another job has yet to make, and the packaged
    model, which comes back under its name when it was removed, stay names. Raises
    :class:`WasRemoved` where something is gone, except in the fields ``given``, which the caller
    gives other values.
    """
    recipe = _recipe_of(job)
    if recipe is None:
        return job
    for one in removed(job, store):
        if one.field not in given:
            raise WasRemoved(
                f"The {_WORDS[one.kind]} '{one.name}', which the job was made for, was removed.",
                f"Start a new job with another {_WORDS[one.kind]}.",
            )
    found = {
        one.path: thing
        for one in references(recipe, job.recipe, idle=True)
        if (thing := _meant(job, store, one))
    }
    ids = {path: thing.id for path, thing in found.items()}
    names = {path: thing.name for path, thing in found.items()}
    return replace(job, recipe=_with_names(job.recipe, names), references={**job.references, **ids})


def removed(job: Job, store: Any) -> list[Reference]:
    """What of that which the job's recipe names, in fields that have an effect, is gone."""
    recipe = _recipe_of(job)
    return [
        one
        for one in (references(recipe, job.recipe) if recipe else ())
        if (one.path in job.references or _named(store, one)) and _meant(job, store, one) is None
    ]


def _meant(job: Job, store: Any, one: Reference) -> Thing | None:
    """By its id, where the job has one on record; else by its name, unless the job had begun before
    the one of that name was there."""
    if id := job.references.get(one.path):
        by_id: Thing | None = getattr(store, _TABLES[one.kind]).get(id)
        return by_id
    found = _named(store, one)
    return found if found and _begun_since(job, found) else None


def _named(store: Any, one: Reference) -> Thing | None:
    """What is called so now. The packaged model is named, and not meant by its id."""
    name = one.name.strip()
    if one.kind not in _TABLES or (one.kind == "model" and name.lower() in MODEL_FREE):
        return None
    rows = getattr(store, _TABLES[one.kind])
    found: Thing | None = rows.by_name(name) or rows.get(name)
    return None if _packaged(found) else found


def _packaged(thing: Thing | None) -> bool:
    return isinstance(thing, Model) and thing.summary.get("origin") == "packaged"


def refers(job: Job, kind: Referent, ids: Collection[str], names: Collection[str]) -> bool:
    """Whether a job's recipe names one of these things. ``names``: all that they can be called,
    their folders (as absolute paths) included, where the job has no id on record."""
    recipe = _recipe_of(job)
    if recipe is None:  # A task from elsewhere, of another day: any field may be a reference.
        return not set(names).isdisjoint(_texts(job.recipe))
    named = references(recipe, job.recipe)
    return any(one.kind == kind and _means(job, one, ids, names) for one in named)


def jobs_using(
    store: _Store,
    kind: Referent,
    ids: Collection[str],
    names: Collection[str],
    status: JobStatus | Collection[JobStatus] = ACTIVE,
) -> Iterator[Job]:
    """The jobs, those that run or wait if nothing else is asked for, with one of these things."""
    return (job for job in store.jobs.list(status=status) if refers(job, kind, ids, names))


def in_words(job: Job) -> str:
    """A job as refusals name it."""
    return f"the job '{job.name or job.task}' ({job.id}, {job.status.value})"


def is_about(job: Job, kind: Referent, name: str, thing: Thing | None) -> bool:
    """Whether that is what a job is about: what the first of its fields that refers to one of that
    kind names. Later fields name what is beside it, such as a second data set.

    ``thing``: the one of that name, None where there is none any more. A job that has no id on
    record, and had begun before it was there, is about another one of the name.
    """
    recipe = _recipe_of(job)
    found = [one for one in references(recipe, job.recipe) if one.kind == kind] if recipe else []
    first = [one for one in found if one.field == found[0].field]
    if thing is None:
        return name in [one.name for one in first]
    called = (thing.id, thing.name) if _begun_since(job, thing) else ()
    return any(_means(job, one, (thing.id,), called) for one in first)


def renamed(job: Job, kind: Referent, thing: Thing, name: str) -> Job:
    """The job whose recipe calls a thing by its new name."""
    recipe = _recipe_of(job)
    called = (thing.id, thing.name) if _begun_since(job, thing) else ()
    paths = [
        one.path
        for one in (references(recipe, job.recipe, idle=True) if recipe else ())
        if one.kind == kind and _means(job, one, (thing.id,), called)
    ]
    return replace(
        job,
        recipe=_with_names(job.recipe, dict.fromkeys(paths, name)),
        references={**job.references, **dict.fromkeys(paths, thing.id)},
    )


def _means(job: Job, one: Reference, ids: Collection[str], names: Collection[str]) -> bool:
    id = job.references.get(one.path)
    return id in ids if id else _plain(one.name) in names


def _begun_since(job: Job, thing: Thing) -> bool:
    return job.started_at is None or job.started_at >= thing.created_at


def _with_names(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The values with other names at these paths."""
    changed = deepcopy(dict(values))
    for path, name in names.items():
        place: Any = changed
        *above, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
        for part in above:
            place = place[part]
        place[last] = name
    return changed


@cache
def _specs(recipe: type[Recipe]) -> dict[str, FieldSpec]:
    return {spec.name: spec for spec in describe(recipe)}


def _is_word(spec: FieldSpec, value: str) -> bool:
    """Whether the value is a word of the field's own, and names no data set."""
    words = DATASET_FREE if spec.refers_to == "dataset" and spec.default in DATASET_FREE else ()
    return value.strip().lower() in words


def _matters(spec: FieldSpec, specs: Mapping[str, FieldSpec], values: Mapping[str, Any]) -> bool:
    if spec.depends_on is None:
        return True
    source, wanted = spec.depends_on
    return values.get(source, specs[source].default) in wanted


def _recipe_of(job: Job) -> type[Recipe] | None:
    try:
        return get_task(job.task).recipe
    except NotFound:
        return None


def _listed(field: str, value: Any) -> Iterator[tuple[str, str]]:
    """Each name in a field, after its path."""
    if isinstance(value, list):
        yield from ((f"{field}.{place}", one) for place, one in enumerate(value) if one)
    elif value:
        yield field, value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)


def _plain(name: str) -> str:
    """A name as it is looked up; a folder as its whole path."""
    name = name.strip()
    return str(Path(name).expanduser().resolve()) if name.startswith(("/", "~")) else name
