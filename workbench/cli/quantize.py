"""``quantize``: a model in a smaller format, and the lab that measures what it costs."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.cli.output import columns, size_words
from workbench.cli.running import PREFIX, add_fields, read_values, run_job
from workbench.comparison.conditions import conditions
from workbench.comparison.names import HEADLINE
from workbench.quantization.methods import signed
from workbench.recipes.quantize import QuantizeLabRecipe, QuantizeRecipe
from workbench.workspace import Workspace

_HEAD = (
    *("method", "size", "memory", "ms/query", "ms/document", HEADLINE, "ndcg@10", "recall@100"),
    *("top 10", "ranks", "within its bound"),
)


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    quantizing = commands.add_parser(
        "quantize", parents=[shared], help="save a model in a smaller or faster format"
    )
    quantizing.add_argument(PREFIX + "model", metavar="MODEL", help="a name, a folder or a Hub id")
    add_fields(quantizing, QuantizeRecipe, skip=("model",))
    quantizing.set_defaults(command=_quantize)

    lab = commands.add_parser(
        "quantize-lab",
        parents=[shared],
        help="measure smaller formats of a model and its embeddings against the original",
    )
    add_fields(lab, QuantizeLabRecipe, skip=("methods", "vectors"))
    for name in ("methods", "vectors"):
        lab.add_argument(
            f"--{name}",
            dest=PREFIX + name,
            nargs="*",
            default=argparse.SUPPRESS,
            help=QuantizeLabRecipe.model_fields[name].description,
        )
    lab.set_defaults(command=_lab)


def _quantize(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    job = run_job(workspace, QuantizeRecipe.read(read_values(args, QuantizeRecipe)))
    result = {"job": job.id, **(job.result or {})}
    return result, quantize_words(result)


def quantize_words(result: Mapping[str, Any]) -> str:
    """A quantized model in sentences."""
    parity = result["parity"]
    return (
        f"'{result['source']}' in {result['method']}: '{result['model']}', "
        f"{size_words(result['bytes'])} instead of {size_words(result['bytes_before'])}.\n"
        f"On {parity['texts']} texts of {parity['from']} it agrees with the original to "
        f"{parity['agreement']:.4f} (1 is the same), at most "
        f"{parity['largest_difference']:.1e} apart."
    )


def _lab(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    job = run_job(workspace, QuantizeLabRecipe.read(read_values(args, QuantizeLabRecipe)))
    result = {"job": job.id, **(job.result or {})}
    return result, lab_words(result)


def lab_words(result: Mapping[str, Any]) -> str:
    """The lab's tables, and what to take of each."""
    parts = []
    for panel, title in (("models", "Weights"), ("vectors", "Embeddings")):
        if result[panel]:
            parts += [title, columns(_HEAD, [_row(row) for row in result[panel]])]
            parts += _taken(result, panel)
    parts += [" ".join(said)] if (said := _how(result)) else []
    return "\n\n".join(parts)


def _how(result: Mapping[str, Any]) -> list[str]:
    return [*conditions(result, [result]), *result.get("notes", ())]


def _taken(result: Mapping[str, Any], panel: str) -> list[str]:
    if not result[f"{panel}_take"]:
        return []
    return [f"Recommended: {result[f'{panel}_take']}. {result[f'{panel}_why']}"]


def _row(row: Mapping[str, Any]) -> Sequence[str]:
    if "error" in row:
        return [str(row["name"]), *[""] * (len(_HEAD) - 2), str(row["error"])]
    met = "met" if row["met"] else "failed"
    return [
        str(row["name"]),
        size_words(row["bytes"]),
        size_words(row["memory"]),
        f"{row['milliseconds_per_query']:.1f}",
        f"{row['milliseconds_per_document']:.1f}",
        *(f"{row[metric]:.3f}" for metric in (HEADLINE, "ndcg@10", "recall@100")),
        f"{row['overlap@10']:.3f}",
        f"{row['rank_correlation']:.3f}",
        "" if not row["bound"] else f"{met} ({signed(-row['lost'])} of {row['bound']:g})",
    ]
