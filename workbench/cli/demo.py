"""``demo``: the sample, from data to search, without a browser."""

import argparse
from typing import Any

from workbench.cli.output import say
from workbench.cli.running import follow
from workbench.workspace import Workspace


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "demo", parents=[shared], help="run the sample: data, training, comparison, index"
    )
    parser.set_defaults(command=_demo)


def _demo(workspace: Workspace, _args: argparse.Namespace) -> tuple[Any, str]:
    from workbench.demo import collect, start

    started = start(workspace)
    for job in started.jobs:
        follow(workspace, workspace.jobs.get(job.id))
    document = collect(workspace, started)
    say(f"Done in {document['seconds']:.0f} seconds.")
    from workbench.comparison.table import build_table, to_text

    return document, to_text(build_table(document["evaluate"]))
