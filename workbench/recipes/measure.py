"""The recipe of a measured check: a few steps of a training run, for its time and memory."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import ValidationInfo, field_validator

from workbench.errors import BadRecipe
from workbench.recipes.base import Recipe, setting
from workbench.recipes.kinds import KINDS
from workbench.recipes.train import TrainRecipe

STEPS = 5


class MeasureRecipe(Recipe):
    """Train a few real steps of a run, measure time and memory, and keep nothing."""

    task: ClassVar[str] = "measure"

    kind: str = setting("embedding", help="The kind of model that the run trains.", max_length=40)
    values: dict[str, Any] = setting(help="The run's recipe, field by field.")
    steps: int = setting(
        STEPS,
        help="How many optimizer steps are trained; the first is not counted.",
        ge=2,
        le=100,
    )
    device: str = setting("auto", help="Where the run would train; taken from its recipe.")
    dataset: str = setting(
        "", help="The run's data set; taken from its recipe.", refers_to="dataset", widget="text"
    )
    model: str = setting(
        "", help="The run's base model; taken from its recipe.", refers_to="model", widget="text"
    )

    @classmethod
    def nested(cls, values: Mapping[str, Any]) -> Mapping[str, type[Recipe]]:
        kind = KINDS.get(str(values.get("kind", "embedding")))
        return {"values": kind} if kind else {}

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in KINDS:
            raise ValueError(f"Choose one of {', '.join(KINDS)}.")
        return kind

    @field_validator("values")
    @classmethod
    def _read(cls, values: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "kind" not in info.data:
            return values  # 'kind' has been refused already
        try:
            KINDS[info.data["kind"]].read(values)
        except BadRecipe as error:
            raise ValueError(error.message) from error
        return values

    @classmethod
    def of(cls, recipe: TrainRecipe, steps: int = STEPS) -> "MeasureRecipe":
        """A measured check of this run."""
        values = recipe.model_dump(mode="json")
        about = {name: values[name] for name in ("device", "dataset", "model")}
        return cls.read({"kind": recipe.kind, "values": values, "steps": steps, **about})

    def training(self) -> TrainRecipe:
        """The run that is measured."""
        return KINDS[self.kind].read(self.values)
