"""What the steps of one training task hand to each other, and what a kind of model brings."""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol, TypeVar

from sentence_transformers.base.training_args import BaseTrainingArguments

from workbench.comparison.trained import ORIGINAL
from workbench.data.reader import DatasetReader
from workbench.evaluation.cached import with_cache
from workbench.evaluation.candidates import freeze
from workbench.evaluation.named import AUTO
from workbench.evaluation.pool import Pool, dev_pool, whole_pool
from workbench.jobs.reporting import JobContext
from workbench.models.assemble import WeightFormat
from workbench.models.contract import Contract
from workbench.models.load import load_embedding, load_model
from workbench.models.locate import LocalModel, locate
from workbench.models.registry import NAME as PACKAGED
from workbench.recipes.base import MODEL_FREE, Recipe
from workbench.recipes.train import TrainRecipe
from workbench.recipes.train_kinds import TrainCandidatesRecipe, TrainRerankerRecipe
from workbench.training.batches import Batching
from workbench.training.budget import DevPlan
from workbench.training.callbacks import Cadence, Recorder
from workbench.training.dev import Dev, Reranking
from workbench.training.distributed import PATIENCE, ProcessGroup
from workbench.training.epoch import batching, steps
from workbench.training.rows import TrainingRows
from workbench.training.trainer import Batches, DevEvaluation
from workbench.workspace import Workspace

# A recipe as the trainer's arguments. Every choice of ours that is not the library's has a why.

A = TypeVar("A", bound=BaseTrainingArguments)

SCHEDULERS = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}
#: ``warmup_steps`` below 1 is a share of all steps, from 1 on a number of steps.
ALL_OF_THEM = 0.999999


def training_arguments(
    kind: type[A],
    recipe: TrainRecipe,
    output: Path,
    *,
    device: str,
    precision: str,
    group: ProcessGroup,
    steps: int | None = None,
    head: int = 0,
    **more: Any,
) -> A:
    """``device`` is 'cpu' or 'cuda', ``precision`` 'fp32', 'bf16' or 'fp16': both decided.

    ``steps`` of the whole run, where they are known; ``head``: so many first ones train a head
    alone.
    """
    if device != "cpu":
        # Batches are sent from pinned memory; only the step that needs one waits for it.
        more["accelerator_config"] = {"non_blocking": True}
    return kind(
        output_dir=str(output),
        num_train_epochs=recipe.epochs,
        max_steps=recipe.max_steps or -1,
        per_device_train_batch_size=recipe.batch_size,
        gradient_accumulation_steps=recipe.gradient_accumulation,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=SCHEDULERS[recipe.scheduler],
        warmup_steps=warmup_steps(recipe, steps, head),
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        # On a CPU bf16 is refused without it.
        use_cpu=device == "cpu",
        # Among several processes every batch must be whole: gathered tensors have one shape, and
        # a process with one batch more than the others would wait for them for ever.
        dataloader_drop_last=group.size > 1,
        ddp_timeout=int(PATIENCE.total_seconds()),
        dataloader_pin_memory=device != "cpu",
        seed=recipe.seed,
        data_seed=recipe.seed,
        # Each step is a row of the record. The library's filter would hide a NaN loss behind the
        # mean of the others; the guard must see it.
        logging_steps=1,
        logging_nan_inf_filter=False,
        # The cadence (see callbacks.py) decides when to evaluate and when to save. A strategy must
        # be named all the same, else the library keeps no best checkpoint.
        eval_strategy="no",
        save_strategy="steps",
        save_steps=2**31 - 1,
        save_total_limit=recipe.checkpoints_kept,
        metric_for_best_model=f"eval_{recipe.metric}",
        greater_is_better=True,
        # It would swallow a failure to load the best one; the task reads it back.
        load_best_model_at_end=False,
        report_to="none",
        disable_tqdm=True,
        gradient_checkpointing=recipe.gradient_checkpointing,
        # The other way loses the gradients of an adapter over a frozen base.
        gradient_checkpointing_kwargs={"use_reentrant": False},
        **more,
    )


def warmup_steps(recipe: TrainRecipe, steps: int | None, head: int = 0) -> float:
    """Fewer than the run has: the learning rate would be 0 throughout a run of one step else.

    Of the steps after the first ``head``, which are counted in and have a rate of their own.
    """
    if steps is None:
        return min(recipe.warmup, ALL_OF_THEM)
    return max(0, min(head + math.ceil(recipe.warmup * (steps - head)), steps - 1))


@dataclass(frozen=True, slots=True)
class Run:
    """What every step of the task needs."""

    recipe: Any
    context: JobContext
    reader: DatasetReader
    base: LocalModel
    output: Path
    device: str
    precision: str
    #: What is measured on dev; None without dev queries, and in all processes but the first.
    dev: Dev | None
    #: When it is measured; None without dev queries.
    plan: DevPlan | None
    group: ProcessGroup
    #: The recipe that a trial is cut from: it has the rows of the whole run, and their memory.
    whole: Any = None

    @property
    def asks_rows(self) -> Any:
        """The recipe whose rows are trained on."""
        return self.recipe if self.whole is None else self.whole

    def dev_evaluation(self, loaded: Any) -> DevEvaluation | None:
        """Measures ``loaded`` on dev during training; all processes get the first one's values."""
        if self.plan is None:
            return None

        def measure(step: int) -> dict[str, float]:
            assert self.dev is not None, "only the first process measures, and it has a dev"
            return self.dev.during_training(loaded, step)

        return lambda step: self.group.tell(partial(measure, step))

    def load(
        self,
        model: LocalModel,
        contract: Contract | None = None,
        keeping: WeightFormat | None = None,
    ) -> Any:
        """The model in memory, on the run's device and in its precision."""
        return load_model(
            model,
            device=self.device,
            precision=self.precision,
            contract=contract,
            keeping=keeping,
        )


@dataclass(frozen=True, slots=True)
class Head:
    """Parts of a model that its base does not bring, and how many steps they are trained alone."""

    parts: tuple[str, ...] = ()
    steps: int = 0

    def notes(self, total: int) -> tuple[str, ...]:
        if not self.steps:
            return ()
        return (
            "The base model has no head that scores pairs, so a random one was added; in the first "
            f"{self.steps:,} of {total:,} steps it is trained alone (head_first).",
        )


@dataclass(frozen=True, slots=True)
class Prepared:
    """A trainer that is ready to go, and what it trains on."""

    trainer: Any
    rows: TrainingRows
    batching: Batching
    notes: tuple[str, ...] = ()
    #: After how many tokens the run cuts texts; the contract's are those of every later use.
    lengths: dict[str, int] = field(default_factory=dict)
    head: Head = field(default_factory=Head)
    #: The model that checked what was found to train against; '' where none did.
    teacher: str = ""

    @property
    def negatives(self) -> int:
        return self.rows.width


class Training(Protocol):
    """What differs from training one kind of model to the other. Each has a module of its own."""

    def start(self, recipe: Any, base: LocalModel) -> Contract:
        """The contract that the base is loaded with."""
        ...

    def brings(self, recipe: Any, base: LocalModel) -> bool:
        """Whether the base is of the kind by its own weights: it can be used, and measured, without
        any training."""
        ...

    def dev(
        self, recipe: Any, context: JobContext, reader: DatasetReader, output: Path, place: "Place"
    ) -> Dev:
        """What is measured on the dev split, and what with; the recipe says how much of it."""
        ...

    def contract(self, loaded: Any, recipe: Any, base_name: str) -> Contract:
        """The contract of the trained model."""
        ...

    def begin(self, run: Run, loaded: Any) -> None:
        """What the base is given, in place, before it is measured and trained."""
        ...

    def prepare(self, run: Run, loaded: Any, recorder: Recorder, cadence: Cadence) -> Prepared:
        """The trainer around a loaded model, whose contract is that of the trained one."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where to compute, and in what."""

    device: str
    precision: str


@dataclass(frozen=True, slots=True)
class Trained:
    """What came out of the step loop."""

    steps: int
    best_step: int
    best: dict[str, float]
    rows: int
    #: Of these, how many each epoch does not see.
    left_out: int
    contract: Contract
    history: list[dict[str, Any]]
    notes: tuple[str, ...]
    lengths: dict[str, int]
    #: How often it was measured on dev while it trained: the best of them was taken.
    looks: int


@dataclass(frozen=True, slots=True)
class Tested:
    """A one-sided test of the trained model against the original, on queries that were not trained
    on: ``groups`` of them share relevant documents, and ``folds`` models were measured."""

    p_value: float
    #: Of the difference, by the metric; None where there are too few groups for any.
    ci95: tuple[float, float] | None
    better: bool
    groups: int
    folds: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the run compares: ``baseline`` is what must be beaten, ``untrained`` the model before
    the first step (the same thing for embedding models), ``best`` the chosen checkpoint.

    Where ``tested``, these are means over queries that each were measured by a model which was
    trained without them. All are empty where nothing was measured.
    """

    metric: str
    baseline: dict[str, float]
    untrained: dict[str, float]
    best: dict[str, float]
    #: 'the original', or the first stage by name.
    baseline_name: str
    #: By so many queries over so many documents.
    queries: int = 0
    documents: int = 0
    tested: Tested | None = None

    @classmethod
    def unmeasured(cls, metric: str, instead: str = "") -> "Outcome":
        """Of a run without queries to measure on. ``instead``: what is used until the model has
        been compared, where that is not the base."""
        return cls(metric, {}, {}, {}, instead)

    @property
    def beats_base(self) -> bool | None:
        """Whether the model is better than the baseline: by the test where one was made, else the
        best checkpoint by its value. None where nothing was measured."""
        if self.tested:
            return self.tested.better
        return self.best[self.metric] > self.baseline[self.metric] if self.best else None

    @property
    def verdict(self) -> str:
        """'' for a model worth having; 'no-better' than the original, or 'below-first-stage'."""
        if not self.best:
            return ""
        if not self.beats_base:
            return "no-better" if self.baseline_name == ORIGINAL else "below-first-stage"
        if self.tested:
            return ""
        return "" if self.best[self.metric] > self.untrained[self.metric] else "no-better"

    @property
    def evidence(self) -> dict[str, Any]:
        """What a result says of the test; null where none was made."""
        tested = self.tested
        if tested is None:
            return {"p_value": None, "ci95": None}
        return {
            "p_value": tested.p_value,
            "ci95": list(tested.ci95) if tested.ci95 else None,
            "groups": tested.groups,
            "folds": tested.folds,
        }


# The first stage of kinds that order candidates: its model, and the dev task.


def reports(context: JobContext, message: str) -> dict[str, Any]:
    """Progress and cancelling for what a first stage does."""

    def progress(done: int, total: int) -> None:
        context.progress(done, total, "texts", message)

    return {"progress": progress, "stop": context.check_cancelled}


def encoder_of(
    workspace: Workspace, name: str, place: Place, tell: Callable[[str], None] | None = None
) -> Any:
    """The embedding model of that name, with what it encoded before; None for the words that name
    none. ``tell`` gets remarks on how it is computed."""
    if not name or name in MODEL_FREE:
        return None
    local = locate(workspace, name)
    loaded = load_embedding(local, device=place.device, precision=place.precision)
    return with_cache(loaded, local, workspace, tell=tell)


def teacher_of(recipe: TrainRerankerRecipe, workspace: Workspace) -> str:
    """The name of the model that checks what the first stage finds; '' where none does."""
    if recipe.teacher != AUTO:
        return recipe.teacher
    if recipe.first_stage not in MODEL_FREE:
        return recipe.first_stage
    return PACKAGED if workspace.models.exists(PACKAGED) else ""


def reranking_dev(
    recipe: TrainCandidatesRecipe,
    context: JobContext,
    reader: DatasetReader,
    output: Path,
    place: Place,
) -> Dev:
    """The dev queries with their candidates, frozen before the first step."""
    pool = whole_pool(
        reader,
        "dev",
        max_queries=recipe.dev_queries,
        seed=recipe.seed,
        exclude=recipe.exclude_query_document,
    )
    frozen = freeze(
        reader,
        "dev",
        pool,
        first_stage=recipe.first_stage,
        k=recipe.candidates or recipe.most_candidates,
        encoder=encoder_of(context.workspace, recipe.first_stage, place, context.note),
        **reports(context, "Finding candidates for dev"),
    )
    return Dev(Reranking(frozen), context, output)


# The files a run leaves in its output folder, beside the checkpoints and TensorBoard's events.

LOGS = "detailed_training_logs.json"
LOSSES = "training_losses.json"
SUMMARY = "training_summary_report.json"
CONFIG = "training_config.json"
FINAL = "final"
RUNS = "runs"


def write_json(path: Path, value: Any) -> None:
    """Written beside and renamed, so that a reader never sees half of it."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    beside.replace(path)


def write_config(output: Path, recipe: Recipe, resolved: Mapping[str, Any]) -> None:
    """The recipe, and what 'auto' and empty fields came to."""
    write_json(output / CONFIG, {**recipe.model_dump(mode="json"), "resolved": dict(resolved)})


def write_logs(output: Path, history: Iterable[Mapping[str, Any]]) -> None:
    """Every step's and every dev evaluation's numbers, and the mean loss of each epoch."""
    entries = [dict(entry) for entry in history]
    write_json(output / LOGS, entries)
    write_json(output / LOSSES, mean_losses(entries))


def mean_losses(entries: Iterable[Mapping[str, Any]]) -> list[dict[str, float]]:
    """``[{"epoch": 1, "loss": ..., "steps": ...}, ...]``, epochs from 1 on."""
    by_epoch: dict[int, list[float]] = {}
    for entry in entries:
        if "loss" in entry and "epoch" in entry:
            # The end of the first epoch is 1.0; rounding must not move it into the second.
            epoch = max(1, ceil(entry["epoch"] - 1e-9))
            by_epoch.setdefault(epoch, []).append(float(entry["loss"]))
    return [
        {"epoch": epoch, "loss": fmean(losses), "steps": len(losses)}
        for epoch, losses in sorted(by_epoch.items())
    ]


# What the kinds have in common: the trainer's arguments with the run's batches, and the pool that
# models of vectors search on dev.


def batched_arguments(
    kind: type[A], run: Run, rows: TrainingRows, *, head: float = 0.0, **more: Any
) -> tuple[A, Batching]:
    """The trainer's arguments, with the run's batches of these rows. ``head``: the share of the
    steps in which a head is trained alone."""
    made = batching(run.reader, rows, run.recipe, run.group.size)
    total = steps(run.recipe, made)
    arguments = training_arguments(
        kind,
        run.recipe,
        run.output,
        device=run.device,
        precision=run.precision,
        group=run.group,
        steps=total,
        head=round(head * total),
        **more,
    )
    arguments.batch_sampler = partial(Batches, made)
    return arguments, made


def searched(recipe: TrainRecipe, reader: DatasetReader) -> Pool:
    """The dev queries and the documents that they search."""
    return dev_pool(
        reader,
        max_queries=recipe.dev_queries,
        max_documents=recipe.dev_documents,
        seed=recipe.seed,
        exclude=recipe.exclude_query_document,
    )
