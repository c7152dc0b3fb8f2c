"""``train`` and ``evaluate``: the two jobs that make and judge models."""

import argparse
from typing import Any

from workbench.cli import train
from workbench.cli.evaluations import export_result
from workbench.cli.output import say
from workbench.cli.running import PREFIX, add_fields, read_values, run_job
from workbench.comparison.text import result_text
from workbench.recipes.evaluate import EvaluateRecipe
from workbench.workspace import Workspace


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    train.add(commands, shared)

    evaluating = commands.add_parser(
        "evaluate", parents=[shared], help="measure models side by side"
    )
    evaluating.add_argument(
        "--model",
        dest=PREFIX + "models",
        action="append",
        required=True,
        metavar="MODEL",
        help="a model to measure ('bm25' is one); give it several times, the original first",
    )
    evaluating.add_argument(
        "--reranker",
        dest=PREFIX + "rerankers",
        action="append",
        default=argparse.SUPPRESS,
        metavar="MODEL",
        help="a second stage to order what each first stage found; may be given several times",
    )
    add_fields(evaluating, EvaluateRecipe, skip=("models", "rerankers"))
    evaluating.add_argument(
        "--export-trec",
        metavar="DIR",
        help="also write each ranking and its judgments there as TREC files",
    )
    evaluating.set_defaults(command=_evaluate)


def _evaluate(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    job = run_job(workspace, EvaluateRecipe.read(read_values(args, EvaluateRecipe)))
    result = job.result or {}
    if args.export_trec:
        say(export_result(workspace, result, args.export_trec))
    return result, result_text(result)
