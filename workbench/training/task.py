"""The flow of every training task, whatever the kind of model.

Reads top to bottom: look everything up, measure before the first step, train, read the best
checkpoint back, register it, say how it went.
"""

import gc
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import PrinterCallback, set_seed

from workbench.errors import BadInput, JobCancelled
from workbench.evaluation.entry import lengths_of
from workbench.jobs.context import JobContext
from workbench.models.contract import Contract
from workbench.models.fetch import fetched
from workbench.models.precision import choose, pick_device
from workbench.models.resolve import resolve
from workbench.recipes.idle import early_stopping, idle
from workbench.recipes.train import TrainRecipe
from workbench.training import outputs
from workbench.training.batches import Batching
from workbench.training.cadence import Cadence
from workbench.training.checkpoints import newest_checkpoint
from workbench.training.dev import BASELINE_FILE
from workbench.training.epoch import steps, steps_of_epoch, unseen
from workbench.training.guard import Guard, hint_for
from workbench.training.method import (
    adapted_contract,
    apply_method,
    keeping_for,
    refuse_frozen,
    share_note,
)
from workbench.training.model import longer_note
from workbench.training.prepare import rows_of
from workbench.training.recorder import Recorder
from workbench.training.register import read_back, register
from workbench.training.run import Kind, Outcome, Place, Prepared, Run, Trained
from workbench.training.together import Together


def train(recipe: Any, context: JobContext, kind: Kind) -> dict[str, Any]:
    """Train and register a model; the result is ``train``'s JSON.

    Raises :class:`TrainingDiverged`, :class:`JobCancelled` (after saving a checkpoint), and what
    bad data or an unusable model raise.
    """
    started = time.monotonic()
    this = look_up(recipe, context, kind)
    checkpoint = this.together.tell(lambda: _where_to_go_on(this))
    start = kind.start(recipe, this.base)
    context.progress(0, None, "", "Loading the model")
    outcome, loaded = _before(this, start)
    trained = _train(this, kind, start, loaded, checkpoint)
    del loaded
    # The trainer and what it trained stand in circles of references; read_back loads another
    # model, which must not find the first one and its optimizer still in a GPU's memory.
    gc.collect()
    this.together.part()
    if not this.together.leads:
        return {}
    best = read_back(this, trained)
    context.progress(trained.steps, trained.steps, "steps", "Saving the model")
    outcome = Outcome(
        recipe.metric, outcome.baseline, outcome.untrained, best, outcome.baseline_name
    )
    model = register(this, trained, outcome)
    result = {
        "job": context.job.id,
        "status": "succeeded",
        "kind": recipe.kind,
        "method": recipe.method,
        "model": model.name,
        "model_id": model.id,
        "metric": recipe.metric,
        "baseline": outcome.baseline,
        "baseline_name": outcome.baseline_name,
        "untrained": outcome.untrained,
        "best": best,
        "beats_base": outcome.beats_base,
        "verdict": outcome.verdict,
        "recommended": _recommended(this, outcome, model.name),
        "steps": trained.steps,
        "best_step": trained.best_step,
        "rows": trained.rows,
        "rows_left_out": trained.left_out,
        **lengths_of(trained.contract),
        "training_lengths": trained.lengths,
        **(this.dev.excluding if this.dev else {}),
        "dev_queries": this.dev.ground.queries if this.dev else 0,
        "notes": list(trained.notes),
        "seconds": round(time.monotonic() - started, 3),
    }
    outputs.write_json(this.output / outputs.SUMMARY, result)
    return result


def look_up(recipe: TrainRecipe, context: JobContext, kind: Kind, *, measures: bool = True) -> Run:
    """Data, base model, machine and (``measures``) dev ground; nothing is loaded yet."""
    workspace = context.workspace
    reader = workspace.datasets.read(recipe.dataset, recipe.dataset_version)
    base = fetched(workspace, resolve(workspace, recipe.model), recipe.kind)
    if recipe.method != "full" and base.base is not None:
        raise BadInput(
            f"'{base.name}' is an adapter itself; an adapter on an adapter cannot be saved.",
            "Merge it into its base first, or train in full.",
        )
    place = Place(device := pick_device(recipe.device), choose(recipe.precision, device))
    if place.precision == "fp16" and device == "cpu":
        raise BadInput("Training in fp16 needs a GPU.", "Set precision to auto, bf16 or fp32.")
    output = context.folder / "output"
    output.mkdir(parents=True, exist_ok=True)
    together = Together.meet(device)
    has_dev = measures and bool(rows_of(reader, recipe, "dev"))
    dev = None
    if has_dev and together.leads:
        dev = kind.dev(recipe, context, reader, output, place)
    return Run(
        recipe, context, reader, base, output, device, place.precision, dev, has_dev, together
    )


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


def _before(this: Run, start: Contract | None) -> tuple[Outcome, Any]:
    """What was measured before the first step, and the model in full precision.

    The model is None where training loads it anew, with its weights kept otherwise.
    """
    full = this.recipe.method == "full"
    # A fresh head or projection is drawn from the seed: the same one is measured and trained.
    set_seed(this.recipe.seed)
    if this.dev is None:
        return Outcome(this.recipe.metric, {}, {}, {}, ""), None
    loaded = []

    def load() -> Any:
        loaded.append(this.load(this.base, start))
        return loaded[0]

    baseline, untrained = this.dev.before(load)
    outcome = Outcome(this.recipe.metric, baseline, untrained, {}, this.dev.ground.baseline_name)
    return outcome, loaded[0] if full and loaded else None


def _train(
    this: Run, kind: Kind, start: Contract | None, loaded: Any, checkpoint: Path | None
) -> Trained:
    """The step loop. Leaves checkpoints and logs in the output folder."""
    cadence = Cadence(this.recipe, this.context, this.together, has_dev=this.has_dev)
    prepared, recorder, contract = set_up(this, kind, start, loaded, cadence)
    if this.together.leads:
        outputs.write_config(this.output, this.recipe, _resolved(this, prepared, contract))
    go(this, prepared.trainer, recorder, checkpoint)
    if cadence.cancelled:
        state = prepared.trainer.state
        raise JobCancelled(
            f"Stopped at step {state.global_step} of {state.max_steps}; a checkpoint was kept.",
            "Resume the job to go on from there.",
        )
    return _trained(this, prepared, cadence, contract)


def set_up(
    this: Run, kind: Kind, start: Contract | None, loaded: Any, cadence: Cadence
) -> tuple[Prepared, Recorder, Contract]:
    """The trainer, ready to go; ``loaded`` is the model where it is in memory already."""
    recipe, context = this.recipe, this.context
    set_seed(recipe.seed)
    if loaded is None:
        loaded = this.load(this.base, start, keeping_for(recipe, this.precision))
    contract = kind.contract(loaded, recipe, this.base.name)
    contract = adapted_contract(contract, recipe, this.precision)
    contract = contract.model_copy(update={"dataset_version": this.reader.version})
    apply_method(loaded.model, recipe, this.base)
    refuse_frozen(loaded.model)
    recorder = Recorder(
        context,
        Guard(fp16=this.precision == "fp16", hint=hint_for(getattr(recipe, "objective", ""))),
        this.output / outputs.RUNS,
        samples_per_step=recipe.batch_size,
        leads=this.together.leads,
    )
    set_seed(recipe.seed)
    prepared = kind.prepare(this, loaded.with_contract(contract), recorder, cadence)
    _refuse_too_few(this, prepared)
    recorder.samples_per_step = _samples_per_step(this, prepared.batching)
    total = steps(recipe, prepared.batching)
    without = idle(recipe, this.together.size) + early_stopping(recipe, total, dev=this.has_dev)
    unused = tuple(f"{one.message} {one.mend}" for one in without)
    never = unseen(recipe, prepared.batching)
    longer = longer_note(contract, prepared.lengths)
    prepared = replace(prepared, notes=prepared.notes + never)
    for note in longer + prepared.notes + share_note(loaded.model, recipe) + unused:
        context.note(note)
    # The recorder writes the log, in words.
    prepared.trainer.remove_callback(PrinterCallback)
    return prepared, recorder, contract


def go(this: Run, trainer: Any, recorder: Recorder, checkpoint: Path | None = None) -> None:
    """The trainer's own loop; whatever ends it, the logs are written."""
    this.context.progress(0, None, "steps", "Training")
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    finally:
        recorder.close()
        if this.together.leads:
            outputs.write_logs(this.output, trainer.state.log_history)


def _trained(this: Run, prepared: Prepared, cadence: Cadence, contract: Contract) -> Trained:
    state = prepared.trainer.state
    best_step = state.best_global_step if this.has_dev else state.global_step
    prefix = "eval_"
    best = {
        name.removeprefix(prefix): value
        for entry in state.log_history
        if entry["step"] == best_step
        for name, value in entry.items()
        if name.startswith(prefix)
    }
    notes = [*longer_note(contract, prepared.lengths), *prepared.notes]
    if not this.has_dev:
        notes.append("The data set has no dev queries: the last step's weights were kept.")
    if cadence.stopped_early:
        notes.append(f"Stopped early at step {state.global_step}: dev did not get better.")
    history = list(state.log_history)
    return Trained(
        state.global_step,
        best_step,
        best,
        len(prepared.rows),
        prepared.batching.left_out,
        contract,
        history,
        tuple(notes),
        prepared.lengths,
    )


def _samples_per_step(this: Run, made: Batching) -> int:
    """Queries that one optimizer step sees on average, on all devices together."""
    seen = len(made.rows) - made.left_out
    return max(1, round(seen / steps_of_epoch(this.recipe, made)))


def _refuse_too_few(this: Run, prepared: Prepared) -> None:
    size, batch = this.together.size, this.recipe.batch_size
    if size > 1 and len(prepared.rows) < batch * size:
        raise BadInput(
            f"{len(prepared.rows)} training rows do not fill a batch of {batch} on each of {size} "
            "devices.",
            "Lower batch_size, or train on fewer devices.",
        )


def _recommended(this: Run, outcome: Outcome, name: str) -> str:
    """The model to use: the trained one, the original, or the first stage alone."""
    if outcome.verdict == "no-better":
        return this.base.name
    return outcome.baseline_name if outcome.verdict else name


def _resolved(this: Run, prepared: Prepared, contract: Contract) -> dict[str, Any]:
    return {
        "device": this.device,
        "devices": this.together.size,
        "precision": this.precision,
        "training_rows": len(prepared.rows),
        "steps": steps(this.recipe, prepared.batching),
        "negatives_per_row": prepared.negatives,
        "training_lengths": prepared.lengths,
        "contract": contract.model_dump(mode="json"),
    }
