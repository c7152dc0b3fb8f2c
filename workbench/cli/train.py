"""``train`` and ``sweep``: fine-tune a model, from options, a recipe file, or an old command; and
``learn-curve``: what more labels would bring, by training on growing shares of those there are."""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.records import Job
from workbench.cli.output import columns, say
from workbench.cli.running import (
    PREFIX,
    Commands,
    JobFailed,
    add_field,
    add_fields,
    add_settings,
    follow,
    read_values,
    run_job,
    run_recipe,
    typed,
    with_id,
    words,
)
from workbench.comparison.names import HEADLINE, label
from workbench.errors import BadInput, BadRecipe
from workbench.jobs.suggested import suggestion
from workbench.models.resolve import resolve
from workbench.recipes.curve import LearningCurveRecipe
from workbench.recipes.data import ImportRecipe
from workbench.recipes.decided import AS_WRITTEN, AUTO, with_changes
from workbench.recipes.describe import FieldSpec, describe
from workbench.recipes.evaluate import STEPS, MeasureRecipe
from workbench.recipes.train import KINDS, TrainRecipe
from workbench.takeaway.sweeps import plan, recipe_of, results, start, sweep_of, swept
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from workbench.commands import Imported


def add(commands: Commands) -> None:
    training = commands.add("train", _train, "fine-tune a model")
    training.add_argument(
        "--kind", choices=list(KINDS), help=f"the kind of model (default: {_default()})"
    )
    training.add_argument(
        "--from-command",
        metavar="FILE",
        help="take everything from a FlagEmbedding, EmbedRAG, open-retrievals or "
        "sentence-transformers command, or an AutoTrain YAML ('-' reads it from stdin)",
    )
    training.add_argument(
        "--clone",
        metavar="JOB",
        help="take all settings from an earlier run; options override them",
    )
    training.add_argument(
        "--fitting",
        type=int,
        nargs="?",
        const=1,
        metavar="N",
        help="with --clone of a run that ran out of memory: take its suggestion N (default: 1)",
    )
    # Only what was typed is handed on, so that --recipe FILE may bring the required fields.
    training.add_argument(
        "--dataset",
        dest=PREFIX + "dataset",
        default=argparse.SUPPRESS,
        metavar="NAME",
        help="the data set to train and evaluate on",
    )
    for spec in all_fields():
        if spec.name != "dataset":
            add_field(training, spec)
    add_settings(training, *KINDS.values())
    training.add_argument(
        "--check",
        action="store_true",
        help="describe the run, estimate its memory and warn, without training",
    )
    training.add_argument(
        "--measure",
        type=int,
        nargs="?",
        const=STEPS,
        metavar="N",
        help="with --check: train N real steps for measured time and memory, and keep nothing "
        f"(default: {STEPS})",
    )


def _default() -> str:
    return next(iter(KINDS))


def all_fields() -> list[FieldSpec]:
    """The fields of all kinds, each once: with every kind's choices, which the chosen kind's recipe
    checks, and without a default where the kinds have different ones."""
    found: dict[str, FieldSpec] = {}
    for recipe in KINDS.values():
        for spec in describe(recipe):
            known = found.setdefault(spec.name, spec)
            if known.choices != spec.choices:
                choices = tuple(dict.fromkeys(known.choices + spec.choices))
                known = found[spec.name] = replace(known, choices=choices)
            if known.default != spec.default:
                found[spec.name] = replace(known, default=None)
    return list(found.values())


def _train(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    recipe = read_recipe(workspace, args)
    if args.check:
        return _check(workspace, recipe, args.measure)
    job = run_job(workspace, recipe)
    result = {"job": job.id, "status": job.status.value, **(job.result or {})}
    return result, words(result)


def _check(workspace: Workspace, recipe: TrainRecipe, steps: int | None) -> tuple[Any, str]:
    # Brings numpy and Arrow, which other commands do without.
    from workbench.auto.outlook import before
    from workbench.checks import by_rules, check
    from workbench.checks.run_facts import lines

    report, found = check(workspace, recipe), before(workspace, recipe)
    data, said = report.to_dict(), [report.lines()]
    if found is not None:
        data["outlook"] = found.to_dict()
        said += found.lines()
    if steps is not None:
        plain, *_ = by_rules(workspace, recipe)
        data["measured"] = with_id(run_job(workspace, MeasureRecipe.of(plain, steps)))
        said.append(lines(data["measured"]))
    return data, "\n".join(said)


def read_recipe(workspace: Workspace, args: argparse.Namespace) -> TrainRecipe:
    """The recipe that the arguments ask for; raises :class:`BadRecipe`.

    A data set that only an old command names is imported by then, if all else is right.
    """
    _refuse_alone(args)
    cloned = _clone(workspace, args) if args.clone else None
    if cloned and args.from_command:
        raise BadInput("--clone and --from-command are two sources.", "Give one of them.")
    command = _read(args.from_command, args.kind) if args.from_command else None
    kind = args.kind or (cloned or command or KINDS[_default()]).kind
    recipe = KINDS[kind]
    _refuse_other_kinds(args, kind)
    if cloned and type(cloned) is not recipe:
        raise BadInput(
            f"The run {args.clone} is of the kind {cloned.kind}, not {kind}.", "Leave --kind out."
        )
    before = cloned.model_dump(mode="json") if cloned else command.values if command else None
    values = read_values(args, recipe, before=before, preset=_usual_preset(args, recipe))
    if command is None:
        return recipe.read(values)
    _tell(command)
    if values.get("name") and values["name"] == command.values.get("name"):
        # A command is run again and again; a name that a person types now is taken as it is.
        values["name"] = workspace.models.free_name(values["name"])
    if "dataset" not in values:
        # Checked before the import, which may take long.
        resolve(workspace, recipe.read({**values, "dataset": "-"}).model)
        if args.check:
            raise BadInput(
                "The data of the command is not imported yet, so it cannot be checked.",
                "Import it with 'data add', and name it with --dataset.",
            )
        values["dataset"] = _import(workspace, command)
    return recipe.read(values)


def _usual_preset(args: argparse.Namespace, recipe: type[TrainRecipe]) -> str:
    """What is taken where no preset is named; nothing where something says how long to train."""
    said = args.recipe_file or args.clone or args.from_command
    if said or AUTO not in recipe.presets or typed(args).keys() & set(AS_WRITTEN):
        return ""
    return AUTO


def _refuse_alone(args: argparse.Namespace) -> None:
    """Options that say something about another one."""
    if args.fitting is not None and not args.clone:
        raise BadInput("--fitting is about an earlier run.", "Name it with --clone JOB.")
    if args.measure is not None and not args.check:
        raise BadInput("--measure is a part of the check.", "Write --check --measure.")


def _clone(workspace: Workspace, args: argparse.Namespace) -> TrainRecipe:
    """An earlier run's recipe, with one of the changes that were suggested when it failed."""
    recipe = recipe_of(workspace, args.clone, given=typed(args))
    if args.fitting is None:
        return recipe
    changes = suggestion(workspace.jobs.get(args.clone), args.fitting)["changes"]
    return with_changes(recipe, changes)


def _read(file: str, kind: str | None) -> "Imported":
    from workbench.commands import read_command

    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}.", "Check the path.") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{file} is not text in UTF-8.", "Save it as UTF-8.") from error
    return read_command(text, kind=kind)


def _refuse_other_kinds(args: argparse.Namespace, kind: str) -> None:
    """Options are those of all kinds; the chosen one has not all of them."""
    recipe = KINDS[kind]
    typed = (name.removeprefix(PREFIX) for name in vars(args) if name.startswith(PREFIX))
    if wrong := [name for name in typed if name not in recipe.model_fields]:
        raise BadRecipe(
            f"Training of the kind '{kind}' has no field '{wrong[0]}'.",
            f"Known fields: {', '.join(recipe.model_fields)}.",
        )


def _tell(command: "Imported") -> None:
    """What the command became, for the person who wrote it."""
    listed = ", ".join(f"{name}={value}" for name, value in command.values.items())
    say(f"Read as {command.tool}, kind {command.kind}: {listed}")
    for note in command.notes:
        say(f"  {note}")
    for word in command.unknown:
        say(f"  not understood: {word}")


def _import(workspace: Workspace, command: "Imported") -> str:
    """Import the command's files as a data set; returns its name."""
    from workbench.commands.read import data_mapping, data_name, data_paths

    paths = data_paths(command.data)
    name = workspace.datasets.free_name(data_name(command))
    mapping = data_mapping(command.data.columns)
    run_job(workspace, ImportRecipe.read({"paths": paths, "name": name, "mapping": mapping}))
    say(f"Imported {', '.join(paths)} as the data set '{name}'.")
    return name


# ``sweep``: several runs that differ in one or two fields, and how they compare.


def add_sweep(commands: Commands) -> None:
    sweeping = commands.add("sweep", _sweep, "train several times, with one or two fields changed")
    source = sweeping.add_mutually_exclusive_group(required=True)
    source.add_argument("--from", dest="job", metavar="JOB", help="a run to start from")
    source.add_argument("--show", metavar="JOB", help="show the results of this run's sweep")
    source.add_argument("--recipe", dest="recipe_file", metavar="FILE", help="a recipe.json")
    sweeping.add_argument(
        "--kind", choices=list(KINDS), default=next(iter(KINDS)), help="what --recipe trains"
    )
    sweeping.add_argument(
        "--set",
        dest="changes",
        action="append",
        default=[],
        metavar="FIELD=V1,V2,V3",
        help="the values to try; given twice, every combination of two fields",
    )
    sweeping.add_argument("--queue", action="store_true", help="queue the runs and return at once")


def _sweep(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    if args.show:
        started = sweep_of(workspace, args.show)
    else:
        started = start(workspace, plan(workspace, _first(workspace, args), args.changes))
        for job in () if args.queue else started.jobs:
            _see_through(workspace, workspace.jobs.get(job))
    found = results(workspace, started)
    return found, _sweep_table(found)


def _first(workspace: Workspace, args: argparse.Namespace) -> TrainRecipe:
    if args.job:
        return recipe_of(workspace, args.job, free_name=False, given=swept(args.changes))
    values = read_values(args, KINDS[args.kind])
    # A job's recipe.json holds the recipe, and beside it whose it is.
    if isinstance(values.get("recipe"), dict):
        kinds = {recipe.task: recipe for recipe in KINDS.values()}
        if values.get("task") not in kinds:
            raise BadInput(f"{args.recipe_file} is no recipe of a training run.", "Name another.")
        return kinds[values["task"]].read(values["recipe"])
    return KINDS[args.kind].read(values)


def _see_through(workspace: Workspace, job: Job) -> None:
    """One run that fails does not end the others; the table says so."""
    try:
        follow(workspace, job)
    except JobFailed as error:
        say(f"{job.name}: {error.message}")


def _sweep_table(found: dict[str, Any]) -> str:
    fields = found["fields"]
    metric = found["runs"][0]["metric"]
    rows = [
        [
            *(run["values"][field] for field in fields),
            _number(run["baseline"]),
            _number(run["best"]) + (" *" if run["job"] == found["best"] else ""),
            run["status"],
            run["model"] or "",
            run["job"],
        ]
        for run in found["runs"]
    ]
    header = [*fields, "baseline", f"best {metric}", "status", "model", "job"]
    return columns(header, rows)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def add_curve(commands: Commands) -> None:
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
