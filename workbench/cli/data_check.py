"""``data check``: look for what is wrong with a data set, and fix it."""

import argparse
from typing import Any

from workbench.cli.output import clip, say
from workbench.cli.running import PREFIX, Commands, add_settings, read_values, run_job
from workbench.errors import BadInput
from workbench.recipes.data import DataCheckRecipe, DataFixRecipe
from workbench.workspace import Workspace

_SHOWN = 3


def add(actions: Commands) -> None:
    """The action, below ``data``."""
    parser = actions.add("check", _check, "look for problems in a data set, and fix them")
    parser.add_argument(PREFIX + "dataset", metavar="NAME")
    parser.add_argument(
        "--judge",
        dest=PREFIX + "judge",
        default=argparse.SUPPRESS,
        metavar="MODEL",
        help="a model that looks for likely false negatives",
    )
    parser.add_argument(
        "--fix",
        nargs="+",
        default=[],
        metavar="CODE",
        help="fix these findings (or apply these fixes) as a new version; a data check of this "
        "version with the same settings is reused where there is one",
    )
    parser.add_argument(
        "--report",
        metavar="JOB",
        help="for '--fix': the data check whose report is used (a job's id)",
    )
    add_settings(parser, DataCheckRecipe)


def _check(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    from workbench.data_check.fix import read_report

    recipe = DataCheckRecipe.read(read_values(args, DataCheckRecipe))
    if args.report and not args.fix:
        raise BadInput("'--report' says which report --fix uses.", "Add --fix with what to fix.")
    id = _known(workspace, recipe, args) if args.fix else None
    checked_again = id is None
    if id is None:
        id = run_job(workspace, recipe).id
    report = {"job": id, "checked_again": checked_again, **read_report(workspace, id)}
    words = report_words(report)
    if not args.fix:
        return report, words
    say(words if checked_again else f"From the report of the data check {id}.")
    fixing = DataFixRecipe(dataset=recipe.dataset, report=id, fixes=args.fix)
    fixed = run_job(workspace, fixing).result or {}
    return {**report, "fixed": fixed}, fixed_words(fixed)


def _known(workspace: Workspace, recipe: DataCheckRecipe, args: argparse.Namespace) -> str | None:
    """The id of the report to fix by: the named one, or one of the same settings, so that a judge
    need not score the same pairs twice; None where the data has to be checked first."""
    from workbench.data_check.fix import find_report, fresh_report

    if args.report:
        return find_report(workspace, recipe.dataset, args.report)
    given = recipe.model_dump(mode="json", include=set(recipe.model_fields_set) - {"dataset"})
    return fresh_report(workspace, recipe.dataset, given, args.fix)


def report_words(report: dict[str, Any]) -> str:
    """The findings with their first examples and fixes, in lines."""
    lines = [f"{report['dataset']}, version {report['version']}"]
    for one in report["findings"]:
        share = f" ({one['share']:.1%} of {one['of']:,})" if one["of"] else ""
        lines.append(f"\n{one['severity']}: {one['code']}: {one['count']:,}{share}")
        lines.append(f"  {one['sentence']}")
        for example in one["examples"][:_SHOWN]:
            lines.append("    - " + " | ".join(_example(example)))
        lines += [f"  --fix {fix['code']}: {fix['sentence']}" for fix in one["fixes"]]
    if not report["findings"]:
        lines.append("Nothing was found.")
    return "\n".join([*lines, "", *report["notes"]]).strip()


def fixed_words(done: dict[str, Any]) -> str:
    """What a fix changed."""
    lines = [f"'{done['dataset']}' is at version {done['version']} now."]
    lines += [f"  {sentence}" for sentence in done["sentences"]]
    for kind, count in done["after"].items():
        if done["before"][kind] != count:
            lines.append(f"  {kind}: {done['before'][kind]:,} before, {count:,} now")
    return "\n".join(lines)


def _example(example: dict[str, Any]) -> list[str]:
    said = [f"{text['role']}: {clip(text['text'])}" for text in example["texts"]]
    return [*said, example["note"]] if example["note"] else said
