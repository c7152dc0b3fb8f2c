"""``evaluate``, ``matrix``, ``evaluations`` and ``cache``: models measured and compared."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from workbench.cli import reports
from workbench.cli.output import clip, columns, say, size_words
from workbench.cli.running import (
    PREFIX,
    Commands,
    add_fields,
    add_several,
    run_recipe,
    with_id,
)
from workbench.comparison.explore import (
    Change,
    Hit,
    Pairing,
    changes,
    common,
    judge,
    ordered,
    pairing,
    rankings,
    row_name,
)
from workbench.comparison.matrix import to_markdown, to_published, to_text
from workbench.comparison.names import COLUMNS, HEADLINE, METRICS, WHICH, first_order, label
from workbench.comparison.text import result_text
from workbench.errors import BadInput
from workbench.evaluation.registry import ranked_ids
from workbench.plurals import counted
from workbench.recipes.evaluate import EvaluateRecipe, MatrixRecipe
from workbench.workspace import Workspace

# ``evaluations explore``: the queries that gained and lost most between two rows.


def _add_explore_actions(actions: Commands) -> None:
    """The action below ``evaluations``."""
    parser = actions.add(
        "explore", _explore, "the queries that gained and lost most between two rows"
    )
    parser.add_argument("id", help="the id of an evaluate or matrix job, or of one evaluation")
    parser.add_argument("--model", required=True, metavar="A", help="a row of the table")
    parser.add_argument("--against", required=True, metavar="B", help="the row to compare it with")
    parser.add_argument("--metric", choices=METRICS.names(), default=HEADLINE)
    parser.add_argument(
        "--top",
        type=int,
        default=10,
        metavar="N",
        help="how many gains and losses to list (default: 10)",
    )
    parser.add_argument(
        "--which",
        choices=WHICH,
        help="list these queries instead, the first --top of them in the order of --sort",
    )
    parser.add_argument(
        "--sort",
        choices=COLUMNS,
        help="with --which: by the change, the value before or after, the query's length in "
        "characters or its text (default: by the change; of unchanged ones the value after)",
    )
    parser.add_argument("--reverse", action="store_true", help="with --which: in reverse order")
    parser.add_argument(
        "--query", metavar="ID", help="show both rankings of this query instead, by its id"
    )
    parser.add_argument(
        "--judge",
        metavar="DOCUMENT",
        help="with --query: judge this document right, by its id, as a new version of the data set",
    )


def _explore(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    if args.top < 1:
        raise BadInput(f"--top {args.top} shows nothing.", "Give 1 or more.")
    if args.judge and not args.query:
        raise BadInput("--judge needs to know the query.", "Give its id with --query.")
    if (args.sort or args.reverse) and not args.which:
        raise BadInput(
            "--sort and --reverse order the list that --which names.", "Add --which all, for one."
        )
    pair = pairing(workspace, args.id, args.model, args.against, args.metric)
    gains, losses, same = pair.counted
    about = {
        "model": row_name(pair.after),
        "against": row_name(pair.before),
        "metric": pair.metric,
        "queries": len(pair.queries),
        "gains": gains,
        "losses": losses,
        "same": same,
    }
    if args.query:
        return _one(workspace, args, pair, about)
    if args.which:
        return _sorted(workspace, args, pair, about)
    best = changes(workspace, pair, pair.sorted()[: args.top])
    worst = changes(workspace, pair, pair.sorted(losses=True)[: args.top])
    document = {
        **about,
        "biggest_gains": [_change(one) for one in best],
        "biggest_losses": [_change(one) for one in worst],
    }
    name = label(pair.metric)
    said = (
        f"{about['model']} against {about['against']}, {name}: {gains} queries gained, "
        f"{losses} lost, {same} stayed the same."
    )
    return document, _lines(said, name, [*best, *reversed(worst)])


def _sorted(
    workspace: Workspace, args: argparse.Namespace, pair: Pairing, about: dict[str, Any]
) -> tuple[Any, str]:
    """Some or all queries, by any column."""
    by, down = first_order(args.which, args.sort)
    down = down != args.reverse
    every = changes(workspace, pair, list(range(len(pair.queries))))
    places = ordered(pair, every, args.which, by, down)
    found = [every[at] for at in places[: args.top]]
    document = {**about, "which": args.which, "sort": by, "descending": down, "of": len(places)}
    said = f"{len(found)} of {counted(len(places), 'query', 'queries')} ({args.which}), by {by}, "
    said += f"{'the highest' if down else 'the lowest'} first."
    listed = [_change(one) for one in found]
    return {**document, "listed": listed}, _lines(said, label(pair.metric), found)


def _lines(said: str, name: str, found: Sequence[Change]) -> str:
    rows = [
        [f"{one.delta:+.3f}", f"{one.before:.3f}", f"{one.after:.3f}", one.id, clip(one.text, 70)]
        for one in found
    ]
    head = [name, "before", "after", "id", "query"]
    return f"{said}\n{columns(head, rows)}" if rows else said


def _one(
    workspace: Workspace, args: argparse.Namespace, pair: Pairing, about: dict[str, Any]
) -> tuple[Any, str]:
    every = changes(workspace, pair, list(range(len(pair.queries))))
    query = next((one for one in every if one.id == args.query), None)
    if query is None:
        raise BadInput(f"No query with the id '{args.query}' was asked in both.", "Check the id.")
    found = rankings(workspace, pair, query.query)
    document: dict[str, Any] = {
        **about,
        "query": _change(query),
        "before": [_hit(query.text, hit) for hit in found.before],
        "after": [_hit(query.text, hit) for hit in found.after],
    }
    lines = [f"{query.id}: {query.text}", ""]
    for name, hits in ((about["against"], found.before), (about["model"], found.after)):
        rows = [
            [
                hit.rank,
                "" if hit.grade is None else hit.grade,
                hit.id,
                clip(hit.title or hit.text, 70),
            ]
            for hit in hits
        ]
        lines += [name, columns(["rank", "grade", "id", "document"], rows), ""]
    if args.judge:
        row = next((h.document for h in (*found.before, *found.after) if h.id == args.judge), None)
        if row is None:
            raise BadInput(
                f"'{args.judge}' is not among the documents shown.", "Choose one of their ids."
            )
        dataset, version = judge(workspace, pair, query.query, row)
        document["judged"] = {"dataset": dataset, "version": version, "document": args.judge}
        lines.append(f"'{dataset}' is now version {version}, in which {args.judge} is right.")
    return document, "\n".join(lines).rstrip()


def _change(one: Change) -> dict[str, Any]:
    return {
        "id": one.id,
        "text": one.text,
        "before": one.before,
        "after": one.after,
        "delta": one.delta,
    }


def _hit(query: str, hit: Hit) -> dict[str, Any]:
    words = dict.fromkeys(p.lower() for p, marked in common(query, hit.text) if marked)
    return {**asdict(hit), "words_in_common": list(words)}


def add(commands: Commands) -> None:
    actions = commands.group(
        "evaluations", "evaluations: list, export, history, published, slices, report, explore"
    )
    listing = actions.add("list", _list, "what was measured, newest first")
    listing.add_argument("--dataset", metavar="NAME", help="of one data set only")
    listing.add_argument("--split", choices=("train", "dev", "test"), help="of one split only")
    exporting = actions.add("export", _export, "write rankings and judgments as TREC files")
    exporting.add_argument("id", help="the evaluation's id, or that of an evaluate or matrix job")
    exporting.add_argument("folder", metavar="DIR", help="where to write NAME.run and NAME.qrels")
    reports.add(actions)
    _add_explore_actions(actions)


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
    return {
        "evaluations": list(ids),
        "files": files,
    }, f"Wrote {counted(len(files), 'file')} to {folder}."


# ``evaluate``: models compared on a data set.


def add_evaluate(commands: Commands) -> None:
    evaluating = commands.add("evaluate", _evaluate, "compare models on a data set")
    evaluating.add_argument(
        "--model",
        dest=PREFIX + "models",
        action="append",
        required=True,
        metavar="MODEL",
        help="a model to measure ('bm25' is one); may be given several times, the baseline first",
    )
    add_several(evaluating, "rerankers", "a model that re-ranks what each model found")
    add_fields(evaluating, EvaluateRecipe, skip=("models", "rerankers"))
    evaluating.add_argument(
        "--export-trec",
        metavar="DIR",
        help="also write each run and its qrels there as TREC files",
    )


def _evaluate(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    result = run_recipe(workspace, args, EvaluateRecipe).result or {}
    if args.export_trec:
        say(export_result(workspace, result, args.export_trec))
    return result, result_text(result)


# ``matrix``: retrievers, with and without rerankers, at every top k.


def add_matrix(commands: Commands) -> None:
    parser = commands.add(
        "matrix", _matrix, "retrievers x rerankers x top k: quality, and milliseconds per query"
    )
    add_several(
        parser, "retrievers", "a model that searches all documents ('bm25' is one)", required=True
    )
    add_several(parser, "rerankers", "a model that re-ranks what each retriever found")
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


def _matrix(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    result = with_id(run_recipe(workspace, args, MatrixRecipe))
    if args.export_trec:
        say(export_result(workspace, result, args.export_trec))
    say(f"Its report: python -m workbench evaluations report {result['job']} --format html")
    if args.markdown:
        return result, to_markdown(result).rstrip()
    return result, (to_published(result) if args.published else to_text(result)).rstrip()


# ``cache``: the encodings and scores of pairs that are kept on disk, and what they take.


def add_cache(commands: Commands) -> None:
    actions = commands.group("cache", "cached embeddings and scores: show, clear")
    actions.add("show", _show_cache, "what is cached, and for which model")
    clearing = actions.add("clear", _clear_cache, "delete cached embeddings and scores")
    clearing.add_argument("--model", metavar="NAME", help="of one model only")


def _show_cache(workspace: Workspace, _args: argparse.Namespace) -> tuple[Any, str]:
    from workbench.evaluation.encoding_cache import EncodingCache

    cache = EncodingCache(workspace.home)
    found = cache.show()
    total = sum(one.bytes for one in found)
    document = {
        "bytes": total,
        "limit": cache.limit,
        "encodings": [
            {
                "key": one.key,
                "about": one.about,
                "texts": one.texts,
                "bytes": one.bytes,
                "used_at": one.used_at,
            }
            for one in found
        ],
    }
    say(f"{size_words(total)} of at most {size_words(cache.limit)}.")
    rows = [
        [
            one.about.get("model", one.key),
            one.about.get("role", ""),
            one.texts,
            size_words(one.bytes),
            datetime.fromtimestamp(one.used_at).strftime("%Y-%m-%d %H:%M"),
        ]
        for one in found
    ]
    head = ["model", "kept are", "texts or pairs", "disk", "last used"]
    return document, columns(head, rows) if rows else ""


def _clear_cache(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    from workbench.evaluation.encoding_cache import EncodingCache

    freed = EncodingCache(workspace.home).clear(args.model)
    return {"freed": freed}, f"Removed {size_words(freed)} of kept encodings and scores."
