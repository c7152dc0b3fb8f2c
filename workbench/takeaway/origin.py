"""Which run made a model, and what its base is called outside the workspace. Torch-free."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.comparison.conditions import LENGTHS
from workbench.errors import BadInput
from workbench.models import packaged
from workbench.models.contract import Contract
from workbench.models.inspect import read_json
from workbench.models.resolve import ResolvedModel
from workbench.recipes.kinds import KINDS
from workbench.recipes.train import TrainRecipe
from workbench.records import Model

CONFIG = "training_config.json"


@dataclass(frozen=True, slots=True)
class Origin:
    """A trained model's recipe, and what 'auto' and empty fields came to."""

    model: Model
    folder: Path
    recipe: TrainRecipe
    resolved: dict[str, Any]

    @property
    def contract(self) -> Contract:
        return Contract.model_validate(self.resolved["contract"])

    @property
    def lengths(self) -> dict[str, int]:
        """After how many tokens the run cut texts; older runs wrote it into the contract."""
        contract = self.contract
        own = {name: getattr(contract, name) for name in LENGTHS}
        return {**own, **self.resolved.get("training_lengths", {})}


def origin(workspace: Any, model: Model) -> Origin:
    """What the run left in the model's folder; raises :class:`BadInput` where there was no run."""
    folder = workspace.path(model.path)
    values = read_json(folder / CONFIG, missing={})
    resolved = values.pop("resolved", None)
    if not resolved:
        raise BadInput(
            f"'{model.name}' was not trained in this workspace, so there is no run to repeat.",
            "Choose a model that a training run made.",
        )
    return Origin(model, folder, KINDS[model.kind].read(values), resolved)


def name_elsewhere(base: ResolvedModel, workspace: Any) -> str:
    """What a program on another machine finds the model by: a hub id where it has one, else the
    name it has here. Never a path of this machine."""
    if base.name in packaged.ALIASES:
        return packaged.ALIASES[1]
    if not base.local:
        return base.source
    known = workspace.models.exists(base.name)
    source = str(workspace.models.get(base.name).summary.get("source") or "") if known else ""
    if source.count("/") == 1 and not source.startswith((".", "/", "~")):
        return source
    parts = Path(base.source).parts
    if "snapshots" in parts:
        # The hub's cache: models--owner--name/snapshots/revision.
        cached = parts[parts.index("snapshots") - 1]
        return cached.removeprefix("models--").replace("--", "/", 1)
    return base.name
