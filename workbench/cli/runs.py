"""``train`` and ``evaluate``: the two jobs that make and judge models."""

import argparse
from typing import Any

from workbench.cli.options import PREFIX, add_fields, add_settings, read_values
from workbench.cli.running import run_job
from workbench.comparison.table import build_table, to_text
from workbench.recipes.evaluate import EvaluateRecipe
from workbench.recipes.train import TrainEmbeddingRecipe, TrainRecipe
from workbench.workspace import Workspace

#: What ``--kind`` can be, and the recipe that each has.
KINDS: dict[str, type[TrainRecipe]] = {"embedding": TrainEmbeddingRecipe}


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    training = commands.add_parser("train", parents=[shared], help="fine-tune a model")
    training.add_argument(
        "--kind", choices=list(KINDS), default="embedding", help="the kind of model"
    )
    # Only what was typed is handed on, so that --recipe FILE may bring the required fields.
    training.add_argument(
        "--dataset",
        dest=PREFIX + "dataset",
        default=argparse.SUPPRESS,
        metavar="NAME",
        help="the data set to train and evaluate on",
    )
    add_fields(training, TrainEmbeddingRecipe, skip=("dataset",))
    add_settings(training, TrainEmbeddingRecipe)
    training.set_defaults(command=_train)

    evaluating = commands.add_parser(
        "evaluate", parents=[shared], help="measure models side by side"
    )
    evaluating.add_argument(
        "--model",
        dest=PREFIX + "models",
        action="append",
        required=True,
        metavar="MODEL",
        help="a model to measure; give it several times, the original first",
    )
    add_fields(evaluating, EvaluateRecipe, skip=("models",))
    evaluating.set_defaults(command=_evaluate)


def _train(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    recipe = KINDS[args.kind]
    job = run_job(workspace, recipe.read(read_values(args, recipe)))
    result = {"job": job.id, "status": job.status.value, **(job.result or {})}
    return result, _train_words(result)


def _evaluate(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    job = run_job(workspace, EvaluateRecipe.read(read_values(args, EvaluateRecipe)))
    result = job.result or {}
    return result, to_text(build_table(result))


def _train_words(result: dict[str, Any]) -> str:
    metric = result["metric"]
    before = (result.get("baseline") or {}).get(metric)
    after = (result.get("best") or {}).get(metric)
    lines = [f"{result['model']}: {result['steps']} steps in {result['seconds']:.0f} seconds."]
    if before is None or after is None:
        lines.append("The data set has no dev queries, so nothing was measured during training.")
    else:
        verdict = "better" if result["beats_base"] else "no better than the original"
        lines.append(f"{metric} on dev: {before:.3f} before, {after:.3f} after: {verdict}.")
    return "\n".join(lines)
