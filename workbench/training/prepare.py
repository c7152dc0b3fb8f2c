"""What a training recipe is looked through for: what cannot be trained is refused when it is
submitted, and settings without effect are named. Torch-free."""

from collections.abc import Iterator
from dataclasses import dataclass

from workbench.data.reader import DatasetReader, no_pairs, no_queries
from workbench.errors import BadInput
from workbench.evaluation.pictures import has_pictures, no_pictures
from workbench.jobs.slots import gpus
from workbench.models.contract import Contract
from workbench.models.resolve import ResolvedModel, refuse_two, resolve
from workbench.recipes.base import how_many, named
from workbench.recipes.decided import AUTO_PRESET
from workbench.recipes.describe import describe
from workbench.recipes.train import TrainRecipe
from workbench.training.epoch import planned
from workbench.workspace import Workspace

#: Of so few training queries it is seen at once whether they make any batch.
AT_ONCE = 500


def prepare_train(recipe: TrainRecipe, workspace: Workspace, waits: bool) -> TrainRecipe:
    """Raises :class:`BadInput` for what cannot be trained; else the recipe as it is."""
    _refuse_nothing_to_learn(recipe)
    if not waits or workspace.datasets.exists(recipe.dataset):
        _check_rows(recipe, workspace.datasets.read(recipe.dataset, recipe.dataset_version))
    if not waits:
        base = resolve(workspace, recipe.model, recipe.kind)
        _refuse_other_towers(recipe, base.contract)
        refuse_two(base.name, base.contract)
        _refuse_quantized(base)
    _refuse_missing_gpus(recipe)
    _refuse_seeds(recipe)
    return recipe


def _refuse_nothing_to_learn(recipe: TrainRecipe) -> None:
    """Settings with which no row has anything to be told from, whatever the data."""
    objective, negatives = recipe.chosen_objective, int(getattr(recipe, "negatives", 1))
    if negatives == 0 and objective.rows == "teacher":
        raise BadInput(
            f"The objective {objective.name} learns how a teacher scores a query's documents "
            "against each other, and with negatives 0 each query has one.",
            "Set negatives to 1 or more.",
        )
    if objective.compares_rows and recipe.batch_size == 1:
        raise BadInput(
            f"Nothing can be learnt in batches of one: the objective {objective.name} compares a "
            "batch's rows with each other.",
            "Set batch_size to 2 or more, or choose another objective.",
        )


def _refuse_other_towers(recipe: TrainRecipe, contract: Contract | None) -> None:
    """Pictures need a model that sees them, and such a model is no other kind's base."""
    sees = recipe.model_kind.reads_pictures
    if contract is None or contract.model_kind.reads_pictures == sees:
        return
    if sees:
        raise BadInput(
            f"'{recipe.model}' is a {contract.kind} model: it does not see pictures.",
            "Choose a CLIP-like model; the image sample includes a small one (data draw).",
        )
    raise BadInput(
        f"'{recipe.model}' is a model of pictures and texts.",
        f"Train it with the kind {contract.kind}, or choose another base model.",
    )


def _refuse_quantized(model: ResolvedModel) -> None:
    """Rounded weights are no start: what is trained is their original, over 4 bits if wanted."""
    if model.contract is not None and model.contract.weights:
        raise BadInput(
            f"The weights of '{model.name}' are stored in {model.contract.weights}, for inference "
            "only.",
            "Train the model it was quantized from, then quantize the result.",
        )


def _refuse_missing_gpus(recipe: TrainRecipe) -> None:
    """A job that wants more GPUs than there are would wait in the queue for ever."""
    present = () if recipe.device == "cpu" else gpus()
    missing = [f"gpu:{name}" for name in named(recipe.devices) if name not in present]
    if missing:
        there = ", ".join(f"gpu:{name}" for name in present) or "no GPU"
        raise BadInput(
            f"There is no {', '.join(missing)} here; there is {there}.",
            "Name others in devices, or give a number.",
        )
    if present and how_many(recipe.devices, present) > len(present):
        raise BadInput(
            f"{recipe.devices} devices were requested; this machine has {len(present)}.",
            "Set devices to all, or to fewer.",
        )


def _refuse_seeds(recipe: TrainRecipe) -> None:
    """Several seeds are trained one after the other in one process, and compared by queries."""
    if getattr(recipe, "seeds", 1) == 1:
        return
    if recipe.on_pairs:
        raise BadInput(
            "Several seeds are compared by queries, and the run learns scored pairs.",
            "Choose another objective, or set seeds to 1.",
        )
    if recipe.devices != "1":
        raise BadInput("Several seeds are trained on one device.", "Set devices or seeds to 1.")


def _check_rows(recipe: TrainRecipe, reader: DatasetReader) -> None:
    if getattr(recipe, "seeds", 1) > 1 and not reader.counts["splits"]["dev"]:
        raise BadInput(
            "Several seeds are compared on dev queries, and the data set has none.",
            "Hold out some of its training queries as dev, or set seeds to 1.",
        )
    if not rows_of(reader, recipe, "train"):
        raise no_pairs(reader, "train") if recipe.on_pairs else no_queries(reader, "train")
    if recipe.model_kind.reads_pictures and not has_pictures(reader):
        raise no_pictures(reader)
    if recipe.in_batch and reader.counts["splits"]["train"] <= AT_ONCE:
        planned(reader, recipe, 1)


def rows_of(reader: DatasetReader, recipe: TrainRecipe, split: str) -> int:
    """What a split holds for this run: scored pairs, or queries."""
    if recipe.on_pairs:
        return int(reader.summary.get("pair_splits", {}).get(split, 0))
    return int(reader.counts["splits"].get(split, 0))


# Settings that were given and do nothing in a run.
#
# The page hides most of them; a command, a file or an imported recipe can give them all the same.


@dataclass(frozen=True, slots=True)
class Idle:
    """A setting without effect: why, and what to do."""

    message: str
    mend: str


def idle(recipe: TrainRecipe, devices: int) -> list[Idle]:
    """What has no effect; ``devices`` is how many train together."""
    return [
        *_hidden(recipe),
        *_own_candidates(recipe),
        *_alone(recipe, devices),
        *_undecided(recipe, devices),
    ]


def _given(recipe: TrainRecipe, name: str) -> bool:
    field = type(recipe).model_fields.get(name)
    return field is not None and getattr(recipe, name) != field.default


def _hidden(recipe: TrainRecipe) -> Iterator[Idle]:
    """Fields that depend on another which has a different value."""
    for spec in describe(type(recipe)):
        if spec.depends_on is None or not _given(recipe, spec.name):
            continue
        name, (source, wanted) = spec.name, spec.depends_on
        is_now = getattr(recipe, source)
        if is_now not in wanted:
            yield Idle(
                f"{name} has no effect with {source} {is_now}.",
                f"Leave it out, or set {source} to {' or '.join(map(str, wanted))}.",
            )


def _own_candidates(recipe: TrainRecipe) -> Iterator[Idle]:
    """Without the batch's other rows there is nothing to cache, to turn round or to gather."""
    objective = recipe.chosen_objective
    if "in_batch_negatives" not in objective.fields or recipe.in_batch:
        return
    names = [name for name in ("symmetric", "negatives_cross_device") if _given(recipe, name)]
    if objective.in_parts:
        names.insert(0, "The cached objective")
    for name in names:
        yield Idle(
            f"{name} has no effect without in-batch negatives.",
            "Leave it out, or switch in_batch_negatives on.",
        )


def _alone(recipe: TrainRecipe, devices: int) -> Iterator[Idle]:
    if getattr(recipe, "negatives_cross_device", False) and devices == 1:
        yield Idle(
            "negatives_cross_device has no effect on one device.",
            "Set devices to 2 or more, or leave it out.",
        )


def _undecided(recipe: TrainRecipe, devices: int) -> Iterator[Idle]:
    """That nothing is decided by measuring, because of the devices, though there is but one, or
    though the preset asks for it (it has left what it sets besides)."""
    if "auto" not in type(recipe).model_fields or recipe.on_pairs or recipe.devices == "1":
        return
    asked = all(
        getattr(recipe, name) == value for name, value in AUTO_PRESET.items() if name != "auto"
    )
    if recipe.decides or not (asked or (devices == 1 and not named(recipe.devices))):
        return
    yield Idle(
        f"With devices {recipe.devices} the run trains as it is written: its settings and the "
        "serving length are decided by measuring on one device only.",
        "Set devices to 1: there is only one device here."
        if devices == 1
        else "Set devices to 1 to have them decided.",
    )


def early_stopping(recipe: TrainRecipe, looks: int) -> list[Idle]:
    """That a run measured on dev so many times cannot stop early although it was asked to."""
    if not recipe.early_stopping:
        return []
    if not looks:
        return [
            Idle(
                "early_stopping has no effect without dev queries.",
                "Import the data with a dev part, or leave it out.",
            )
        ]
    if looks > recipe.early_stopping:
        return []
    return [
        Idle(
            f"early_stopping {recipe.early_stopping} has no effect: the run is measured on dev "
            f"{looks} times.",
            "Lower eval_steps or early_stopping, or train longer.",
        )
    ]
