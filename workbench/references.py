"""What jobs refer to: the data sets, models, indexes and other jobs that their recipes name.

A recipe's fields say it themselves (``refers_to``), so no list of fields is kept anywhere else.
From here come what a job keeps from being removed, what a rename changes in records, and which
data set a job is about.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from storage.records import Job, JobStatus
from workbench.errors import NotFound
from workbench.recipes.base import Recipe, Referent
from workbench.recipes.describe import FieldSpec, describe
from workbench.tasks import get_task

ACTIVE = (JobStatus.QUEUED, JobStatus.RUNNING)


class _JobRows(Protocol):
    def list(self, status: JobStatus | Collection[JobStatus] | None = None) -> list[Job]: ...


class _Store(Protocol):
    @property
    def jobs(self) -> _JobRows: ...


@dataclass(frozen=True, slots=True)
class Reference:
    """One thing that a recipe names."""

    field: str
    kind: Referent
    name: str


def references(recipe: type[Recipe], values: Mapping[str, Any]) -> Iterator[Reference]:
    """What a recipe with these values names, in the order of its fields. A field that has no
    effect, because the one that it depends on has another value, refers to nothing."""
    specs = _specs(recipe)
    for name, spec in specs.items():
        if spec.refers_to and _matters(spec, specs, values):
            for one in _listed(values.get(name)):
                yield Reference(name, spec.refers_to, one)
    for name, inner in recipe.nested(values).items():
        for found in references(inner, values.get(name) or {}):
            yield replace(found, field=f"{name}.{found.field}")


def referring_fields(recipe: type[Recipe]) -> dict[str, Referent]:
    """The recipe's own fields that refer to something, and to what."""
    return {name: spec.refers_to for name, spec in _specs(recipe).items() if spec.refers_to}


def refers(job: Job, kind: Referent, names: Collection[str]) -> bool:
    """Whether a job's recipe names that thing. ``names``: all that it can be called, its folder
    (as an absolute path) included."""
    recipe = _recipe_of(job)
    if recipe is None:  # A task from elsewhere, of another day: any field may be a reference.
        return not set(names).isdisjoint(_texts(job.recipe))
    return any(
        one.kind == kind and _plain(one.name) in names for one in references(recipe, job.recipe)
    )


def jobs_using(store: _Store, kind: Referent, names: Collection[str]) -> Iterator[Job]:
    """The jobs that run or wait with that thing."""
    return (job for job in store.jobs.list(status=ACTIVE) if refers(job, kind, names))


def in_words(job: Job) -> str:
    """A job as refusals name it."""
    return f"the job '{job.name or job.task}' ({job.id}, {job.status.value})"


def subjects(job: Job, kind: Referent) -> list[str]:
    """What of that kind a job is about: what the first of its fields that refers to one names.
    Later fields name what is beside it, such as a second data set."""
    recipe = _recipe_of(job)
    found = [one for one in references(recipe, job.recipe) if one.kind == kind] if recipe else []
    return [one.name for one in found if one.field == found[0].field]


def renamed(job: Job, kind: Referent, old: str, new: str) -> Job:
    """The job whose recipe calls a thing by its new name."""
    recipe = _recipe_of(job)
    if recipe is None:
        return job
    return replace(job, recipe=_renamed(recipe, job.recipe, kind, old, new))


def _renamed(
    recipe: type[Recipe], values: Mapping[str, Any], kind: Referent, old: str, new: str
) -> dict[str, Any]:
    def changed(value: Any) -> Any:
        if isinstance(value, list):
            return [new if one == old else one for one in value]
        return new if value == old else value

    inner = recipe.nested(values)
    about = {name: changed(values[name]) for name in _of_kind(recipe, kind) if name in values}
    deeper = {
        name: _renamed(inner[name], values[name], kind, old, new)
        for name in inner
        if isinstance(values.get(name), dict)
    }
    return {**values, **about, **deeper}


def _of_kind(recipe: type[Recipe], kind: Referent) -> list[str]:
    return [name for name, one in referring_fields(recipe).items() if one == kind]


@cache
def _specs(recipe: type[Recipe]) -> dict[str, FieldSpec]:
    return {spec.name: spec for spec in describe(recipe)}


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


def _listed(value: Any) -> list[str]:
    return [one for one in (value if isinstance(value, list) else [value]) if one]


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
