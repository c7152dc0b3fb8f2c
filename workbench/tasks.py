"""The registry of tasks: a name, its recipe, and where the work is done (loaded on use).

To add a task, write a recipe, a function ``run(recipe, context) -> dict``, and one entry here.
Those that train follow from the kinds of model.
What all recipes are checked for when a job is submitted is read off their fields
(:mod:`workbench.prepare`). ``prepare(recipe, workspace, waits)`` is optional and torch-free: it
comes before, checks what is particular to the task, and returns the recipe; ``waits`` is true when
the job waits for another one, whose outputs need not exist yet.
``advice(job, workspace)`` is optional, too.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from storage.records import Job, SlotKind
from workbench.errors import NotFound
from workbench.model_kinds import MODEL_KINDS, ModelKind
from workbench.recipes.base import Recipe
from workbench.recipes.curve import LearningCurveRecipe
from workbench.recipes.data import (
    AddModelRecipe,
    DataCheckRecipe,
    DataFixRecipe,
    DrawPicturesRecipe,
    ExportDataRecipe,
    HubLookRecipe,
    ImportRecipe,
    MergeDataRecipe,
    ResplitRecipe,
    SampleRecipe,
    SampleRowsRecipe,
)
from workbench.recipes.evaluate import (
    EvaluateRecipe,
    IndexRecipe,
    IndexUpdateRecipe,
    MatrixRecipe,
    MeasureRecipe,
)
from workbench.recipes.merge import BlendRecipe, MergeRecipe
from workbench.recipes.mine import MineRecipe
from workbench.recipes.push import PushDataRecipe, PushModelRecipe
from workbench.recipes.quantize import QuantizeLabRecipe, QuantizeRecipe
from workbench.recipes.synthesize import SynthesizeRecipe

EXTRA_TASKS_VARIABLE = "WORKBENCH_EXTRA_TASKS"

#: Called with the recipe and a :class:`workbench.jobs.reporting.JobContext`.
TaskFunction = Callable[[Any, Any], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of job. ``run`` and ``prepare`` are written as 'module:function'."""

    recipe: type[Recipe]
    run: str
    slot_kind: SlotKind = SlotKind.LIGHT
    prepare: str | None = None
    #: ``advice(job, workspace)``: the settings to try when the job ran out of memory.
    advice: str | None = None
    #: True where a stopped job goes on from its own files instead of starting over.
    resumable: bool = False

    def load_run(self) -> TaskFunction:
        return load(self.run)

    def load_prepare(self) -> Callable[..., Any] | None:
        return load(self.prepare) if self.prepare else None


@dataclass(frozen=True, slots=True)
class Tasks:
    """What tasks do beside their jobs, in one workspace. Their functions are given it whole; here
    it is only passed on, so that nothing of the jobs knows the workspace."""

    workspace: Any

    def prepare(self, recipe: Recipe, *, waits: bool) -> Recipe:
        """The recipe as it is queued; raises what :func:`workbench.prepare.prepare` raises."""
        prepared: Recipe = load(_PREPARE)(recipe, self.workspace, waits)
        return prepared

    def advice(self, job: Job) -> list[dict[str, Any]]:
        """The settings to try in place of a job's that ran out of memory; [] for most tasks."""
        advice = get_task(job.task).advice
        found: list[dict[str, Any]] = load(advice)(job, self.workspace) if advice else []
        return found


#: By its name: it knows the registries, which know the tasks.
_PREPARE = "workbench.prepare:prepare"
_ADVICE = "workbench.checks.memory_suggestions:advice"

_DATA = {
    "import": Task(
        ImportRecipe,
        "workbench.data.job:run_import",
        prepare="workbench.data.import_job:prepare_import",
    ),
    "sample": Task(SampleRecipe, "workbench.data.job:run_sample"),
    "hub-look": Task(
        HubLookRecipe, "workbench.data.hub:run_look", prepare="workbench.data.hub:prepare_look"
    ),
    "draw-pictures": Task(
        DrawPicturesRecipe,
        "workbench.pictures.sample:run",
        prepare="workbench.pictures.sample:prepare",
    ),
    "data-sample": Task(SampleRowsRecipe, "workbench.data.subset:run"),
    "data-merge": Task(
        MergeDataRecipe, "workbench.data.merge:run", prepare="workbench.data.edit:prepare_merge"
    ),
    "data-resplit": Task(
        ResplitRecipe, "workbench.data.resplit:run", prepare="workbench.data.edit:prepare_resplit"
    ),
    "data-export": Task(
        ExportDataRecipe, "workbench.data.export:run", prepare="workbench.data.edit:prepare_export"
    ),
    "data-check": Task(
        DataCheckRecipe,
        "workbench.data_check.check:run",
        prepare="workbench.data_check.check:prepare_check",
    ),
    "data-fix": Task(
        DataFixRecipe,
        "workbench.data_check.fix:run",
        prepare="workbench.data_check.fix:prepare_fix",
    ),
    "add-model": Task(
        AddModelRecipe, "workbench.models.jobs:run_add", prepare="workbench.models.jobs:prepare_add"
    ),
}

_MODELS = {
    "learning-curve": Task(
        LearningCurveRecipe,
        "workbench.auto.learning_curve:run",
        SlotKind.TRAIN,
        prepare="workbench.auto.shares:prepare_learning_curve",
        resumable=True,
    ),
    "measure": Task(
        MeasureRecipe,
        "workbench.training.measure:run",
        SlotKind.TRAIN,
        prepare="workbench.checks.run_facts:prepare_measure",
        advice=_ADVICE,
    ),
    "mine": Task(
        MineRecipe, "workbench.mining.mine:run", prepare="workbench.mining.mine:prepare_mine"
    ),
    "synthesize": Task(
        SynthesizeRecipe,
        "workbench.synthesis.write:run",
        prepare="workbench.synthesis.write:prepare_synthesize",
        resumable=True,
    ),
    "evaluate": Task(
        EvaluateRecipe,
        "workbench.evaluation.job:run",
        prepare="workbench.evaluation.prepare:prepare_evaluate",
        resumable=True,
    ),
    "matrix": Task(
        MatrixRecipe,
        "workbench.evaluation.job:run_matrix",
        prepare="workbench.evaluation.prepare:prepare_matrix",
        resumable=True,
    ),
    "merge": Task(MergeRecipe, "workbench.merging.merge:run"),
    "blend": Task(BlendRecipe, "workbench.merging.blend:run"),
    "push-model": Task(PushModelRecipe, "workbench.takeaway.push:run"),
    "push-data": Task(PushDataRecipe, "workbench.data.push:run"),
    "quantize": Task(
        QuantizeRecipe,
        "workbench.quantization.quantize:run",
        prepare="workbench.quantization.prepare:prepare_quantize",
    ),
    "quantize-lab": Task(
        QuantizeLabRecipe,
        "workbench.quantization.lab:run",
        prepare="workbench.quantization.prepare:prepare_lab",
    ),
    "index": Task(
        IndexRecipe,
        "workbench.search.making:run_build",
        prepare="workbench.search.staleness:prepare_index",
        resumable=True,
    ),
    "index-update": Task(
        IndexUpdateRecipe,
        "workbench.search.update:run",
        prepare="workbench.search.staleness:prepare_update",
        resumable=True,
    ),
}


def all_tasks() -> dict[str, Task]:
    """Every task by its name; one trains each kind of model."""
    return {**_DATA, **{kind.task: _training(kind) for kind in MODEL_KINDS.all()}, **_MODELS}


def _training(kind: ModelKind) -> Task:
    return Task(
        kind.recipe,
        "workbench.auto.seeds:run",
        SlotKind.TRAIN,
        prepare="workbench.training.prepare:prepare_train",
        advice=_ADVICE,
        resumable=True,
    )


def get_task(name: str) -> Task:
    """The task of that name; raises :class:`NotFound` with 'did you mean'."""
    tasks = all_tasks() | _extra_tasks()
    if name not in tasks:
        raise NotFound.among("task", name, tasks)
    return tasks[name]


def _extra_tasks() -> dict[str, Task]:
    """Tasks from elsewhere: a mapping of the same shape named in the environment as 'module:NAME'.
    Workers inherit it."""
    where = os.environ.get(EXTRA_TASKS_VARIABLE)
    return dict(load(where)) if where else {}


def read_recipe(task: str, values: Mapping[str, Any]) -> Recipe:
    """A stored or typed recipe, checked."""
    return get_task(task).recipe.read(dict(values))


def load(where: str) -> Any:
    """What is written as 'module:name'."""
    module, function = where.split(":")
    return getattr(import_module(module), function)
