"""``answer``: passages of an index, and what a language model makes of them."""

import argparse
import sys
from typing import Any

from workbench.answers.answer import collect_answer
from workbench.answers.answer_settings import load, over
from workbench.answers.prepare import prepare
from workbench.cli.output import say
from workbench.cli.running import Commands, add_fields, add_settings, allow_typed_key, read_values
from workbench.errors import EndpointFailed
from workbench.recipes.answer import AnswerRecipe
from workbench.workspace import Workspace

_NOTHING = "Nothing relevant was found."
#: How an answer ended -> what is said about it.
_SAYS = {
    "nothing-found": f"{_NOTHING} No passage scores at least %s (--min-score).",
    "not-in-passages": f"{_NOTHING} The model says that the passages do not answer the question.",
    "empty": "The model wrote nothing.",
    "passages": "For a written answer give --endpoint with --endpoint-model, or --local-model.",
}


def add(commands: Commands) -> None:
    parser = commands.add(
        "answer",
        _answer,
        "answer a question from an index, with numbered citations",
        description="Options that are not given take the settings saved on the page under Answers.",
    )
    parser.add_argument("index", metavar="INDEX", help="the index to search")
    parser.add_argument("question", metavar="QUESTION")
    add_fields(parser, AnswerRecipe, skip=("index",))
    add_settings(parser, AnswerRecipe)


def _answer(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    from workbench.search.client import SearchClient

    allow_typed_key(workspace, args)
    values = over(load(workspace), read_values(args, AnswerRecipe))
    recipe = AnswerRecipe.read({**values, "index": args.index})
    recipe = prepare(workspace, recipe, args.question)
    client = SearchClient(workspace)
    try:
        said = collect_answer(
            workspace, client, recipe, args.question, None if args.json else _print
        )
    finally:
        client.close()
    if not args.json:
        _print_end(said)
    if said["error"]:
        # What there is of an answer is not lost: it is printed, and in the error's details.
        about = said["error"]
        raise EndpointFailed(about["message"], about["hint"], answer=said)
    return said, ""


def _print(event: dict[str, Any]) -> None:
    """Text as it comes; a citation of no passage is left out, and told at the end."""
    if event["event"] in ("text", "cite"):
        sys.stdout.write(event["text"])
        sys.stdout.flush()


def _print_end(said: dict[str, Any]) -> None:
    if said["answer"]:
        print("\n")
    if words := _SAYS.get(said["state"]):
        least = said["min_score"]
        say(words.replace("%s", "-" if least is None else f"{least:.3f}"))
    if said["uncited"]:
        say("The answer cites no passage: check it against them.")
    if said["wrong_citations"]:
        say(f"Left out, since no passage has these numbers: {said['wrong_citations']}.")
    if said["cut_off"]:
        say("The answer reached its longest length (--max-tokens) and ends there.")
    for one in said["passages"]:
        if one["cited"] or not said["answer"] or said["uncited"]:
            print(_line(one))
    say(_took(said))


def _line(one: dict[str, Any]) -> str:
    text = " ".join(f"{one['title']} {one['text']}".split())[:160]
    less = "" if one["enough"] else "  (score too low)"
    return f"[{one['number']}] {one['id']}  {one['score']:.3f}{less}  {text}"


def _took(said: dict[str, Any]) -> str:
    parts = [f"{name.replace('_', ' ')} {ms:.0f} ms" for name, ms in said["milliseconds"].items()]
    counts = said["tokens"]
    if counts["completion"] is not None:
        parts.append(f"{counts['prompt']} tokens read, {counts['completion']} written")
    return ", ".join(parts)
