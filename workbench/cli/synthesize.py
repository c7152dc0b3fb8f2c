"""``synthesize``: have questions written for the documents of a data set."""

import argparse
from typing import Any

from workbench.cli.running import (
    PREFIX,
    add_fields,
    add_settings,
    allow_typed_key,
    read_values,
    run_job,
)
from workbench.recipes.describe import describe
from workbench.recipes.synthesize import SynthesizeRecipe
from workbench.workspace import Workspace

_SHORT = 160


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "synthesize",
        parents=[shared],
        help="generate queries from documents with a language model",
        description="Have questions written for passages ('synthesize --dataset D --endpoint URL "
        "--endpoint-model M', or '--local-model M'); they make a new version of the data set. "
        "'--preview --passages 3' shows what comes first. The key stays in the environment.",
    )
    data = next(spec for spec in describe(SynthesizeRecipe) if spec.name == "dataset")
    parser.add_argument(
        "--dataset", dest=PREFIX + "dataset", default=argparse.SUPPRESS, help=data.help
    )
    add_fields(parser, SynthesizeRecipe, skip=("dataset",))
    add_settings(parser, SynthesizeRecipe)
    parser.set_defaults(command=_command)


def _command(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    allow_typed_key(workspace, args)
    recipe = SynthesizeRecipe.read(read_values(args, SynthesizeRecipe))
    job = run_job(workspace, recipe)
    result = {"job": job.id, **(job.result or {})}
    return result, words(result)


def words(result: dict[str, Any]) -> str:
    """What was written, what it took, what was left out, and a few of it."""
    lines = [
        f"{result['written']:,} questions for {result['answered']:,} of {result['passages']:,} "
        f"passages, written by {result['writer']}.",
        tokens_words(result["tokens"]),
    ]
    if result["without"]:
        lines.append(f"{result['without']:,} answers hold no question.")
    lines += [f"{count:,} passages failed: {why}" for why, count in result["failures"].items()]
    if result["version"] is not None:
        if result["round_trip"]:
            lines.append(
                f"{result['dropped']:,} dropped: their passage is not among the first "
                f"{result['round_trip_k']} of {result['round_trip']}."
            )
        if result["known"]:
            lines.append(f"{result['known']:,} are asked already and were left out.")
        lines.append(
            f"{result['kept']:,} new queries: '{result['dataset']}' is now version "
            f"{result['version']}."
        )
    for one in result["examples"]:
        lines += [f"\n{_flat(one['passage'])}", *(f"  ? {text}" for text in one["questions"])]
    return "\n".join(lines)


def tokens_words(tokens: dict[str, Any]) -> str:
    if not tokens["told"] and not tokens["prompt"]:
        return "The endpoint does not say how many tokens it took."
    least = "" if tokens["told"] else " at least; some answers do not say"
    return f"It took {tokens['prompt']:,} + {tokens['completion']:,} tokens (in + out){least}."


def _flat(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _SHORT else flat[: _SHORT - 1] + "…"
