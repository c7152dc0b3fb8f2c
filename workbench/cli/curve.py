"""``learn-curve``: how much more labels would bring, by training on growing shares of those there
are."""

import argparse
from collections.abc import Mapping
from typing import Any

from workbench.cli.output import columns
from workbench.cli.running import Commands, add_fields, run_recipe, with_id
from workbench.comparison.names import HEADLINE, label
from workbench.recipes.curve import LearningCurveRecipe
from workbench.workspace import Workspace


def add(commands: Commands) -> None:
    parser = commands.add(
        "learn-curve", _learn_curve, "how much data you need: what twice the labels would bring"
    )
    add_fields(parser, LearningCurveRecipe)


def _learn_curve(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    result = with_id(run_recipe(workspace, args, LearningCurveRecipe))
    return result, curve_words(result)


def curve_words(result: Mapping[str, Any]) -> str:
    """A line per share, then the forecast."""
    head = ["share", "rows", label(HEADLINE), "folds", "gain", "95% interval"]
    base = ["base", "0", f"{result['baseline']:.3f}", "", "", ""]
    lines = [
        [
            f"{one['share']:g}%",
            f"{one['rows']:,}",
            f"{one[HEADLINE]:.3f}",
            " ".join(f"{value:.3f}" for value in one["folds"]),
            f"{one['gain']:+.3f}",
            "[{:+.3f}, {:+.3f}]".format(*one["gain_ci95"]),
        ]
        for one in result["points"]
    ]
    measured = f"{result['measured_queries']} queries, each measured by a model that never saw it."
    notes = " ".join(result.get("notes") or ())
    parts = [columns(head, [base, *lines]), measured, notes, str(result["sentence"])]
    return "\n\n".join(filter(None, parts))
