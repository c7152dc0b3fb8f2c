"""``mine`` and ``synthesize``: negatives and questions proposed for a data set."""

import argparse
from typing import TYPE_CHECKING, Any

from workbench.cli.output import clip, columns
from workbench.cli.running import (
    PREFIX,
    Commands,
    add_fields,
    add_settings,
    allow_typed_key,
    run_recipe,
    with_id,
)
from workbench.errors import BadInput
from workbench.recipes.describe import describe
from workbench.recipes.mine import MineRecipe
from workbench.recipes.synthesize import SynthesizeRecipe
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from workbench.mining.proposal import Proposal, ProposedRow


def add(commands: Commands) -> None:
    parser = commands.add(
        "mine",
        _command,
        "hard negatives: propose, show, accept",
        description="Propose negatives ('mine --dataset D --model M'), look through a proposal "
        "('mine show JOB'), leave some out ('mine untick JOB --pair QUERY DOCUMENT'; 'mine tick' "
        "takes them back in), make a version of it ('mine accept JOB').",
    )
    actions = ["show", "untick", "tick", "accept"]
    parser.add_argument("action", nargs="?", choices=actions, help="with a job's id")
    parser.add_argument("job", nargs="?", metavar="JOB", help="the job that mined")
    data = next(spec for spec in describe(MineRecipe) if spec.name == "dataset")
    parser.add_argument(
        "--dataset", dest=PREFIX + "dataset", default=argparse.SUPPRESS, help=data.help
    )
    add_fields(parser, MineRecipe, skip=("dataset",))
    parser.add_argument("--accept", action="store_true", help="accept the proposal at once")
    parser.add_argument(
        "--rows", type=int, default=5, metavar="N", help="'show': how many queries (default 5)"
    )
    parser.add_argument("--offset", type=int, default=0, metavar="N", help="'show': from query N")
    parser.add_argument(
        "--above",
        action="store_true",
        help="'show': only queries with a negative above the lowest positive; 'untick': all such "
        "negatives",
    )
    parser.add_argument(
        "--above-score",
        type=float,
        metavar="X",
        help="'untick': all negatives that score above this",
    )
    parser.add_argument(
        "--pair",
        nargs=2,
        action="append",
        default=[],
        metavar=("QUERY", "DOCUMENT"),
        help="'untick', 'tick': the negative of these ids; may be given again",
    )


def _command(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    if args.action and not args.job:
        raise BadInput(f"Which proposal? 'mine {args.action}' needs the job's id.", _LIST)
    if args.action == "show":
        return _show(workspace, args)
    if args.action in ("untick", "tick"):
        return _tick(workspace, args)
    if args.action == "accept":
        return _accept(workspace, args.job)
    return _mine(workspace, args)


_LIST = "python -m workbench jobs list shows them."


def _mine(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    result = with_id(run_recipe(workspace, args, MineRecipe))
    text = words(result)
    if args.accept:
        accepted, said = _accept(workspace, result["job"])
        return {**result, **accepted}, f"{text}\n{said}"
    job = result["job"]
    return result, (
        f"{text}\n"
        f"Look through it:  python -m workbench mine show {job}\n"
        f"Leave some out:   python -m workbench mine untick {job} --pair QUERY DOCUMENT\n"
        f"Make a version:   python -m workbench mine accept {job}"
    )


def _accept(workspace: Workspace, job_id: str) -> tuple[Any, str]:
    from workbench.mining.proposal import accept

    job = workspace.jobs.get(job_id)
    version = accept(workspace, job.id)
    name = str((job.result or {})["dataset"])
    about = {"job": job.id, "dataset": name, "accepted_version": version}
    return about, f"Accepted: '{name}' is now version {version}."


def _tick(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    """Leave negatives out, or take them back in: what a click on the page does."""
    from workbench.mining.proposal import proposal_of

    proposal = proposal_of(workspace, args.job)
    out = args.action == "untick"
    rules = out and (args.above or args.above_score is not None)
    if not rules and not args.pair:
        more = ", --above or --above-score X" if out else ""
        raise BadInput("Which negatives?", f"Name them: --pair QUERY DOCUMENT{more}.")
    if rules and not proposal.result["teacher"]:
        raise BadInput("Nothing in this proposal has a score.", "Name negatives with --pair.")
    before = len(proposal.unticked)
    if out and args.above:
        proposal.leave_out_above()
    if out and args.above_score is not None:
        proposal.leave_out_above(args.above_score)
    if args.pair:
        proposal.leave_out({proposal.rows_of(*pair) for pair in args.pair}, out)
    unticked = len(proposal.unticked)
    about = {"job": proposal.job.id, "changed": abs(unticked - before), "unticked": unticked}
    return about, f"{about['changed']:,} changed; {unticked:,} are left out by hand."


def _show(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    from workbench.mining.proposal import proposal_of

    proposal = proposal_of(workspace, args.job)
    rows = proposal.page(max(0, args.offset), max(0, args.rows), args.above)
    about = {
        "job": proposal.job.id,
        **proposal.result,
        "unticked": len(proposal.unticked),
        "accepted_version": proposal.accepted,
        "rows": [_as_json(row) for row in rows],
    }
    return about, "\n".join([words(about), *(_lines(row) for row in rows), _standing(proposal)])


def _as_json(row: "ProposedRow") -> dict[str, Any]:
    def documents(found: Any) -> list[dict[str, Any]]:
        return [
            {
                "id": one.id,
                "text": one.text,
                "score": one.score,
                "accepted": one.ticked,
                "above": one.above,
            }
            for one in found
        ]

    return {
        "id": row.id,
        "query": row.text,
        "split": row.split,
        "positives": documents(row.positives),
        "negatives": documents(row.negatives),
    }


def _lines(row: "ProposedRow") -> str:
    lines = [f"\n[{row.split}] {row.id}: {clip(row.text)}"]
    lines += [f"  + {_score(one.score)} {one.id}: {clip(one.text)}" for one in row.positives]
    for one in row.negatives:
        mark = "x" if not one.ticked else "!" if one.above else "-"
        lines.append(f"  {mark} {_score(one.score)} {one.id}: {clip(one.text)}")
    return "\n".join(lines)


def _standing(proposal: "Proposal") -> str:
    version = proposal.accepted
    if version is not None:
        return f"\nAccepted as version {version}."
    return f"\nNot accepted yet; {len(proposal.unticked)} left out by hand."


def words(result: dict[str, Any]) -> str:
    """A proposal's summary in lines."""
    named = result["origin"].partition(":")[2]
    by = f", scored by {result['teacher']}" if result["teacher"] not in ("", named) else ""
    lines = [
        f"{result['negatives']:,} negatives for {result['queries']:,} queries of "
        f"'{result['dataset']}' (version {result['version']}), found by {named}{by}."
    ]
    each = result["queries_by_negatives"]
    lines.append(
        "Queries by negatives: " + ", ".join(f"{n:,} with {size}" for size, n in each.items())
    )
    gone = [f"{n:,} {_REASONS[name]}" for name, n in result["left_out"].items() if n]
    if gone:
        lines.append("Left out: " + ", ".join(gone) + ".")
    if result["teacher"]:
        lines.append(f"Above their query's lowest positive: {result['above_positive']:,}.")
    spreads = {name: one for name, one in result["scores"].items() if one}
    if spreads:
        heads = ["score", *next(iter(spreads.values()))]
        rows = [[name, *(f"{v:.3f}" for v in one.values())] for name, one in spreads.items()]
        lines.append(columns(heads, rows))
    return "\n".join(lines)


_REASONS = {
    "judged": "judged relevant",
    "query_itself": "the query itself",
    "equal_text": "with a positive's text",
    "repeated": "repeated texts",
    "absolute_margin": "by the absolute margin",
    "relative_margin": "by the relative margin",
    "max_score": "by max_score",
    "min_score": "by min_score",
    "range_min": "by range_min",
}


def _score(score: float | None) -> str:
    return "       " if score is None else f"{score:7.3f}"


# ``synthesize``: have questions written for the documents of a data set.


def add_synthesize(commands: Commands) -> None:
    parser = commands.add(
        "synthesize",
        _synthesize,
        "generate queries from documents with a language model",
        description="Have questions written for passages ('synthesize --dataset D --endpoint URL "
        "--endpoint-model M', or '--local-model M'); they make a new version of the data set. "
        "'--preview --passages 3' shows what comes first. The key stays in the environment.",
    )
    data = next(spec for spec in describe(SynthesizeRecipe) if spec.name == "dataset")
    parser.add_argument(
        "--dataset", dest=PREFIX + "dataset", default=argparse.SUPPRESS, help=data.help
    )
    add_fields(parser, SynthesizeRecipe, skip=("dataset",))
    add_settings(parser, SynthesizeRecipe)


def _synthesize(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    allow_typed_key(workspace, args)
    result = with_id(run_recipe(workspace, args, SynthesizeRecipe))
    return result, synthesis_words(result)


def synthesis_words(result: dict[str, Any]) -> str:
    """What was written, what it took, what was left out, and a few of it."""
    lines = [
        f"{result['written']:,} questions for {result['answered']:,} of {result['passages']:,} "
        f"passages, written by {result['writer']}.",
        tokens_words(result["tokens"]),
    ]
    if result["without"]:
        lines.append(f"{result['without']:,} answers hold no question.")
    lines += [f"{count:,} passages failed: {why}" for why, count in result["failures"].items()]
    if result["version"] is not None:
        if result["round_trip"]:
            lines.append(
                f"{result['dropped']:,} dropped: their passage is not among the first "
                f"{result['round_trip_k']} of {result['round_trip']}."
            )
        if result["known"]:
            lines.append(f"{result['known']:,} are asked already and were left out.")
        lines.append(
            f"{result['kept']:,} new queries: '{result['dataset']}' is now version "
            f"{result['version']}."
        )
    for one in result["examples"]:
        lines += [f"\n{clip(one['passage'])}", *(f"  ? {text}" for text in one["questions"])]
    return "\n".join(lines)


def tokens_words(tokens: dict[str, Any]) -> str:
    if not tokens["told"] and not tokens["prompt"]:
        return "The endpoint does not say how many tokens it took."
    least = "" if tokens["told"] else " at least; some answers do not say"
    return f"It took {tokens['prompt']:,} + {tokens['completion']:,} tokens (in + out){least}."
