"""The task 'train-embedding': an embedding model fine-tuned, measured against the original.

Reads top to bottom: look everything up, measure the original, train, read the best checkpoint
back, register it, say how it went.
"""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from transformers import set_seed

from storage.records import Model
from workbench.data.reader import DatasetReader
from workbench.errors import BadInput, JobCancelled, WorkbenchError
from workbench.evaluation.pool import dev_pool
from workbench.jobs.context import JobContext
from workbench.models.contract import Contract
from workbench.models.load import LoadedEmbedding, load_embedding
from workbench.models.precision import choose, pick_device
from workbench.models.resolve import ResolvedModel, resolve
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.training import outputs
from workbench.training.arguments import training_arguments
from workbench.training.cadence import Cadence
from workbench.training.card import Card, write_card
from workbench.training.checkpoints import checkpoint_folder, copy_model, newest_checkpoint
from workbench.training.collator import Collator
from workbench.training.dev import BASELINE_FILE, Dev
from workbench.training.guard import Guard
from workbench.training.model import ready_for_training, trained_contract
from workbench.training.recorder import Recorder
from workbench.training.rows import TrainingRows, build_rows, load_texts
from workbench.training.sampler import Batches
from workbench.training.trainer import EmbeddingTrainer

#: The saved model's dev value may differ from the one measured in training by this much: the order
#: of floating-point sums is not fixed on every device.
REPRODUCES_WITHIN = 0.01


@dataclass(frozen=True, slots=True)
class Run:
    """What every step of the task needs."""

    recipe: TrainEmbeddingRecipe
    context: JobContext
    reader: DatasetReader
    base: ResolvedModel
    output: Path
    device: str
    precision: str
    dev: Dev | None

    def load(self, model: ResolvedModel) -> LoadedEmbedding:
        return load_embedding(
            model,
            device=self.device,
            precision=self.precision,
            trust_remote_code=self.context.workspace.trust_remote_code,
        )


@dataclass(frozen=True, slots=True)
class Trained:
    """What came out of the step loop."""

    steps: int
    best_step: int
    best: dict[str, float]
    rows: int
    contract: Contract
    history: list[dict[str, Any]]
    notes: tuple[str, ...]


def run(recipe: TrainEmbeddingRecipe, context: JobContext) -> dict[str, Any]:
    """Train and register a model; the result is ``train``'s JSON.

    Raises :class:`TrainingDiverged`, :class:`JobCancelled` (after saving a checkpoint), and what
    bad data or an unusable model raise.
    """
    started = time.monotonic()
    this = _look_up(recipe, context)
    checkpoint = _where_to_go_on(this)
    context.progress(0, None, "", "Loading the model")
    loaded = this.load(this.base)
    baseline = this.dev.baseline(loaded) if this.dev else {}
    trained = _train(this, loaded, checkpoint)
    del loaded
    best = _read_back(this, trained)
    beats_base = best[recipe.metric] > baseline[recipe.metric] if this.dev else None
    model = _register(this, trained, baseline, best, beats_base)
    result = {
        "job": context.job.id,
        "status": "succeeded",
        "model": model.name,
        "model_id": model.id,
        "metric": recipe.metric,
        "baseline": baseline,
        "best": best,
        "beats_base": beats_base,
        "recommended": this.base.name if beats_base is False else model.name,
        "steps": trained.steps,
        "best_step": trained.best_step,
        "rows": trained.rows,
        "dev_queries": len(this.dev.pool.queries) if this.dev else 0,
        "notes": list(trained.notes),
        "seconds": round(time.monotonic() - started, 3),
    }
    outputs.write_json(this.output / outputs.SUMMARY, result)
    return result


def _look_up(recipe: TrainEmbeddingRecipe, context: JobContext) -> Run:
    workspace = context.workspace
    reader = workspace.datasets.read(recipe.dataset, recipe.dataset_version)
    base = resolve(workspace, recipe.model)
    device = pick_device(recipe.device)
    precision = choose(recipe.precision, device)
    if precision == "fp16" and device == "cpu":
        raise BadInput("Training in fp16 needs a GPU.", "Set precision to auto, bf16 or fp32.")
    output = context.folder / "output"
    output.mkdir(parents=True, exist_ok=True)
    dev = None
    if reader.counts["splits"].get("dev"):
        pool = dev_pool(
            reader,
            max_queries=recipe.dev_queries,
            max_documents=recipe.dev_documents,
            seed=recipe.seed,
        )
        dev = Dev(pool, context, output)
    return Run(recipe, context, reader, base, output, device, precision, dev)


def _where_to_go_on(this: Run) -> Path | None:
    """The checkpoint of an earlier attempt; without one everything starts anew."""
    newest = newest_checkpoint(this.output) if this.context.resuming else None
    if newest is None:
        for left in this.output.glob("checkpoint-*"):
            shutil.rmtree(left)
        kept = this.context.resuming and (this.output / BASELINE_FILE).is_file()
        if not kept:
            (this.output / BASELINE_FILE).unlink(missing_ok=True)
        this.context.forget_metrics_after(0 if kept else -1)
        return None
    step, folder = newest
    this.context.forget_metrics_after(step)
    this.context.note(f"Going on from the checkpoint of step {step}.")
    return folder


def _train(this: Run, loaded: LoadedEmbedding, checkpoint: Path | None) -> Trained:
    """The step loop. Leaves checkpoints and logs in the output folder."""
    recipe, context = this.recipe, this.context
    set_seed(recipe.seed)
    contract = trained_contract(loaded.contract, loaded.model, recipe, this.base.name)
    contract = contract.model_copy(update={"dataset_version": this.reader.version})
    model = ready_for_training(loaded.model, contract)
    encoder = loaded.with_contract(contract)
    rows = build_rows(this.reader, recipe)
    for note in rows.notes:
        context.note(note)
    queries, documents = load_texts(this.reader, rows, contract)
    outputs.write_config(this.output, recipe, _resolved(this, rows, contract))

    guard = Guard(fp16=this.precision == "fp16")
    cadence = Cadence(recipe, context, has_dev=this.dev is not None)
    samples = min(recipe.batch_size, len(rows)) * recipe.gradient_accumulation
    recorder = Recorder(context, guard, this.output / outputs.RUNS, samples_per_step=samples)
    dev = this.dev
    trainer = EmbeddingTrainer(
        model,
        contract=contract,
        dev=(lambda step: dev.during_training(encoder, step)) if dev else None,
        on_batch=recorder.on_batch,
        args=training_arguments(recipe, this.output, device=this.device, precision=this.precision),
        train_dataset=Dataset.from_dict(rows.columns),
        loss=MultipleNegativesRankingLoss(model, scale=1.0 / recipe.temperature),
        data_collator=Collator(model.preprocess, queries, documents, contract),
        callbacks=[recorder, cadence],
    )
    trainer.args.batch_sampler = lambda dataset, **options: Batches(rows, dataset, **options)
    context.progress(0, None, "steps", "Training")
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except torch.OutOfMemoryError as error:
        raise WorkbenchError(
            "The GPU's memory is not large enough for this batch.",
            "Halve batch_size (and double gradient_accumulation), or cut passage_max_len.",
        ) from error
    finally:
        recorder.close()
        outputs.write_logs(this.output, trainer.state.log_history)
    steps = trainer.state.global_step
    if cadence.cancelled:
        raise JobCancelled(
            f"Stopped at step {steps} of {trainer.state.max_steps}; a checkpoint was kept.",
            "Resume the job to go on from there.",
        )
    return _trained(this, trainer, cadence, rows, contract)


def _trained(
    this: Run, trainer: EmbeddingTrainer, cadence: Cadence, rows: TrainingRows, contract: Contract
) -> Trained:
    state = trainer.state
    best_step = state.best_global_step if this.dev else state.global_step
    prefix = "eval_"
    best = {
        name.removeprefix(prefix): value
        for entry in state.log_history
        if entry["step"] == best_step
        for name, value in entry.items()
        if name.startswith(prefix)
    }
    notes = list(rows.notes)
    if not this.dev:
        notes.append("The data set has no dev queries: the last step's weights were kept.")
    if cadence.stopped_early:
        notes.append(f"Stopped early at step {state.global_step}: dev did not get better.")
    history = list(state.log_history)
    return Trained(state.global_step, best_step, best, len(rows), contract, history, tuple(notes))


def _resolved(this: Run, rows: TrainingRows, contract: Contract) -> dict[str, Any]:
    return {
        "device": this.device,
        "precision": this.precision,
        "training_rows": len(rows),
        "negatives_per_row": rows.negatives.shape[1],
        "contract": contract.model_dump(mode="json"),
    }


def _read_back(this: Run, trained: Trained) -> dict[str, float]:
    """Load the best checkpoint from disk and see that it is what was measured.

    The trainer's own way of loading the best one hides a failure and keeps the last weights.
    """
    folder = checkpoint_folder(this.output, trained.best_step)
    saved = this.load(resolve(this.context.workspace, str(folder)))
    if this.dev is None:
        return {}
    values = this.dev.check_saved(saved)
    metric = this.recipe.metric
    if abs(values[metric] - trained.best[metric]) > REPRODUCES_WITHIN:
        raise WorkbenchError(
            f"The best checkpoint measures {values[metric]:.4f} after loading, "
            f"but measured {trained.best[metric]:.4f} in training.",
            "The files may be damaged; see whether the disk is full, then train again.",
        )
    return trained.best


def _register(
    this: Run,
    trained: Trained,
    baseline: dict[str, float],
    best: dict[str, float],
    beats_base: bool | None,
) -> Model:
    """The best checkpoint as a model of the workspace, and as ``output/final``."""
    recipe, workspace = this.recipe, this.context.workspace
    # The name was free when the job was submitted; meanwhile somebody may have taken it.
    name = workspace.models.free_name(recipe.name or f"{this.base.name}-{recipe.dataset}")
    card = Card(
        name=name,
        base=this.base.name,
        dataset=recipe.dataset,
        dataset_version=this.reader.version,
        contract=trained.contract,
        before=baseline,
        after=best,
        beats_base=beats_base,
        dev_queries=len(this.dev.pool.queries) if this.dev else 0,
        dev_documents=this.dev.pool.documents if this.dev else 0,
        rows=trained.rows,
        steps=trained.steps,
        best_step=trained.best_step,
        settings=recipe.model_dump(mode="json", exclude={"dataset", "model", "name"}),
    )
    id, folder = workspace.models.new_folder()
    folder.mkdir(parents=True, exist_ok=True)
    copy_model(checkpoint_folder(this.output, trained.best_step), folder)
    write_card(folder, card)
    shutil.copy2(this.output / outputs.CONFIG, folder / outputs.CONFIG)
    final = this.output / outputs.FINAL
    shutil.rmtree(final, ignore_errors=True)
    copy_model(folder, final)
    return workspace.models.add(
        Model(
            id=id,
            name=name,
            kind="embedding",
            path=folder.relative_to(workspace.home).as_posix(),
            base=this.base.name,
            contract=trained.contract.model_dump(mode="json"),
            summary=_summary(this, trained, baseline, best),
            verdict="no-better" if beats_base is False else "",
            job_id=this.context.job.id,
            created_at=time.time(),
        )
    )


def _summary(
    this: Run, trained: Trained, baseline: dict[str, float], best: dict[str, float]
) -> dict[str, Any]:
    return {
        "dataset": this.recipe.dataset,
        "dataset_version": this.reader.version,
        "metric": this.recipe.metric,
        "baseline": baseline,
        "best": best,
        "steps": trained.steps,
        "best_step": trained.best_step,
    }
