"""The task 'train-embedding': an embedding model fine-tuned, measured against the original.

Reads top to bottom: look everything up, measure the original, train, read the best checkpoint
back, register it, say how it went.
"""

import shutil
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback, set_seed

from workbench.errors import BadInput, JobCancelled, WorkbenchError
from workbench.evaluation.pool import dev_pool
from workbench.jobs.context import JobContext
from workbench.models.contract import Contract
from workbench.models.load import LoadedEmbedding
from workbench.models.precision import choose, pick_device
from workbench.models.resolve import resolve
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.training import outputs
from workbench.training.arguments import training_arguments
from workbench.training.cadence import Cadence
from workbench.training.checkpoints import newest_checkpoint
from workbench.training.collator import Collator
from workbench.training.dev import BASELINE_FILE, Dev
from workbench.training.guard import Guard
from workbench.training.loss import contrastive_loss
from workbench.training.model import ready_for_training, trained_contract
from workbench.training.recorder import Recorder
from workbench.training.register import read_back, register
from workbench.training.rows import TrainingRows, build_rows, load_texts, own_prompts_note
from workbench.training.run import Run, Trained
from workbench.training.sampler import Batches
from workbench.training.trainer import EmbeddingTrainer


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
    best = read_back(this, trained)
    context.progress(trained.steps, trained.steps, "steps", "Saving the model")
    beats_base = best[recipe.metric] > baseline[recipe.metric] if this.dev else None
    model = register(this, trained, baseline, best, beats_base)
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
    rows = build_rows(this.reader, recipe)
    rows = replace(rows, notes=rows.notes + own_prompts_note(this.reader, contract))
    for note in rows.notes:
        context.note(note)
    outputs.write_config(this.output, recipe, _resolved(this, rows, contract))
    cadence = Cadence(recipe, context, has_dev=this.dev is not None)
    recorder = Recorder(
        context,
        Guard(fp16=this.precision == "fp16"),
        this.output / outputs.RUNS,
        samples_per_step=min(recipe.batch_size, len(rows)) * recipe.gradient_accumulation,
    )
    trainer = make_trainer(this, loaded.with_contract(contract), rows, recorder, cadence)
    _go(this, trainer, recorder, checkpoint)
    if cadence.cancelled:
        raise JobCancelled(
            f"Stopped at step {trainer.state.global_step} of {trainer.state.max_steps}; "
            "a checkpoint was kept.",
            "Resume the job to go on from there.",
        )
    return _trained(this, trainer, cadence, rows, contract)


def make_trainer(
    this: Run, encoder: LoadedEmbedding, rows: TrainingRows, recorder: Recorder, cadence: Cadence
) -> EmbeddingTrainer:
    """The trainer, ready to go; ``encoder`` is the base model under the trained contract."""
    recipe, dev, contract = this.recipe, this.dev, encoder.contract
    model = ready_for_training(encoder.model, contract)
    queries, documents = load_texts(this.reader, rows, contract)
    arguments = training_arguments(
        recipe, this.output, device=this.device, precision=this.precision
    )
    arguments.batch_sampler = partial(Batches, rows)
    trainer = EmbeddingTrainer(
        model,
        contract=contract,
        dev=partial(dev.during_training, encoder) if dev else None,
        on_batch=recorder.on_batch,
        args=arguments,
        train_dataset=Dataset.from_dict(rows.columns),
        loss=contrastive_loss(model, contract, recipe.temperature),
        data_collator=Collator(model.preprocess, queries, documents, contract),
        callbacks=[recorder, cadence],
    )
    # The recorder writes the log, in words.
    trainer.remove_callback(PrinterCallback)
    return trainer


def _go(this: Run, trainer: EmbeddingTrainer, recorder: Recorder, checkpoint: Path | None) -> None:
    this.context.progress(0, None, "steps", "Training")
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
