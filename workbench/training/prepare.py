"""What a training recipe alone is checked for when it is submitted."""

from workbench.data.reader import DatasetReader, no_pairs, no_queries
from workbench.errors import BadInput
from workbench.evaluation.pictures import has_pictures, no_pictures
from workbench.jobs.slots import gpus
from workbench.models.contract import Contract
from workbench.models.resolve import ResolvedModel, resolve
from workbench.models.towers import refuse_two
from workbench.recipes.base import how_many, named
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


def _check_rows(recipe: TrainRecipe, reader: DatasetReader) -> None:
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
