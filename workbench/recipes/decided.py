"""What a training run decides by looking and measuring, and what a person decides instead.

A preset fills in a recipe; what a person gives beside it stays as it is. The command line and the
page both go through here, so that they start the same run.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from pydantic import field_validator, model_validator

from workbench.recipes.base import Recipe, advanced, named
from workbench.recipes.describe import describe
from workbench.recipes.objectives import OBJECTIVES

R = TypeVar("R", bound=Recipe)

#: Names of decisions, of which a kind has those that it is decidable by. All but the first and the
#: last are fields of the recipe.
DECISIONS = (
    "serving_length",
    "passage_max_len",
    "max_steps",
    "batch_size",
    "learning_rate",
    "negatives",
    "temperature",
    "blend",
)
#: In a recipe that is being written: whatever a person does not give. A recipe that was read says
#: the names.
ALL = "all"
#: With one of these given by a person, a run is as written: nothing is measured to decide by.
AS_WRITTEN = ("epochs", "max_steps", "batch_size")
#: The preset that is taken where nothing is said, and what it sets besides.
AUTO = "auto"
AUTO_PRESET: dict[str, Any] = {
    "auto": ALL,
    "scheduler": "cosine",
    "average_weights": 0.33,
    "dropout": 0.0,
}
#: What the other presets decide by measuring.
SERVING: dict[str, Any] = {"auto": "serving_length"}
#: Of a run that nothing can be decided for although it was asked for.
_INSTEAD: dict[str, Any] = {"epochs": 2.0}


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long a kind of model is trained by the rules, and in which batches. The constants were
    found on public sets (docs/experiments.md), and on no person's own."""

    #: Passes over the training queries, within these bounds of steps.
    passes: float = 3
    fewest: int = 24
    most: int = 1_500
    #: Up to so many training queries: the batch; and the batch of more.
    batches: tuple[tuple[int, int], ...] = ((300, 16), (2_000, 32))
    largest: int = 64

    def batch(self, queries: int) -> int:
        """Queries to a step, of so many to train on."""
        return next((size for most, size in self.batches if queries < most), self.largest)


class DecidedFields(Recipe):
    """Of kinds whose settings can be decided by measuring."""

    #: What can be decided of the kind, in the order of :data:`DECISIONS`.
    decidable: ClassVar[tuple[str, ...]] = DECISIONS
    schedule: ClassVar[Schedule] = Schedule()
    #: Whether a row's negatives are found where the data gives none.
    finds_negatives: ClassVar[bool] = False

    auto: str = advanced(
        "",
        help="Which settings are decided by looking at the data and measuring, with commas "
        "between them: passage_max_len, max_steps, batch_size, learning_rate, negatives, blend, "
        "and of embedding models serving_length and temperature; 'all' decides those that are not "
        "given, empty trains as written.",
        group="schedule",
        max_length=500,
    )
    minutes: float | None = advanced(
        None,
        help="About how long the whole run may take, where its steps are decided by measuring: "
        "with less time than it needs it takes fewer steps, with much more it tries settings; "
        "empty sets no limit and tries none.",
        group="schedule",
        gt=0,
        le=100_000,
    )

    @field_validator("auto")
    @classmethod
    def _names(cls, text: str) -> str:
        names = [one.strip() for one in text.split(",") if one.strip()]
        if unknown := [one for one in names if one not in cls.decidable]:
            raise ValueError(f"'{unknown[0]}' is none of {', '.join(cls.decidable)}")
        return ",".join(dict.fromkeys(names))

    @model_validator(mode="before")
    @classmethod
    def _what_is_decided(cls, values: Any) -> Any:
        """'all' becomes the names of what is not given; a run that cannot decide is as written."""
        if not isinstance(values, dict) or not values.get("auto"):
            return values
        asked = str(values["auto"])
        if _cannot(values):
            whole = asked == ALL or "max_steps" in asked
            return {**(_INSTEAD if whole else {}), **values, "auto": ""}
        if asked != ALL:
            return values
        return {**values, "auto": ",".join(left_to_decide(cls.decidable, values))}


def decidable(recipe: type[Recipe]) -> tuple[str, ...]:
    """What a run with such a recipe can decide by measuring; nothing of most recipes."""
    return recipe.decidable if issubclass(recipe, DecidedFields) else ()


def _cannot(values: Mapping[str, Any]) -> bool:
    """Scored pairs, and several devices: they are trained as written."""
    objective = str(values.get("objective", ""))
    pairs = objective in OBJECTIVES and OBJECTIVES.get(objective).rows == "pairs"
    devices = str(values.get("devices") or "1").strip().lower()
    return pairs or (devices != "1" and len(named(devices)) != 1)


def left_to_decide(decided: Collection[str], given: Collection[str]) -> list[str]:
    """Of these decisions those that a person who gives these fields leaves to the run."""
    if any(name in given for name in AS_WRITTEN):
        return []
    return [name for name in decided if name not in given]


def with_preset(recipe: type[Recipe], before: Mapping[str, Any], name: str) -> dict[str, Any]:
    """``before`` with the values of a recipe's preset; one that decides all takes nothing of what
    it decides."""
    kept, preset = dict(before), recipe.presets[name]
    if preset.get("auto") == ALL:
        left = (*decidable(recipe), *AS_WRITTEN)
        kept = {field: kept[field] for field in kept if field not in left}
    return {**kept, **preset}


def started_from(
    recipe: type[Recipe], before: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """The values of a recipe that a person starts from a preset, a file or an earlier run
    (``before``) and gives some fields of (``given``): these are not decided any more.

    Raises nothing: the recipe reads the values.
    """
    values = {**before, **given}
    asked = before.get("auto")
    can = decidable(recipe)
    if can and asked and "auto" not in given:
        # The names in an earlier run's 'auto' are what nobody gave; 'all' is what nobody gives.
        decided, by = (can, values) if asked == ALL else (str(asked).split(","), given)
        values["auto"] = ",".join(left_to_decide(decided, by))
    return values


def with_changes(recipe: R, changes: Mapping[str, Any]) -> R:
    """The recipe with these of its fields changed, of which nothing is decided any more."""
    values = {**recipe.model_dump(mode="json"), **changes}
    if left := values.get("auto"):
        values["auto"] = ",".join(one for one in left.split(",") if one not in changes)
    return type(recipe).read(values)


def as_decided(recipe: R, decided: Mapping[str, Any]) -> R:
    """The recipe as its run trained: with what was ``decided`` (by name), nothing left open."""
    left = str(getattr(recipe, "auto", ""))
    if not left:
        return recipe
    fields = [name for name in left.split(",") if name in type(recipe).model_fields]
    found = {name: decided[name] for name in fields if name in decided}
    return recipe.model_copy(update={**found, "auto": ""})


def as_written(recipe: R) -> R:
    """The recipe with nothing left to decide, for runs that are held against each other."""
    whole = "max_steps" in str(getattr(recipe, "auto", ""))
    return as_decided(recipe, {}).model_copy(update=_INSTEAD if whole else {})


def given_by(values: Mapping[str, Any], recipe: type[Recipe], preset: str = "") -> dict[str, Any]:
    """Of a whole form's values those that a person gave: what differs from what the form showed,
    which is the preset's value, else the default.

    A form sends all of its fields, so a value that equals the one shown does not count as given:
    who wants exactly that rate to be theirs writes it on the command line.
    """
    shown = {spec.name: spec.default for spec in describe(recipe)}
    shown |= recipe.presets.get(preset, {})
    return changed(values, shown)


def changed(values: Mapping[str, Any], shown: Mapping[str, Any]) -> dict[str, Any]:
    """Of ``values`` those that differ from what a form showed."""
    return {name: value for name, value in values.items() if not _same(value, shown.get(name))}


def _same(value: Any, shown: Any) -> bool:
    """Whether a field still holds what was shown: numbers by their value, however written."""
    if value in (None, "") and shown in (None, ""):
        return True
    if isinstance(shown, int | float) and not isinstance(shown, bool):
        try:
            return float(value) == float(shown)
        except (TypeError, ValueError):
            return False
    return bool(value == shown or str(value) == str(shown))
