"""``models``, and what makes new ones of them: ``merge``, ``blend`` and ``quantize``."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from storage.records import Model
from workbench.cli.output import columns, size_words
from workbench.cli.running import (
    PREFIX,
    Commands,
    add_fields,
    add_push,
    add_settings,
    follow,
    read_values,
    run_recipe,
    typed_token,
    with_id,
)
from workbench.comparison.names import HEADLINE
from workbench.comparison.table import blended, conditions
from workbench.errors import BadInput
from workbench.model_kinds import MODEL_KINDS
from workbench.models.contract import Contract
from workbench.models.precision import decisions, told
from workbench.models.resolve import catalogue, manner
from workbench.recipes.base import ContractRecipe
from workbench.recipes.data import AddModelRecipe
from workbench.recipes.merge import BlendRecipe, MergeRecipe
from workbench.recipes.push import PushModelRecipe
from workbench.recipes.quantize import QuantizeLabRecipe, QuantizeRecipe, signed
from workbench.takeaway.push import submit
from workbench.takeaway.snippet import use_lines, write_in_own_process
from workbench.workspace import Workspace

# ``models push`` and ``models script``: a model to a hub, and its run as a script.


def _add_take_actions(actions: Commands) -> None:
    """The two actions, below ``models``."""
    add_push(actions, _push, "model")

    scripting = actions.add(
        "script", _script, "write a model's training run as a standalone train.py with its rows"
    )
    scripting.add_argument("name", help="a trained model, or the job that trained it")
    scripting.add_argument("--output", required=True, metavar="FOLDER", help="where to write it")


def _push(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    recipe = PushModelRecipe.read(
        {"model": args.name, "repo": args.repo, "private": not args.public}
    )
    done = follow(workspace, submit(workspace, recipe, typed_token())).result or {}
    return done, f"'{done['model']}' is at {done['address']}."


def _script(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    model = _trained(workspace, args.name)
    folder = Path(args.output).expanduser().absolute()
    written = write_in_own_process(workspace, model, folder)
    return written, f"Wrote train.py, rows.jsonl, batches.jsonl and README.md into {folder}."


def _trained(workspace: Workspace, name: str) -> str:
    """The id of the model of that name, or of the one that the job of that id trained."""
    if not workspace.models.exists(name):
        made = [model for model in workspace.models.list() if model.job_id == name]
        if made:
            return made[0].id
    return workspace.models.get(name).id


def add(commands: Commands) -> None:
    actions = commands.group("models", "models: add, set, list, show, remove, export, catalogue")

    adding = actions.add("add", _add, "copy a model into the workspace")
    adding.add_argument(PREFIX + "source", metavar="PATH", help="a folder or a Hub id")
    add_fields(adding, AddModelRecipe, skip=("source",))
    add_settings(adding, AddModelRecipe)

    setting = actions.add(
        "set", _set, "change a model's usage settings: models set NAME pooling=cls"
    )
    setting.add_argument("name")
    setting.add_argument("settings", nargs="+", metavar="FIELD=VALUE")

    actions.add("list", _list, "all models")

    for name, function, words in (
        ("show", _show, "a model's contract and results"),
        ("remove", _remove, "delete a model"),
    ):
        action = actions.add(name, function, words)
        action.add_argument("name")

    browsing = actions.add(
        "catalogue", _catalogue, "base models to start from; nothing is downloaded"
    )
    browsing.add_argument("--kind", choices=MODEL_KINDS.names(), help="only this kind")

    exporting = actions.add("export", _export, "write a model as a zip file")
    exporting.add_argument("name")
    exporting.add_argument("--to", required=True, metavar="FILE", help="the zip file to write")
    _add_take_actions(actions)


def _add(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    result = run_recipe(workspace, args, AddModelRecipe).result or {}
    return result, f"Added the model '{result.get('model')}'."


def _set(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    from workbench.models.jobs import edit

    for name in (one.partition("=")[0].strip() for one in args.settings):
        if name in Contract.model_fields and name not in ContractRecipe.model_fields:
            raise BadInput(
                f"'{name}' follows from the model's weights and cannot be set.",
                f"What can be set: {', '.join(ContractRecipe.model_fields)}.",
            )
    wanted = ContractRecipe.read(read_values(args, ContractRecipe))
    done = edit(workspace, args.name, wanted)
    about = {"model": done.model.name, "changed": list(done.changed), "notes": list(done.notes)}
    said = [f"{name:<18} {done.model.contract[name]!r}" for name in done.changed]
    text = "\n".join([*said, *done.notes]) or f"'{done.model.name}' is used like this already."
    return {**about, "contract": done.model.contract}, text


def _list(workspace: Workspace, _args: argparse.Namespace) -> tuple[Any, str]:
    workspace.models.ensure_packaged()
    found = [_about(workspace, model) for model in workspace.models.list()]
    rows = [[m["name"], m["kind"], m["base"] or "", size_words(m["bytes"])] for m in found]
    return found, columns(["name", "kind", "base", "disk"], rows)


def _show(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    workspace.models.ensure_packaged()
    model = workspace.models.get(args.name)
    about = _about(workspace, model)
    about["used_by"] = list(workspace.models.used_by(args.name))
    lines = [f"{key:<16} {value}" for key, value in about.items() if key != "contract"]
    lines += [f"  {key:<18} {value!r}" for key, value in about["contract"].items()]
    # One of this name may have been measured before it.
    about["engines"] = decisions(workspace.home, model.name, model.created_at)
    lines += ["", *map(told, about["engines"])] if about["engines"] else []
    about["use"] = use_lines(workspace, model)
    lines += ["", *about["use"].splitlines()]
    return about, "\n".join(lines)


def _remove(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    model = workspace.models.get(args.name)
    workspace.models.remove(model.name)
    return {"removed": model.name}, f"Removed the model '{model.name}'."


def _export(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    from workbench.models.files import export_zip
    from workbench.takeaway.snippet import replaced_files

    model = workspace.models.get(args.name)
    instead = replaced_files(workspace, model)
    written = export_zip(workspace.models.folder(model.name), Path(args.to), instead)
    return {"model": model.name, "file": str(written)}, f"Wrote {written}."


def _catalogue(_workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    found = catalogue(args.kind)
    rows = [
        [
            m.id, m.kind, m.languages, _megabytes(m.size), str(m.max_len or "not known"),
            manner(m) or "-", m.licence or "not known",
        ]
        for m in found
    ]  # fmt: skip
    header = ["id (use it as --model)", "kind", "languages", "size", "tokens", "use", "licence"]
    return [model.model_dump() for model in found], columns(header, rows)


def _megabytes(size: int | None) -> str:
    return size_words(size * 1_000_000) if size else "not known"


def _about(workspace: Workspace, model: Model) -> dict[str, Any]:
    return {
        "name": model.name,
        "kind": model.kind,
        "base": model.base,
        "verdict": model.verdict,
        "summary": model.summary,
        "contract": model.contract,
        "folder": str(workspace.models.folder(model.name)),
        "bytes": workspace.models.bytes(model),
        "created_at": model.created_at,
    }


# ``merge`` and ``blend``: what comes after training.


def add_merging(commands: Commands) -> None:
    merging = commands.add(
        "merge", _merge, "merge an adapter into its base model and check the result"
    )
    merging.add_argument(PREFIX + "model", metavar="MODEL", help="the adapter: a name or a folder")
    add_fields(merging, MergeRecipe, skip=("model",))

    blending = commands.add("blend", _blend, "interpolate between a fine-tuned model and its base")
    blending.add_argument(PREFIX + "model", metavar="MODEL", help="the fine-tuned model")
    add_fields(blending, BlendRecipe, skip=("model",))


def _merge(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    result = with_id(run_recipe(workspace, args, MergeRecipe))
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
    result = with_id(run_recipe(workspace, args, BlendRecipe))
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


# ``quantize``: a model in a smaller format, and the lab that measures what it costs.

_HEAD = (
    *("method", "size", "memory", "ms/query", "ms/document", HEADLINE, "ndcg@10", "recall@100"),
    *("top 10", "ranks", "within its bound"),
)


def add_quantize(commands: Commands) -> None:
    quantizing = commands.add("quantize", _quantize, "save a model in a smaller or faster format")
    quantizing.add_argument(PREFIX + "model", metavar="MODEL", help="a name, a folder or a Hub id")
    add_fields(quantizing, QuantizeRecipe, skip=("model",))

    lab = commands.add(
        "quantize-lab",
        _lab,
        "measure smaller formats of a model and its embeddings against the original",
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


def _quantize(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    result = with_id(run_recipe(workspace, args, QuantizeRecipe))
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
    result = with_id(run_recipe(workspace, args, QuantizeLabRecipe))
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
