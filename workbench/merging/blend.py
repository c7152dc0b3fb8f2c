"""The task 'blend': models between a fine-tuned one and its base, measured on two data sets.

Imports torch: worker processes only.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from workbench.comparison.table import SWITCH
from workbench.data.reader import choosing_split, chosen_by
from workbench.errors import BadInput
from workbench.evaluation.candidates import freeze
from workbench.evaluation.pool import asked_pool
from workbench.evaluation.results import lengths_of
from workbench.jobs.files import write_made
from workbench.jobs.reporting import JobContext
from workbench.merging.merge import write_blended, write_model
from workbench.model_kinds import ModelKind
from workbench.models.assemble import holds_projection
from workbench.models.contract import Contract
from workbench.models.image_text import ROOM, Pixels
from workbench.models.inspect import is_language_model
from workbench.models.load import load_model
from workbench.models.locate import LocalModel, locate
from workbench.models.registry import from_job, new_model
from workbench.models.resolve import full_model
from workbench.recipes.merge import BlendRecipe, read_ratios
from workbench.training.dev import DevTask, Reranking, Retrieval
from workbench.training.image_text import text_to_picture

# Weights between two models of one architecture.
#
# A point between a fine-tuned model and its base often keeps what the base knew at little cost on
# what was learnt: WiSE-FT (Wortsman et al. 2022a); averages of more models are model soups
# (Wortsman et al. 2022b). sentence-transformers' own merging needs mergekit for this one formula,
# a package of its own with pins of its own, so the formula is written out here.

Weights = dict[str, torch.Tensor]


def weights_of(model: Any) -> Weights:
    """All weights of a model (its transformer's, projection's and head's), copied."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def refuse_other_shapes(tuned: Weights, base: Weights, names: tuple[str, str]) -> None:
    """Raise :class:`BadInput` unless both have the same weights in the same shapes."""
    if tuned.keys() != base.keys():
        alone = sorted(tuned.keys() ^ base.keys())
        raise _unlike(names, f"{len(alone)} weights are in one of them only, such as {alone[0]}")
    for name, value in tuned.items():
        if value.shape != base[name].shape:
            mine, other = tuple(value.shape), tuple(base[name].shape)
            raise _unlike(names, f"{name} is {mine} in the one and {other} in the other")


def between(tuned: Weights, base: Weights, ratio: float) -> Weights:
    """``ratio`` of the fine-tuned weights and the rest of the base's, in fp32.

    The ends are the models themselves, to the last bit. Whole numbers (positions) are the
    fine-tuned model's.
    """
    if ratio in (0.0, 1.0):
        return tuned if ratio else base
    return {
        name: torch.lerp(base[name].float(), value.float(), ratio)
        if value.is_floating_point()
        else value
        for name, value in tuned.items()
    }


def put(model: Any, weights: Mapping[str, torch.Tensor]) -> None:
    """Give a model these weights, in place."""
    model.load_state_dict(weights)


def _unlike(names: tuple[str, str], how: str) -> BadInput:
    return BadInput(
        f"'{names[0]}' and '{names[1]}' are not of the same architecture: {how}.",
        "Blend a model with the base it was fine-tuned from.",
    )


@dataclass(frozen=True, slots=True)
class _Field:
    """One data set's split, and what is asked there."""

    dataset: str
    version: int
    split: str
    dev_task: DevTask


def run(recipe: BlendRecipe, context: JobContext) -> dict[str, Any]:
    """Measure every ratio on both data sets; keep one as a model where that is asked for.

    Each point is used by the fine-tuned model's contract (its prompts and lengths), the base at
    ratio 0 too, so that along the curve nothing but the weights changes. Raises :class:`BadInput`
    for models of other architectures or kinds, and for data sets without queries to measure on.
    """
    workspace = context.workspace
    tuned = locate(workspace, full_model(workspace, recipe.model))
    model = _load(recipe, context, tuned)
    base = locate(workspace, full_model(workspace, recipe.base), model.contract.kind)
    here, there = weights_of(model.model), _base_weights(recipe, context, base, model)
    refuse_other_shapes(here, there, (tuned.name, base.name))
    ratios = read_ratios(recipe.ratios)
    names = list(dict.fromkeys([recipe.dataset, recipe.second_dataset]))
    fields = [_field(recipe, context, name, model.contract.model_kind) for name in names]
    notes = [said for field in fields for said in chosen_by(field.split, field.dataset)]
    for said in notes:
        context.note(said)
    rows = []
    for at, ratio in enumerate(ratios):
        put(model.model, between(here, there, ratio))
        for field in fields:
            step = f"{at + 1} of {len(ratios)}: ratio {ratio:g} on {field.dataset}"
            rows.append(_measure(context, model, field, ratio, step))
    result = {
        "tuned": tuned.name,
        "base": base.name,
        "metric": recipe.metric,
        "ratios": ratios,
        "rows": rows,
        "notes": notes,
        SWITCH: recipe.exclude_query_document,
        **lengths_of(model.contract),
        "kept": recipe.keep,
        "model": None,
        "model_id": None,
    }
    if recipe.keep is None:
        return result
    put(model.model, between(here, there, recipe.keep))
    return _keep(recipe, context, model, tuned, base, result)


def _load(
    recipe: BlendRecipe,
    context: JobContext,
    model: LocalModel,
    contract: Contract | None = None,
) -> Any:
    context.check_cancelled()
    context.progress(0, None, message=f"Loading {model.name}")
    return load_model(
        model,
        device=recipe.device,
        precision=recipe.precision,
        contract=contract,
    )


def _base_weights(
    recipe: BlendRecipe, context: JobContext, base: LocalModel, model: Any
) -> Weights:
    """The base's weights, used as the fine-tuned model uses them."""
    contract = model.contract
    whole = _brings_head(base, contract)
    found = _load(recipe, context, base, contract if whole else None)
    if (contract.kind, contract.architecture) != (found.contract.kind, found.contract.architecture):
        raise BadInput(
            f"'{recipe.model}' is of the kind {contract.architecture or contract.kind}, its base "
            f"'{base.name}' of the kind {found.contract.architecture or found.contract.kind}.",
            "A head that the base does not have cannot be blended: choose a base of the same kind.",
        )
    return weights_of(found.model)


def _brings_head(base: LocalModel, contract: Contract) -> bool:
    """Whether a plain checkpoint has all the weights of the kind that was made from it: a
    projection per token, or a language model's answers."""
    if contract.model_kind.token_vectors:
        return holds_projection(base.folder)
    if contract.architecture != "llm":
        return False
    return is_language_model(base.folder)


def _field(recipe: BlendRecipe, context: JobContext, name: str, kind: ModelKind) -> _Field:
    reader = context.workspace.datasets.read(name)
    split = choosing_split(reader, recipe.split)
    pool = asked_pool(reader, split, recipe)
    dev_task: DevTask = Retrieval(pool)
    if kind.reads_pictures:
        dev_task = text_to_picture(pool, reader.folder, Pixels(ROOM))
    elif not kind.encodes:
        stop = context.check_cancelled
        dev_task = Reranking(freeze(reader, split, pool, k=recipe.candidates, stop=stop))
    return _Field(name, reader.version, split, dev_task)


def _measure(
    context: JobContext, model: Any, field: _Field, ratio: float, step: str
) -> dict[str, Any]:
    def progress(done: int, total: int) -> None:
        context.progress(done, total, "texts", step)

    measured = field.dev_task.measure(model, progress=progress, stop=context.check_cancelled)
    return {
        "ratio": ratio,
        "dataset": field.dataset,
        "dataset_version": field.version,
        "split": field.split,
        "queries": field.dev_task.queries,
        **field.dev_task.excluding,
        **measured.scores.means(),
    }


def _keep(
    recipe: BlendRecipe,
    context: JobContext,
    model: Any,
    tuned: LocalModel,
    base: LocalModel,
    result: dict[str, Any],
) -> dict[str, Any]:
    """Make the model as it is now one of the workspace; the result with its name and id. Nothing of
    it stays where that fails."""
    models = context.workspace.models
    ratio = recipe.keep or 0.0
    name = models.free_name(recipe.name or f"{tuned.name}-blend-{ratio:g}")
    contract = model.contract.model_copy(update={"dtype": "float32", "base_model": base.name})
    id, folder = models.new_folder()
    try:
        write_model(model.model, contract, folder)
        write_blended(folder, name, base.name, tuned.name, ratio, contract)
        context.check_cancelled()
        summary = {
            "origin": "blended",
            "tuned": tuned.name,
            "ratio": ratio,
            "dataset": recipe.dataset,
            "metric": recipe.metric,
            "measured": [row for row in result["rows"] if row["ratio"] == ratio],
        }
        record = new_model(id, name, contract=contract.model_dump(mode="json"), summary=summary)
        result = {**result, "model": name, "model_id": id}
        write_made(context.folder, record.path, result)
        models.add(replace(from_job(record, context.job.id), base=base.name))
        return result
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
