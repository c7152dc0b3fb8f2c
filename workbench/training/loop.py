"""A training run looked up, made ready and driven: what trains goes through here, whether it keeps
its checkpoints (task.py), only measures its steps (measure.py) or is one of several folds."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import PrinterCallback, set_seed

from workbench.errors import BadInput
from workbench.jobs.reporting import JobContext
from workbench.models.contract import Contract
from workbench.models.locate import locate
from workbench.models.precision import choose, pick_device
from workbench.recipes.train import TrainRecipe
from workbench.training.batches import Batching
from workbench.training.budget import plan
from workbench.training.callbacks import Cadence, Guard, Recorder, hint_for
from workbench.training.distributed import ProcessGroup
from workbench.training.epoch import steps, steps_of_epoch, unseen
from workbench.training.loss import (
    adapted_contract,
    apply_method,
    keeping_for,
    longer_note,
    refuse_frozen,
    share_note,
)
from workbench.training.prepare import early_stopping, idle
from workbench.training.run import RUNS, Place, Prepared, Run, Training, write_logs


def look_up(
    recipe: TrainRecipe, context: JobContext, training: Training, *, measures: bool = True
) -> Run:
    """Data, base model, machine and (``measures``) dev task; nothing is loaded yet."""
    workspace = context.workspace
    reader = workspace.datasets.read(recipe.dataset, recipe.dataset_version)
    base = locate(workspace, recipe.model, recipe.kind)
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
    group = ProcessGroup.meet(device)
    run = Run(recipe, context, reader, base, output, device, place.precision, None, None, group)
    return with_dev(run, training) if measures else run


def with_dev(run: Run, training: Training) -> Run:
    """The run with its dev task, where there is a dev to measure."""
    decided = plan(run.reader, run.recipe, training.start(run.recipe, run.base), run.group.size)
    if decided is None or not run.group.leads:
        return replace(run, plan=decided)
    sized, place = decided.sizes.applied(run.recipe), Place(run.device, run.precision)
    dev = training.dev(sized, run.context, run.reader, run.output, place)
    return replace(run, dev=dev, plan=decided)


def set_up(
    run: Run, training: Training, start: Contract, loaded: Any, cadence: Cadence
) -> tuple[Prepared, Recorder, Contract]:
    """The trainer, ready to go; ``loaded`` is the model where it is in memory already."""
    recipe, context = run.recipe, run.context
    set_seed(recipe.seed)
    if loaded is None:
        loaded = run.load(run.base, start, keeping_for(recipe, run.precision))
        training.begin(run, loaded)
    contract = training.contract(loaded, recipe, run.base.name)
    contract = adapted_contract(contract, recipe, run.precision)
    contract = contract.model_copy(
        update={"kind": recipe.kind, "dataset_version": run.reader.version}
    )
    apply_method(loaded.model, recipe, run.base)
    refuse_frozen(loaded.model)
    recorder = Recorder(
        context,
        Guard(fp16=run.precision == "fp16", hint=hint_for(recipe.chosen_objective)),
        run.output / RUNS,
        samples_per_step=recipe.batch_size,
        leads=run.group.leads,
    )
    set_seed(recipe.seed)
    prepared = training.prepare(run, loaded.with_contract(contract), recorder, cadence)
    _refuse_too_few(run, prepared)
    recorder.samples_per_step = _samples_per_step(run, prepared.batching)
    total = steps(recipe, prepared.batching)
    looks = run.plan.looks(total) if run.plan else 0
    without = idle(recipe, run.group.size) + early_stopping(recipe, looks)
    unused = tuple(f"{one.message} {one.mend}" for one in without)
    more = unseen(recipe, prepared.batching) + (run.plan.notes(total) if run.plan else ())
    longer = longer_note(contract, prepared.lengths)
    prepared = replace(prepared, notes=prepared.notes + more)
    for note in longer + prepared.notes + share_note(loaded.model, recipe) + unused:
        context.note(note)
    # The recorder writes the log, in words.
    prepared.trainer.remove_callback(PrinterCallback)
    return prepared, recorder, contract


def go(run: Run, trainer: Any, recorder: Recorder, checkpoint: Path | None = None) -> None:
    """The trainer's own loop; whatever ends it, the logs are written."""
    run.context.progress(0, None, "steps", "Training")
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    finally:
        recorder.close()
        if run.group.leads:
            write_logs(run.output, trainer.state.log_history)


def _samples_per_step(run: Run, made: Batching) -> int:
    """Queries that one optimizer step sees on average, on all devices together."""
    seen = len(made.rows) - made.left_out
    return max(1, round(seen / steps_of_epoch(run.recipe, made)))


def _refuse_too_few(run: Run, prepared: Prepared) -> None:
    size, batch = run.group.size, run.recipe.batch_size
    if size > 1 and len(prepared.rows) < batch * size:
        raise BadInput(
            f"{len(prepared.rows)} training rows do not fill a batch of {batch} on each of {size} "
            "devices.",
            "Lower batch_size, or train on fewer devices.",
        )
