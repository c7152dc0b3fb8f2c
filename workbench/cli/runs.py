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
        "evaluate", parents=[shared], help="compare models on a data set"
    )
    evaluating.add_argument(
        "--model",
        dest=PREFIX + "models",
        action="append",
        required=True,
        metavar="MODEL",
        help="a model to measure ('bm25' is one); may be given several times, the baseline first",
    )
    evaluating.add_argument(
        "--reranker",
        dest=PREFIX + "rerankers",
        action="append",
        default=argparse.SUPPRESS,
        metavar="MODEL",
        help="a model that re-ranks what each model found; may be given several times",
    )
    add_fields(evaluating, EvaluateRecipe, skip=("models", "rerankers"))
    evaluating.add_argument(
        "--export-trec",
        metavar="DIR",
        help="also write each run and its qrels there as TREC files",
    )
    evaluating.set_defaults(command=_evaluate)


def _evaluate(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    job = run_job(workspace, EvaluateRecipe.read(read_values(args, EvaluateRecipe)))
    result = job.result or {}
    if args.export_trec:
        say(export_result(workspace, result, args.export_trec))
    return result, result_text(result)
