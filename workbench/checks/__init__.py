"""What can be said of a run before it starts (``train --check``): rows, steps, tokens, memory and
warnings, from the data, the tokenizer and the model's own files. No torch, no network, nothing
submitted."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.auto import decisions
from workbench.auto.folds import Material, Round, rounds
from workbench.checks.findings import Facts, findings
from workbench.checks.memory_estimate import read_shape, trainable_parameters
from workbench.checks.report import CheckReport, Lengths, Warning_
from workbench.checks.run_facts import Looked, free_memory, has_scores, look
from workbench.jobs.slots import gpus
from workbench.models.contract import Contract
from workbench.models.resolve import ResolvedModel, find, resolve
from workbench.prepare import prepare
from workbench.recipes.base import how_many
from workbench.recipes.train import TrainRecipe
from workbench.training.budget import plan
from workbench.training.epoch import planned, steps, unseen
from workbench.training.prepare import rows_of
from workbench.workspace import Workspace

__all__ = ["CheckReport", "Warning_", "by_rules", "check"]


def check(workspace: Workspace, recipe: TrainRecipe, *, gpu: bool | None = None) -> CheckReport:
    """What this run would be, and what is better mended first. Nothing is submitted.

    ``gpu`` says whether there is one (asked of the machine by default). Raises what submitting
    would raise: an unknown data set or model, no training rows.
    """
    plain, judged, decided = by_rules(workspace, recipe)
    ruled = bool(decided) and "negatives" in recipe.decides
    ruled = ruled and not getattr(recipe, "finds_negatives", False)
    looked = look(workspace, plain, gpu)
    if decided and _mines(recipe, looked):
        looked = _as_mined(looked)
    recipe, footing = looked.recipe, looked.facts
    if ruled:
        # The run takes as many as the data gives.
        most = min(int(getattr(recipe, "negatives", 0)), max(looked.given, default=0))
        recipe = recipe.model_copy(update={"negatives": most})
    shape, width, rows = footing.shape, footing.width, footing.rows
    memory = footing.memory(recipe)
    available = free_memory(footing.gpu)
    devices = how_many(recipe.devices, gpus() if footing.gpu else ())
    made = planned(looked.reader, recipe, devices)
    total = steps(recipe, made)
    dev = None if decided else plan(looked.reader, recipe, looked.contract, devices)
    facts = Facts(
        recipe=recipe,
        rows=rows,
        given=looked.given,
        lengths=looked.lengths,
        positions=shape.positions if shape else None,
        contract=looked.contract,
        listed=find(recipe.model, recipe.kind) or find(looked.model.name, recipe.kind),
        dev_queries=judged if decided else rows_of(looked.reader, recipe, "dev"),
        scored=has_scores(looked.reader),
        gpu=footing.gpu,
        memory=memory,
        available=available,
        devices=devices,
        looks=dev.looks(total) if dev else 0,
        ruled=ruled,
    )
    return CheckReport(
        rows=rows,
        left_out=made.left_out,
        batches=len(made),
        steps=total,
        texts_per_batch=_texts(recipe, width, made.largest),
        tokens_per_batch=_tokens(recipe, width, made.largest, looked.lengths),
        lengths=looked.lengths,
        parameters=shape.parameters if shape else None,
        trainable=trainable_parameters(shape, recipe) if shape else None,
        memory=memory,
        available=available,
        warnings=findings(facts),
        notes=[
            *decided,
            *unseen(recipe, made),
            *_notes(looked),
            *(dev.notes(total) if dev else ()),
        ],
    )


def _mines(recipe: TrainRecipe, looked: Looked) -> bool:
    """Whether a run that decides gets negatives by its look: a person asks for them, the data gives
    none, and there is one seed, as runs of several take no look."""
    if "negatives" in recipe.decides or getattr(recipe, "seeds", 1) > 1:
        return False
    return Material.of(looked.reader).lacks_negatives(looked.recipe)


def _as_mined(looked: Looked) -> Looked:
    """With what the look is asked to find; for which queries it does is not known before."""
    asked = int(getattr(looked.recipe, "negatives", 0))
    facts = replace(looked.facts, width=asked)
    return replace(looked, given=[asked] * len(looked.given), facts=facts)


def by_rules(workspace: Workspace, recipe: TrainRecipe) -> tuple[TrainRecipe, int, list[str]]:
    """A run that decides its settings, as one that is written so: with what the rules say of it
    before the data is looked at. With it the number of queries that judge, and in a sentence what
    such a run does besides; none of a run that is as written already.

    Raises what submitting would raise.
    """
    if "max_steps" not in recipe.decides:
        return recipe, 0, []
    recipe = prepare(recipe, workspace)
    reader = workspace.datasets.read(recipe.dataset, recipe.dataset_version)
    material = Material.of(reader)
    model = resolve(workspace, recipe.model, recipe.kind)
    contract = model.contract or Contract()
    seeds, splits = int(getattr(recipe, "seeds", 1)), reader.counts["splits"]
    # Seeds are measured on dev, whoever held it out.
    queries = _taken(recipe, splits["train"] if seeds > 1 else material.training)
    width = 0 if recipe.model_kind.first_stage else _width(model)
    settings = decisions.by_rules(recipe, queries, contract, width=width)
    plain = recipe.model_copy(update={**settings, "auto": ""})
    if seeds > 1:
        each = (
            f"This is the training of one seed. The run trains {seeds} models like it, one after "
            "the other, and measures each of them and the original on dev."
        )
        return plain, splits["dev"], [each]
    folds = decisions.FOLDS if queries < decisions.FOLDED else 1
    parts = rounds(material, folds, recipe.seed)
    said = [f"This is the training that is kept. {_before(plain, parts)}"]
    if limit := getattr(recipe, "minutes", None):
        said.append(
            f"The run keeps to {limit:g} minutes: it takes fewer steps, and measures on fewer "
            "parts or none, where they do not suffice. Where one part of many queries is measured "
            "on and there is time to spare, it tries settings first."
        )
    return plain, sum(len(one.judge) for one in parts), said


def _width(model: ResolvedModel) -> int:
    """Of a model's layers; 0 where its files are not here, or do not say."""
    base = model.base or model
    shape = read_shape(Path(base.source)) if base.local else None
    return shape.hidden if shape else 0


def _taken(recipe: TrainRecipe, queries: int) -> int:
    """Of so many training queries those that a run takes."""
    return min(queries, recipe.max_rows or queries)


def _before(recipe: Any, parts: list[Round]) -> str:
    """What a run does before the training that is kept, in a sentence."""
    size = recipe.batch_size * recipe.gradient_accumulation
    taken = [_taken(recipe, len(one.train)) for one in parts]
    schedule = recipe.schedule
    each = ", ".join(f"{decisions.steps(queries, size, schedule):,}" for queries in taken)
    if len(parts) > 1:
        return (
            f"Before it, the run looks at your data and trains {len(parts)} models without a part "
            f"of the queries each, to measure on it (steps: {each})."
        )
    if parts:
        return (
            "Before it, the run looks at your data and trains a model without a part of the "
            f"queries, to measure on it (steps: {each})."
        )
    return "Before it, the run looks at your data; it has too few queries to measure on."


def _notes(looked: Looked) -> list[str]:
    base = looked.model.base or looked.model
    if not base.local:
        return [
            f"The model {base.name} is not on this machine yet, so its tokens and memory are not "
            "known."
        ]
    if looked.facts.shape is None:
        return ["The model's weights are no safetensors, so its size is not known."]
    if looked.facts.shape.tokenizer is None:
        return ["The model has no tokenizer.json, so its tokens and memory are not known."]
    return []


def _texts(recipe: TrainRecipe, width: int, batch: int) -> int:
    """Texts of a batch of so many rows; pairs of texts for a reranker."""
    return batch * (1 + width) if recipe.model_kind.reads_pairs else batch * (2 + width)


def _tokens(recipe: TrainRecipe, width: int, batch: int, measured: list[Lengths]) -> int | None:
    """Tokens of a batch of so many rows, as they are on average."""
    if len(measured) < 2:
        return None
    query, document = (one.mean for one in measured)
    if recipe.model_kind.reads_pairs:
        return round(batch * (1 + width) * (query + document))
    return round(batch * query + batch * (1 + width) * document)
