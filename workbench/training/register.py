"""After the last step: the best checkpoint is read back, checked, and becomes a model."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

from storage.records import Model
from workbench.comparison.conditions import excluded
from workbench.errors import WorkbenchError
from workbench.models.inspect import read_json
from workbench.models.resolve import ResolvedModel
from workbench.training import outputs
from workbench.training.card import Card, write_card
from workbench.training.checkpoints import checkpoint_folder, copy_model
from workbench.training.run import Outcome, Run, Trained

#: The saved model's dev value may differ from the one measured in training by this much: the order
#: of floating-point sums is not fixed on every device.
REPRODUCES_WITHIN = 0.01


def read_back(this: Run, trained: Trained) -> dict[str, float]:
    """Load the best checkpoint from disk and see that it is what was measured.

    The trainer's own way of loading the best one hides a failure and keeps the last weights.
    """
    folder = checkpoint_folder(this.output, trained.best_step)
    # Loaded as anybody would load it, but an adapter's base is the one that was trained on.
    saved = this.load(
        ResolvedModel(
            folder.name,
            str(folder),
            trained.contract,
            None,
            base=this.base if this.recipe.method != "full" else None,
            cache=this.base.cache,
        )
    )
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


def register(this: Run, trained: Trained, outcome: Outcome) -> Model:
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
        method=recipe.method,
        before=outcome.untrained,
        baseline=outcome.baseline,
        baseline_name=outcome.baseline_name,
        after=outcome.best,
        verdict=outcome.verdict,
        dev_queries=this.dev.ground.queries if this.dev else 0,
        dev_documents=this.dev.ground.documents if this.dev else 0,
        rows=trained.rows,
        steps=trained.steps,
        best_step=trained.best_step,
        trained_at=trained.lengths,
        excluded=tuple(excluded(this.dev.excluding)) if this.dev else (),
        settings=recipe.model_dump(mode="json", exclude={"dataset", "model", "name"}),
    )
    id, folder = workspace.models.new_folder()
    folder.mkdir(parents=True, exist_ok=True)
    copy_model(checkpoint_folder(this.output, trained.best_step), folder)
    _name_base(folder, this.base)
    write_card(folder, card)
    shutil.copy2(this.output / outputs.CONFIG, folder / outputs.CONFIG)
    final = this.output / outputs.FINAL
    shutil.rmtree(final, ignore_errors=True)
    copy_model(folder, final)
    return workspace.models.add(
        Model(
            id=id,
            name=name,
            kind=trained.contract.kind,
            path=folder.relative_to(workspace.home).as_posix(),
            base=this.base.name,
            contract=trained.contract.model_dump(mode="json"),
            summary=_summary(this, trained, outcome),
            verdict=outcome.verdict,
            job_id=this.context.job.id,
            created_at=time.time(),
        )
    )


def _name_base(folder: Path, base: ResolvedModel) -> None:
    """A hub model by its id in an adapter's file: the cache lies elsewhere on other machines.

    Only now: given the id while it trains, peft asks the hub at each checkpoint.
    """
    path = folder / "adapter_config.json"
    if base.hub_id and path.is_file():
        named = {**read_json(path), "base_model_name_or_path": base.hub_id}
        path.write_text(json.dumps(named, indent=2), encoding="utf-8")


def _summary(this: Run, trained: Trained, outcome: Outcome) -> dict[str, Any]:
    # An adapter needs its base: the workspace keeps it while the adapter is there.
    needs = {} if this.recipe.method == "full" else {"base_id": this.base.model_id}
    return {
        "dataset": this.recipe.dataset,
        "dataset_version": this.reader.version,
        "method": this.recipe.method,
        "metric": this.recipe.metric,
        "baseline": outcome.baseline,
        "baseline_name": outcome.baseline_name,
        "untrained": outcome.untrained,
        "best": outcome.best,
        "steps": trained.steps,
        "best_step": trained.best_step,
        "training_lengths": trained.lengths,
        **(this.dev.excluding if this.dev else {}),
        **needs,
    }
