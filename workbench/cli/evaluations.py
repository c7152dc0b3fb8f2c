"""``evaluations``: what was measured, and its rankings for other tools."""

import argparse
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from workbench.cli import explore, reports
from workbench.cli.output import columns, say
from workbench.comparison.names import HEADLINE
from workbench.evaluation.ranked import ranked_ids
from workbench.workspace import Workspace


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "evaluations", help="evaluations: list, export, history, published, slices, report, explore"
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser("list", parents=[shared], help="what was measured, newest first")
    listing.add_argument("--dataset", metavar="NAME", help="of one data set only")
    listing.add_argument("--split", choices=("train", "dev", "test"), help="of one split only")
    listing.set_defaults(command=_list)
    exporting = actions.add_parser(
        "export", parents=[shared], help="write the ranking and the judgments as TREC files"
    )
    exporting.add_argument("id", help="the evaluation's id, or that of an evaluate or matrix job")
    exporting.add_argument("folder", metavar="DIR", help="where to write NAME.run and NAME.qrels")
    exporting.set_defaults(command=_export)
    reports.add(actions, shared)
    explore.add(actions, shared)


def _list(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    names = {one.id: one.name for one in workspace.datasets.list()}
    found = [
        {
            "id": one.id,
            "job": one.job_id,
            "model": one.model,
            "dataset": names.get(one.dataset_id, one.dataset_id),
            "version": one.version,
            "split": one.split,
            "queries": one.queries,
            "metrics": one.metrics,
            "created_at": one.created_at,
        }
        for one in workspace.evaluations.list(args.dataset, args.split)
    ]
    if not found:
        say("Nothing was measured yet. Try: python -m workbench evaluate --dataset NAME ...")
    rows = [_row(one) for one in found]
    head = ["id", "measured", "data set", "split", "queries", HEADLINE, "model"]
    return found, columns(head, rows) if found else ""


def _row(one: dict[str, Any]) -> Sequence[Any]:
    when = datetime.fromtimestamp(one["created_at"]).strftime("%Y-%m-%d %H:%M")
    value = one["metrics"].get(HEADLINE)
    number = "" if value is None else f"{value:.3f}"
    data = f"{one['dataset']} v{one['version']}"
    return one["id"], when, data, one["split"], one["queries"], number, one["model"]


def _export(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    return export_trec(workspace, _ranked(workspace, args.id) or [args.id], args.folder)


def _ranked(workspace: Workspace, id: str) -> list[str]:
    """What the job with this id measured and ranked, in its table's order; none for another id."""
    # Scored pairs have no ranking.
    kept = [one.id for one in reversed(workspace.evaluations.for_job(id)) if one.queries]
    named = ranked_ids(workspace.jobs.get(id).result or {}) if kept else []
    return [*(one for one in named if one in kept), *(one for one in kept if one not in named)]


def export_result(workspace: Workspace, result: Mapping[str, Any], folder: str) -> str:
    """Write the TREC files of all that a job's result has on record; what was written, in words."""
    return export_trec(workspace, ranked_ids(result), folder)[1]


def export_trec(workspace: Workspace, ids: Sequence[str], folder: str) -> tuple[Any, str]:
    """Write the TREC files of these evaluations; raises NotFound for an id that is not there."""
    from workbench.evaluation.trec import export

    found = [workspace.evaluations.get(id) for id in ids]
    files = [str(path) for path in export(workspace, found, Path(folder).expanduser())]
    return {"evaluations": list(ids), "files": files}, f"Wrote {len(files)} files to {folder}."
