"""``train --check``: rows, steps, tokens, memory and warnings, at once and without torch."""

import math
from pathlib import Path
from typing import Any

from workbench.checks.findings import Facts, findings
from workbench.checks.machine import free_memory, has_gpu
from workbench.checks.memory import Batch, estimate, trainable_parameters
from workbench.checks.report import CheckReport, Lengths
from workbench.checks.tokens import lengths, sample_texts
from workbench.checks.weights import Shape, read_shape
from workbench.models.catalogue import find
from workbench.models.contract import Contract
from workbench.models.precision import cpu_multiplies_bf16
from workbench.models.resolve import ResolvedModel, resolve
from workbench.recipes.train import TrainRecipe
from workbench.training.prepare import prepare_train
from workbench.training.rows import training_table
from workbench.workspace import Workspace


def check(workspace: Workspace, recipe: TrainRecipe, *, gpu: bool | None = None) -> CheckReport:
    """What this run would be, and what is better mended first. Nothing is submitted.

    ``gpu`` says whether there is one (asked of the machine by default). Raises what submitting
    would raise: an unknown data set or model, no training rows.
    """
    recipe = prepare_train(recipe, workspace)
    reader = workspace.datasets.read(recipe.dataset, recipe.dataset_version)
    asked = int(getattr(recipe, "negatives", 0))
    table, _ = training_table(reader, recipe, asked)
    given = [len(own or []) for own in table["negatives"].to_pylist()]
    model = resolve(workspace, recipe.model)
    base = model.base or model
    shape = read_shape(Path(base.source)) if base.local else None
    contract = _contract(model, recipe)
    notes = _notes(model, shape)
    width = asked if recipe.kind != "embedding" else min(asked, max(given, default=0))
    measured: list[Lengths] = []
    if shape and shape.tokenizer:
        query_limit, document_limit = _limits(recipe, shape)
        queries, documents = sample_texts(reader, table, contract, recipe.seed)
        for role, texts, prompt, limit in (
            ("query", queries, contract.query_prompt, query_limit),
            ("document", documents, contract.document_prompt, document_limit),
        ):
            measured.append(lengths(shape.tokenizer, role, texts, prompt, limit)[0])
    uses_gpu = has_gpu(recipe.device) if gpu is None else gpu and recipe.device != "cpu"
    padded = _padded(recipe, width, table.num_rows, measured)
    memory = None
    if shape and padded is not None:
        memory = estimate(
            shape, recipe, padded, precision=_precision(recipe, uses_gpu), gpu=uses_gpu
        )
    available = free_memory(uses_gpu)
    facts = Facts(
        recipe=recipe,
        rows=table.num_rows,
        given=given,
        lengths=measured,
        positions=shape.positions if shape else None,
        contract=contract,
        listed=find(recipe.model, recipe.kind) or find(model.name, recipe.kind),
        dev_queries=int(reader.counts["splits"].get("dev", 0)),
        scored=_scored(reader.candidates("train")),
        gpu=uses_gpu,
        memory=memory,
        available=available,
    )
    batches, steps = _steps(recipe, table.num_rows)
    return CheckReport(
        rows=table.num_rows,
        batches=batches,
        steps=steps,
        texts_per_batch=_texts(recipe, width, table.num_rows),
        tokens_per_batch=_tokens(recipe, width, table.num_rows, measured),
        lengths=measured,
        parameters=shape.parameters if shape else None,
        trainable=trainable_parameters(shape, recipe) if shape else None,
        memory=memory,
        available=available,
        warnings=findings(facts),
        notes=notes,
    )


def _contract(model: ResolvedModel, recipe: TrainRecipe) -> Contract:
    """The contract the run would begin with: the model's, and the recipe's prompts."""
    known = model.contract or Contract()
    typed = {name: getattr(recipe, name, None) for name in ("query_prompt", "document_prompt")}
    return known.model_copy(update={name: text for name, text in typed.items() if text})


def _notes(model: ResolvedModel, shape: Shape | None) -> list[str]:
    base = model.base or model
    if not base.local:
        return [
            f"The model {base.name} is not on this machine yet, so its tokens and memory are not "
            "known."
        ]
    if shape is None:
        return ["The model's weights are no safetensors, so its size is not known."]
    if shape.tokenizer is None:
        return ["The model has no tokenizer.json, so its tokens and memory are not known."]
    return []


def _limits(recipe: TrainRecipe, shape: Shape) -> tuple[int, int]:
    """Lengths as training would cut: never more than the model has positions."""
    most = shape.positions or 2**31
    return min(recipe.query_max_len, most), min(recipe.passage_max_len, most)


def _steps(recipe: TrainRecipe, rows: int) -> tuple[int, int]:
    """Batches in an epoch and optimizer steps in all; 'max_steps' overrules the epochs."""
    batches = math.ceil(rows / recipe.batch_size)
    steps = math.ceil(recipe.epochs * math.ceil(batches / recipe.gradient_accumulation))
    return batches, recipe.max_steps or steps


def _texts(recipe: TrainRecipe, width: int, rows: int) -> int:
    """Texts of a batch; pairs of texts for a reranker."""
    batch = min(recipe.batch_size, rows)
    return batch * (1 + width) if recipe.kind == "reranker" else batch * (2 + width)


def _tokens(recipe: TrainRecipe, width: int, rows: int, measured: list[Lengths]) -> int | None:
    """Tokens of a batch, as they are on average."""
    if len(measured) < 2:
        return None
    query, document = (one.mean for one in measured)
    batch = min(recipe.batch_size, rows)
    if recipe.kind == "reranker":
        return round(batch * (1 + width) * (query + document))
    return round(batch * query + batch * (1 + width) * document)


def _padded(recipe: TrainRecipe, width: int, rows: int, measured: list[Lengths]) -> Batch | None:
    """The texts that are in memory at once, padded to the longest of the sample.

    A cached objective keeps no more than its mini-batch.
    """
    if len(measured) < 2:
        return None
    query, document = (one.longest for one in measured)
    batch = min(recipe.batch_size, rows)
    if recipe.kind == "reranker":
        return [(batch * (1 + width), query + document)]
    if "cached" in getattr(recipe, "objective", ""):
        return [(min(int(getattr(recipe, "mini_batch_size", batch)), batch), max(query, document))]
    return [(batch, query), (batch * (1 + width), document)]


def _precision(recipe: TrainRecipe, gpu: bool) -> str:
    """The number format of the computation; 'auto' is bf16 where the machine is fast at it."""
    if recipe.precision == "auto":
        return "bf16" if gpu or cpu_multiplies_bf16() else "fp32"
    return recipe.precision


def _scored(candidates: Any) -> bool:
    """Whether some candidates bring a teacher's score."""
    scores = candidates["score"]
    return bool(len(scores) > scores.null_count)
