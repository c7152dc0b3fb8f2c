"""The flow of every training task, whatever the kind of model.

Reads top to bottom: look everything up, decide what is left to decide, measure before the first
step, train, read the best checkpoint back, register it, say how it went.
"""

import gc
import json
import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from transformers import set_seed

from storage.records import Model
from workbench.auto.forgetting import with_forgetting
from workbench.auto.run import Decided, decide
from workbench.comparison.table import excluded
from workbench.errors import JobCancelled, WorkbenchError
from workbench.evaluation.results import lengths_of
from workbench.jobs.files import write_made
from workbench.jobs.reporting import JobContext
from workbench.models.contract import Contract
from workbench.models.inspect import read_json
from workbench.models.locate import LocalModel, locate_folder
from workbench.recipes.train import TrainRecipe
from workbench.training.averaging import Averaging, Blending
from workbench.training.callbacks import Cadence
from workbench.training.card import Card, write_card
from workbench.training.checkpoints import (
    checkpoint_folder,
    copy_model,
    newest_checkpoint,
    remove_unfinished,
)
from workbench.training.dev import BASELINE_FILE
from workbench.training.epoch import steps
from workbench.training.loop import go, look_up, set_up
from workbench.training.loss import (
    longer_note,
)
from workbench.training.run import (
    CONFIG,
    FINAL,
    SUMMARY,
    Outcome,
    Prepared,
    Run,
    Trained,
    Training,
    write_config,
    write_json,
)

# After the last step: the best checkpoint is read back, checked, and becomes a model.

#: The saved model's dev value may differ from the one measured in training by this much, or by what
#: one of few queries counts, up to the second: the order of floating-point sums is not fixed on
#: every device.
REPRODUCES_WITHIN, AT_MOST_WITHIN = 0.01, 0.02


def read_back(run: Run, trained: Trained) -> dict[str, float]:
    """Load the best checkpoint from disk and see that it is what was measured.

    The trainer's own way of loading the best one hides a failure and keeps the last weights.
    """
    folder = checkpoint_folder(run.output, trained.best_step)
    # Loaded as anybody would load it, but an adapter's base is the one that was trained on.
    workspace = run.context.workspace
    saved = run.load(locate_folder(workspace, folder, contract=trained.contract, base=run.base))
    if run.dev is None:
        return {}
    values = run.dev.check_saved(saved)
    metric = run.recipe.metric
    within = REPRODUCES_WITHIN
    if not run.recipe.on_pairs:
        within = max(within, min(AT_MOST_WITHIN, 1 / run.dev.dev_task.queries))
    if abs(values[metric] - trained.best[metric]) > within:
        raise WorkbenchError(
            f"The best checkpoint measures {values[metric]:.4f} after loading, "
            f"but measured {trained.best[metric]:.4f} in training.",
            "The files may be damaged; see whether the disk is full, then train again.",
        )
    return trained.best


def register(decided: Decided, trained: Trained, outcome: Outcome) -> Model:
    """The best checkpoint as a model of the workspace, and as ``output/final``."""
    run = decided.run
    recipe, workspace = run.recipe, run.context.workspace
    # The name was free when the job was submitted; meanwhile somebody may have taken it.
    name = workspace.models.free_name(recipe.name or f"{run.base.name}-{recipe.dataset}")
    card = Card(
        name=name,
        base=run.base.name,
        dataset=recipe.dataset,
        dataset_version=run.reader.version,
        contract=trained.contract,
        method=recipe.method,
        before=outcome.untrained,
        baseline=outcome.baseline,
        baseline_name=outcome.baseline_name,
        after=outcome.best,
        verdict=outcome.verdict,
        dev_queries=outcome.queries,
        dev_documents=outcome.documents,
        rows=trained.rows,
        steps=trained.steps,
        best_step=trained.best_step,
        trained_at=trained.lengths,
        excluded=tuple(excluded(run.dev.excluding)) if run.dev else (),
        settings=recipe.model_dump(mode="json", exclude={"dataset", "model", "name"}),
        found=_found(decided, trained, outcome, name),
    )
    id, folder = workspace.models.new_folder()
    folder.mkdir(parents=True, exist_ok=True)
    copy_model(checkpoint_folder(run.output, trained.best_step), folder)
    _name_base(folder, run.base)
    write_card(folder, card)
    shutil.copy2(run.output / CONFIG, folder / CONFIG)
    final = run.output / FINAL
    shutil.rmtree(final, ignore_errors=True)
    copy_model(folder, final)
    model = Model(
        id=id,
        name=name,
        kind=trained.contract.kind,
        path=folder.relative_to(workspace.home).as_posix(),
        base=run.base.name,
        contract=trained.contract.model_dump(mode="json"),
        summary={**_summary(run, trained, outcome), **decided.result()},
        verdict=outcome.verdict,
        job_id=run.context.job.id,
        created_at=time.time(),
    )
    # Counted from the attempt's start: a job that is killed after the record ends with this.
    began = run.context.job.started_at or model.created_at
    result = result_of(decided, trained, outcome, model, model.created_at - began)
    write_json(run.output / SUMMARY, result)
    write_made(run.context.folder, model.path, result)
    return workspace.models.add(model)


def _found(decided: Decided, trained: Trained, outcome: Outcome, name: str) -> dict[str, Any]:
    """What the run found: by which the result, the card and the page say whether the model is
    better, how that was told, and what was decided (:mod:`workbench.comparison.trained`)."""
    return {
        "model": name,
        "metric": outcome.metric,
        "baseline": outcome.baseline,
        "baseline_name": outcome.baseline_name,
        "untrained": outcome.untrained,
        "best": outcome.best,
        "beats_base": outcome.beats_base,
        **outcome.evidence,
        "dev_queries": outcome.queries,
        "looks": trained.looks,
        "verdict": outcome.verdict,
        "recommended": _recommended(decided, outcome, name),
        **({"unmeasured": " ".join(decided.notes[:1])} if _is_untested(decided) else {}),
        **decided.result(),
    }


def _name_base(folder: Path, base: LocalModel) -> None:
    """A hub model by its id in an adapter's file: the cache lies elsewhere on other machines.

    Only now: given the id while it trains, peft asks the hub at each checkpoint.
    """
    path = folder / "adapter_config.json"
    if base.hub_id and path.is_file():
        named = {**read_json(path), "base_model_name_or_path": base.hub_id}
        path.write_text(json.dumps(named, indent=2), encoding="utf-8")


def _summary(run: Run, trained: Trained, outcome: Outcome) -> dict[str, Any]:
    # An adapter needs its base: the workspace keeps it while the adapter is there.
    needs = {} if run.recipe.method == "full" else {"base_id": run.base.model_id}
    return {
        "dataset": run.recipe.dataset,
        "dataset_version": run.reader.version,
        "method": run.recipe.method,
        "metric": run.recipe.metric,
        "baseline": outcome.baseline,
        "baseline_name": outcome.baseline_name,
        "untrained": outcome.untrained,
        "best": outcome.best,
        **outcome.evidence,
        "dev_queries": outcome.queries,
        "looks": trained.looks,
        "steps": trained.steps,
        "best_step": trained.best_step,
        "training_lengths": trained.lengths,
        **(run.dev.excluding if run.dev else {}),
        **needs,
    }


def run(recipe: TrainRecipe, context: JobContext) -> dict[str, Any]:
    """A task that trains: a model of the recipe's kind; the result is :func:`train`'s JSON."""
    kind = recipe.model_kind
    return train(recipe, context, kind.load(kind.training)())


def train(recipe: Any, context: JobContext, training: Training) -> dict[str, Any]:
    """Train and register a model; the result says how it went.

    Raises :class:`TrainingDiverged`, :class:`JobCancelled` (after saving a checkpoint), and what
    bad data or an unusable model raise.
    """
    started = time.monotonic()
    run = look_up(recipe, context, training, measures=not recipe.decides)
    decided = decide(run, training)
    run = decided.run
    checkpoint = run.group.tell(lambda: _where_to_go_on(run))
    start = training.start(run.recipe, run.base)
    run.context.progress(0, None, "", "Loading the model")
    outcome, loaded = _before(decided, training, start)
    trained = _train(decided, training, start, loaded, checkpoint)
    del loaded
    # The trainer and what it trained stand in circles of references; read_back loads another
    # model, which must not find the first one and its optimizer still in a GPU's memory.
    gc.collect()
    run.group.part()
    if not run.group.leads:
        return {}
    outcome = _after(run, trained, outcome)
    decided = with_forgetting(decided, trained, outcome)
    run.context.progress(trained.steps, trained.steps, "steps", "Saving the model")
    model = register(decided, trained, outcome)
    result = result_of(decided, trained, outcome, model, time.monotonic() - started)
    write_json(run.output / SUMMARY, result)
    return result


def result_of(
    decided: Decided, trained: Trained, outcome: Outcome, model: Model, seconds: float
) -> dict[str, Any]:
    """How a run went, in JSON, of which ``model`` is registered."""
    run, recipe = decided.run, decided.run.recipe
    return {
        "job": run.context.job.id,
        "status": "succeeded",
        "kind": recipe.kind,
        "method": recipe.method,
        "model_id": model.id,
        **_found(decided, trained, outcome, model.name),
        "steps": trained.steps,
        "best_step": trained.best_step,
        "rows": trained.rows,
        "rows_left_out": trained.left_out,
        **lengths_of(trained.contract),
        "training_lengths": trained.lengths,
        **(run.dev.excluding if run.dev else {}),
        "notes": list(trained.notes),
        "seconds": round(seconds, 3),
    }


def _where_to_go_on(run: Run) -> Path | None:
    """The checkpoint of an earlier attempt; without one everything starts anew."""
    newest = newest_checkpoint(run.output) if run.context.resuming else None
    if newest is None:
        remove_unfinished(run.output)
        for left in run.output.glob("checkpoint-*"):
            shutil.rmtree(left)
        kept = run.context.resuming and (run.output / BASELINE_FILE).is_file()
        if not kept:
            (run.output / BASELINE_FILE).unlink(missing_ok=True)
        run.context.forget_metrics_after(0 if kept else -1)
        return None
    step, folder = newest
    run.context.forget_metrics_after(step)
    run.context.note(f"Going on from the checkpoint of step {step}.")
    return folder


def _before(decided: Decided, training: Training, start: Contract) -> tuple[Outcome, Any]:
    """What was measured before the first step, and the model in full precision.

    The model is None where training loads it anew, with its weights kept otherwise, and where
    nothing is measured now.
    """
    run = decided.run
    full = run.recipe.method == "full"
    # A fresh head or projection is drawn from the seed: the same one is measured and trained.
    set_seed(run.recipe.seed)
    if run.dev is None:
        return decided.outcome or Outcome.unmeasured(run.recipe.metric), None
    loaded = []

    def load() -> Any:
        loaded.append(run.load(run.base, start))
        training.begin(run, loaded[0])
        return loaded[0]

    baseline, untrained = run.dev.before(load)
    task = run.dev.dev_task
    about = (task.baseline_name, task.queries, task.documents)
    outcome = Outcome(run.recipe.metric, baseline, untrained, {}, *about)
    return outcome, loaded[0] if full and loaded else None


def _after(run: Run, trained: Trained, outcome: Outcome) -> Outcome:
    """The same with what the best checkpoint is worth, as it was read back."""
    best = read_back(run, trained)
    return replace(outcome, best=best) if run.dev else outcome


def _train(
    decided: Decided, training: Training, start: Contract, loaded: Any, checkpoint: Path | None
) -> Trained:
    """The step loop. Leaves checkpoints and logs in the output folder."""
    run = decided.run
    cadence = Cadence(run.recipe, run.context, run.group, run.plan)
    prepared, recorder, contract = set_up(run, training, start, loaded, cadence)
    trainer = prepared.trainer
    if run.recipe.average_weights:
        trainer.add_callback(Averaging(run.recipe.average_weights, run.output))
    if decided.blend != 1.0:
        # Made now: a checkpoint to go on from is loaded into the model later.
        trainer.add_callback(Blending(trainer.model, decided.blend))
    if run.group.leads:
        write_config(run.output, run.recipe, _resolved(run, prepared, contract))
    go(run, trainer, recorder, checkpoint)
    if cadence.cancelled:
        state = trainer.state
        raise JobCancelled(
            f"Stopped at step {state.global_step} of {state.max_steps}; a checkpoint was saved.",
            "Resume the job to go on from there.",
        )
    return _trained(decided, prepared, cadence, contract)


def _trained(decided: Decided, prepared: Prepared, cadence: Cadence, contract: Contract) -> Trained:
    run = decided.run
    state = prepared.trainer.state
    best_step = state.best_global_step if run.plan else state.global_step
    prefix = "eval_"
    best = {
        name.removeprefix(prefix): value
        for entry in state.log_history
        if entry["step"] == best_step
        for name, value in entry.items()
        if name.startswith(prefix)
    }
    notes = [*decided.notes, *longer_note(contract, prepared.lengths), *prepared.notes]
    if run.plan is None and decided.outcome is None:
        notes.append("The data set has no dev queries: the weights of the last step were saved.")
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
        sum(prefix + run.recipe.metric in entry for entry in history),
    )


def _recommended(decided: Decided, outcome: Outcome, name: str) -> str:
    """The model to use: the trained one, the original, or the first stage alone."""
    if _is_untested(decided):
        return outcome.baseline_name or decided.run.base.name
    if outcome.verdict == "no-better":
        return decided.run.base.name
    return outcome.baseline_name if outcome.verdict else name


def _is_untested(decided: Decided) -> bool:
    """Whether the run was to measure by itself, and could not: its first note says why."""
    return decided.outcome is not None and decided.outcome.tested is None


def _resolved(run: Run, prepared: Prepared, contract: Contract) -> dict[str, Any]:
    return {
        "device": run.device,
        "devices": run.group.size,
        "precision": run.precision,
        "training_rows": len(prepared.rows),
        "steps": steps(run.recipe, prepared.batching),
        "negatives_per_row": prepared.negatives,
        "head": asdict(prepared.head),
        **({"teacher": prepared.teacher} if prepared.teacher else {}),
        "training_lengths": prepared.lengths,
        "contract": contract.model_dump(mode="json"),
        "dev": run.plan.sizes.fields(run.recipe) if run.plan else {},
    }
