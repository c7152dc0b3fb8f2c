"""``matrix``: retrievers, with and without rerankers, at every top k."""

import argparse
from typing import Any

from workbench.cli.evaluations import export_result
from workbench.cli.output import say
from workbench.cli.running import PREFIX, add_fields, read_values, run_job
from workbench.comparison.matrix import to_markdown, to_published, to_text
from workbench.recipes.evaluate import MatrixRecipe
from workbench.workspace import Workspace


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "matrix",
        parents=[shared],
        help="retrievers x rerankers x top k: quality, and milliseconds per query",
    )
    parser.add_argument(
        "--retriever",
        dest=PREFIX + "retrievers",
        action="append",
        required=True,
        metavar="MODEL",
        help="a model that searches all documents ('bm25' is one); may be given several times",
    )
    parser.add_argument(
        "--reranker",
        dest=PREFIX + "rerankers",
        action="append",
        default=argparse.SUPPRESS,
        metavar="MODEL",
        help="a model that re-ranks what each retriever found; may be given several times",
    )
    add_fields(parser, MatrixRecipe, skip=("retrievers", "rerankers"))
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--markdown", action="store_true", help="write Markdown, for the highest k")
    shape.add_argument(
        "--published",
        action="store_true",
        help="write Markdown as in published tables: hit_rate and mrr, top_1 ... top_N",
    )
    parser.add_argument(
        "--export-trec",
        metavar="DIR",
        help="also write each pipeline's run and qrels there as TREC files",
    )
    parser.set_defaults(command=_matrix)


def _matrix(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    job = run_job(workspace, MatrixRecipe.read(read_values(args, MatrixRecipe)))
    result = {"job": job.id, **(job.result or {})}
    if args.export_trec:
        say(export_result(workspace, result, args.export_trec))
    say(f"Its report: python -m workbench evaluations report {job.id} --format html")
    if args.markdown:
        return result, to_markdown(result).rstrip()
    return result, (to_published(result) if args.published else to_text(result)).rstrip()
