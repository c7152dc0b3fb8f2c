"""``evaluations history|published|report`` and ``jobs diff``: what was measured, put together."""

import argparse
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from workbench.cli.output import columns, say
from workbench.cli.running import Commands
from workbench.comparison.names import HEADLINE, METRICS
from workbench.errors import BadInput
from workbench.reports.history import (
    BY,
    SOURCES,
    Measurement,
    headline_metrics,
    history,
    recipe_differences,
    value_text,
)
from workbench.workspace import Workspace


def add(actions: Commands) -> None:
    """The actions below ``evaluations``."""
    past = actions.add("history", _history, "everything ever measured, newest first")
    past.add_argument("--model", metavar="NAME", help="of one model only")
    past.add_argument(
        "--dataset", metavar="NAME", help="of one data set only, which may have been removed"
    )
    past.add_argument("--source", choices=SOURCES, help="of one source only")

    table = actions.add("published", _published, "table of base models: original and fine-tuned")
    table.add_argument("--dataset", metavar="NAME", required=True, help="measured on this data set")
    table.add_argument("--split", choices=("train", "dev", "test"), default="test")
    table.add_argument("--metric", default=HEADLINE, help=f"the metric (default: {HEADLINE})")

    kinds = actions.add("slices", _slices, "a comparison by kind of query: length, language ...")
    kinds.add_argument("id", help="the id of an evaluate or matrix job, or of one evaluation")
    kinds.add_argument("--by", choices=tuple(BY), help="by this property only")
    kinds.add_argument("--metric", choices=METRICS.names(), default=HEADLINE)

    writing = actions.add("report", _report, "a comparison or a matrix as Markdown, HTML or LaTeX")
    writing.add_argument("id", help="the id of an evaluate or matrix job, or of one evaluation")
    writing.add_argument("--format", choices=("md", "html", "tex"), default="md")
    writing.add_argument("--output", metavar="FILE", help="write to this file instead of stdout")


def add_diff(actions: Commands) -> None:
    """``jobs diff``."""
    action = actions.add("diff", _diff, "the differences between two jobs' recipes")
    action.add_argument("first", help="a job's id, or its beginning")
    action.add_argument("second", help="another job's id")


def _history(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    found = history(workspace, args.model, args.dataset, args.source)
    if not found:
        say("Nothing was measured yet. Try: python -m workbench evaluate --dataset NAME ...")
    head = ["measured", "by", "model", "data set", "split", "asked", "measures", "settings", "id"]
    rows = [_row(one) for one in found]
    return [asdict(one) for one in found], columns(head, rows) if found else ""


def _row(one: Measurement) -> list[str]:
    when = datetime.fromtimestamp(one.measured_at).strftime("%Y-%m-%d %H:%M")
    names = headline_metrics(one.metrics)
    measures = [f"{name} {one.metrics[name]:.3f}" for name in names]
    if one.milliseconds is not None:
        measures.append(f"{one.milliseconds:.1f} ms per query")
    asked = f"{one.pairs} pairs" if one.pairs else f"{one.queries or '?'} queries"
    settings = ", ".join(f"{name}={value_text(value)}" for name, value in one.settings.items())
    data = f"{one.dataset}{' (removed)' if one.removed else ''}"
    data += "" if one.version is None else f" v{one.version}"
    about = [when, one.source, _model(one), data, one.split, asked]
    return [*about, "  ".join(measures), settings, one.id]


def _model(one: Measurement) -> str:
    if one.step is not None:
        return f"{one.model}, step {one.step}"
    return f"{one.model}, {one.cut_to} dimensions" if one.cut_to else one.model


def _published(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    from workbench.reports.gather import published, published_markdown

    dataset = workspace.datasets.get(args.dataset).name
    rows = published(workspace, dataset, args.split, args.metric)
    if not rows:
        say(
            "No model was measured there together with the one it was trained from. Try: "
            f"python -m workbench evaluate --dataset {dataset} --model ORIGINAL --model FINETUNED"
        )
    for row in rows:
        say(
            f"{row.model}: finetuned is '{row.trained}', the newest; {row.queries} queries of "
            f"{dataset} v{row.version}, {args.split} split."
        )
    text = published_markdown(rows, args.metric).rstrip() if rows else ""
    about = {"dataset": dataset, "split": args.split, "metric": args.metric}
    return {**about, "rows": [asdict(row) for row in rows]}, text


def _slices(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    from workbench.reports.gather import job_of, slice_table, slices_of

    job = job_of(workspace, args.id)
    found = slices_of(workspace, job.result or {}, args.metric)
    found = [one for one in found if args.by in (None, one.by)]
    if not found:
        say("Nothing to divide by: all queries are of one kind, or the data set is gone.")
    document = {"job": job.id, "metric": args.metric, "slicings": [asdict(one) for one in found]}
    return document, "\n\n".join(columns(*slice_table(one)) for one in found)


def _report(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    from workbench.reports.write import report

    text = report(workspace, args.id, args.format)
    if not args.output:
        return {"id": args.id, "format": args.format, "text": text}, text.rstrip("\n")
    path = Path(args.output).expanduser()
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}.", "Check the path.") from error
    return {"id": args.id, "format": args.format, "file": str(path)}, f"Wrote {path}."


def _diff(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    first, second = workspace.jobs.get(args.first), workspace.jobs.get(args.second)
    one, other = {"task": first.task, **first.recipe}, {"task": second.task, **second.recipe}
    found = recipe_differences(one, other)
    document = {
        "first": {"job": first.id, "name": first.name},
        "second": {"job": second.id, "name": second.name},
        "differences": [asdict(each) for each in found],
    }
    if not found:
        return document, f"The recipes of '{first.name}' and '{second.name}' are the same."
    rows = [[each.field, value_text(each.first), value_text(each.second)] for each in found]
    return document, columns(["field", first.name, second.name], rows)
