"""``data doctor``: examine a data set, and mend what was found."""

import argparse
from typing import Any

from workbench.cli.output import say
from workbench.cli.running import PREFIX, add_settings, read_values, run_job
from workbench.errors import BadInput
from workbench.recipes.doctor import DoctorRecipe, MendRecipe
from workbench.workspace import Workspace

_SHOWN = 3
_CLIP = 160


def add(actions: Any, shared: argparse.ArgumentParser) -> None:
    """The action, below ``data``."""
    parser = actions.add_parser(
        "doctor", parents=[shared], help="examine a data set, and mend what was found"
    )
    parser.add_argument(PREFIX + "dataset", metavar="NAME")
    parser.add_argument(
        "--judge",
        dest=PREFIX + "judge",
        default=argparse.SUPPRESS,
        metavar="MODEL",
        help="a model that looks for likely false negatives",
    )
    parser.add_argument(
        "--mend",
        nargs="+",
        default=[],
        metavar="CODE",
        help="mend these findings (or mends) as a new version; an examination of just this version "
        "with the same settings is taken where there is one",
    )
    parser.add_argument(
        "--report", metavar="JOB", help="'--mend': by the report of this examination (a job's id)"
    )
    add_settings(parser, DoctorRecipe)
    parser.set_defaults(command=_doctor)


def _doctor(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    from workbench.doctor.mend import read_report

    recipe = DoctorRecipe.read(read_values(args, DoctorRecipe))
    if args.report and not args.mend:
        raise BadInput("'--report' says by which report to mend.", "Add --mend with what to mend.")
    id = _known(workspace, recipe, args) if args.mend else None
    again = id is None
    if id is None:
        id = run_job(workspace, recipe).id
    report = {"job": id, "examined_again": again, **read_report(workspace, id)}
    words = report_words(report)
    if not args.mend:
        return report, words
    say(words if again else f"By the report of the examination {id}.")
    mending = MendRecipe(dataset=recipe.dataset, report=id, mends=args.mend)
    mended = run_job(workspace, mending).result or {}
    return {**report, "mended": mended}, mended_words(mended)


def _known(workspace: Workspace, recipe: DoctorRecipe, args: argparse.Namespace) -> str | None:
    """The report to mend by, where one is named or there; a judge is not asked twice."""
    from workbench.doctor.mend import find_report, fresh_report

    if args.report:
        return find_report(workspace, recipe.dataset, args.report)
    given = recipe.model_dump(mode="json", include=set(recipe.model_fields_set) - {"dataset"})
    return fresh_report(workspace, recipe.dataset, given, args.mend)


def report_words(report: dict[str, Any]) -> str:
    """The findings with their first examples and mends, in lines."""
    lines = [f"{report['dataset']}, version {report['version']}"]
    for one in report["findings"]:
        share = f" ({one['share']:.1%} of {one['of']:,})" if one["of"] else ""
        lines.append(f"\n{one['severity']}: {one['code']}: {one['count']:,}{share}")
        lines.append(f"  {one['sentence']}")
        for example in one["examples"][:_SHOWN]:
            lines.append("    - " + " | ".join(_example(example)))
        lines += [f"  --mend {mend['code']}: {mend['sentence']}" for mend in one["mends"]]
    if not report["findings"]:
        lines.append("Nothing was found.")
    return "\n".join([*lines, "", *report["notes"]]).strip()


def mended_words(done: dict[str, Any]) -> str:
    """What a mend changed."""
    lines = [f"'{done['dataset']}' is at version {done['version']} now."]
    lines += [f"  {sentence}" for sentence in done["sentences"]]
    for kind, count in done["after"].items():
        if done["before"][kind] != count:
            lines.append(f"  {kind}: {done['before'][kind]:,} before, {count:,} now")
    return "\n".join(lines)


def _example(example: dict[str, Any]) -> list[str]:
    said = [f"{text['role']}: {_flat(text['text'])}" for text in example["texts"]]
    return [*said, example["note"]] if example["note"] else said


def _flat(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _CLIP else flat[: _CLIP - 1] + "…"
