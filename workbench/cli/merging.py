"""``merge`` and ``blend``: what comes after training."""

import argparse
from typing import Any

from workbench.cli.output import columns
from workbench.cli.running import PREFIX, add_fields, read_values, run_job
from workbench.comparison.conditions import blended
from workbench.recipes.merge import BlendRecipe, MergeRecipe
from workbench.workspace import Workspace


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    merging = commands.add_parser(
        "merge", parents=[shared], help="merge an adapter into its base model and check the result"
    )
    merging.add_argument(PREFIX + "model", metavar="MODEL", help="the adapter: a name or a folder")
    add_fields(merging, MergeRecipe, skip=("model",))
    merging.set_defaults(command=_merge)

    blending = commands.add_parser(
        "blend", parents=[shared], help="interpolate between a fine-tuned model and its base"
    )
    blending.add_argument(PREFIX + "model", metavar="MODEL", help="the fine-tuned model")
    add_fields(blending, BlendRecipe, skip=("model",))
    blending.set_defaults(command=_blend)


def _merge(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    job = run_job(workspace, MergeRecipe.read(read_values(args, MergeRecipe)))
    result = {"job": job.id, **(job.result or {})}
    return result, merge_words(result)


def merge_words(result: dict[str, Any]) -> str:
    """A merge's result in sentences."""
    parity, drift, metrics = result["parity"], result["drift"], result["metrics"]
    lines = [
        f"Merged '{result['adapter']}' into '{result['base']}': '{result['model']}'.",
        f"On {parity['texts']} texts of {parity['from']} the merged model is at most "
        f"{parity['largest_difference']:.1e} from the adapter on its full-precision base "
        f"({parity['allowed']:g} is allowed).",
    ]
    if drift and "largest_difference" in drift:
        lines.append(
            f"From the model as it was trained (over {drift['against']} weights): at most "
            f"{drift['largest_difference']:.1e}, {drift['mean_difference']:.1e} in the mean."
        )
    if metrics:
        name = metrics["metric"]
        before = metrics["trained"].get(name)
        was = "" if before is None else f" ({before:.3f} as it was trained)"
        lines.append(f"{name} on dev: {metrics['merged'][name]:.3f}{was}.")
    return "\n".join(lines)


def _blend(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    job = run_job(workspace, BlendRecipe.read(read_values(args, BlendRecipe)))
    result = {"job": job.id, **(job.result or {})}
    return result, blend_words(result)


def blend_words(result: dict[str, Any]) -> str:
    """A line per ratio, a column per data set; then the kept model's name."""
    metric, rows = result["metric"], result["rows"]
    names = list(dict.fromkeys(row["dataset"] for row in rows))
    values = {(row["ratio"], row["dataset"]): row[metric] for row in rows}
    lines = [
        [f"{ratio:g}", *(f"{values[ratio, name]:.3f}" for name in names)]
        for ratio in result["ratios"]
    ]
    text = columns(["ratio", *(f"{metric} on {name}" for name in names)], lines)
    splits = list(dict.fromkeys(f"{row['dataset']}: {row['split']}" for row in rows))
    said = [f"Queries asked: {', '.join(splits)}.", *blended(result)]
    text += f"\n\n{' '.join(said)}"
    if result["model"]:
        text += f"\n\nKept the ratio {result['kept']:g} as the model '{result['model']}'."
    return text
