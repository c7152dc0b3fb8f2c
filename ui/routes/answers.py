"""Answers, line by line while they are written: one request for one answer, and it ends."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse

from ui.services import Services
from ui.words import sentences, t
from ui.words.amounts import count
from workbench.answers.answer import answer, prepare
from workbench.errors import SearchUnavailable, WorkbenchError
from workbench.recipes.answer import AnswerRecipe
from workbench.recipes.describe import without_nulls

# The events of an answer in words: what ``static/answers.js`` shows is said here.

#: How an answer ended -> the words for it, and their tone.
_STATES = {
    "nothing-found": ("answer.nothing_found", "warn"),
    "not-in-passages": ("answer.not_in_passages", "warn"),
    "empty": ("answer.empty", "warn"),
    "passages": ("answer.alone", ""),
}
#: A stage of ``milliseconds`` -> its words.
_STAGES = {
    "encode": "answer.ms_encode",
    "search": "answer.ms_search",
    "rerank": "answer.ms_rerank",
    "first_token": "answer.ms_first",
    "write": "answer.ms_write",
}


async def lines(events: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    """Each event as a line of JSON. What ends the search itself is one, too."""
    try:
        async for event in events:
            yield line(event)
    except WorkbenchError as error:
        yield line({"event": "error", "text": sentences.said(str(error))})


def line(event: dict[str, Any]) -> bytes:
    return orjson.dumps(worded(event)) + b"\n"


def worded(event: dict[str, Any]) -> dict[str, Any]:
    """The event with what is said of it."""
    if event["event"] not in ("passages", "end"):
        return event
    told = {**event, "passages": [_passage(one) for one in event["passages"]]}
    if event["event"] == "passages":
        told["status"] = _waiting(event)
        return told
    notes = _notes(event)
    quiet = not event["error"] and event["state"] != "answered"
    return {
        **told,
        "status": notes[0]["text"] if quiet or event["error"] else _done(event),
        "notes": notes,
        "took": _took(event),
        # What the model was told to say is said in words of ours.
        "shown": event["state"] in ("answered", "broken"),
    }


def _waiting(event: dict[str, Any]) -> str:
    writer = event["writer"]
    return t("answer.writes", writer=writer) if writer else t("answer.found")


def _done(event: dict[str, Any]) -> str:
    return t("answer.done", count=count(len(event["citations"])))


def _passage(one: dict[str, Any]) -> dict[str, Any]:
    badges = []
    if one["cited"]:
        badges.append([t("answer.cited"), "good"])
    if not one["enough"]:
        badges.append([t("answer.little"), "warn"])
    elif one["cut"] and one["read"]:
        badges.append([t("answer.cut"), ""])
    shown = {name: one[name] for name in ("number", "title", "text", "enough", "cited")}
    return {**shown, "score": t("search.score", score=f"{one['score']:.3f}"), "badges": badges}


def _notes(event: dict[str, Any]) -> list[dict[str, str]]:
    """What a person should know of the answer, the most important first."""
    found = []
    if event["error"]:
        error = event["error"]
        why = sentences.said(f"{error['message']} {error['hint']}".strip())
        key = "answer.broken" if event["state"] == "broken" else "answer.failed"
        found.append((t(key, why=why), "bad"))
    elif event["state"] in _STATES:
        key, tone = _STATES[event["state"]]
        places = {"score": _score(event)} if key == "answer.nothing_found" else {}
        found.append((t(key, **places), tone))
    if event["uncited"]:
        found.append((t("answer.uncited"), "warn"))
    if event["wrong_citations"]:
        numbers = ", ".join(map(str, event["wrong_citations"]))
        found.append((t("answer.wrong_ones", numbers=numbers), "warn"))
    if event["cut_off"]:
        found.append((t("answer.cut_off"), "warn"))
    return [{"text": text, "tone": tone} for text, tone in found]


def _score(event: dict[str, Any]) -> str:
    least = event["min_score"]
    return "–" if least is None else f"{least:.3f}"


def _took(event: dict[str, Any]) -> str:
    ms = event["milliseconds"]
    parts = [t(key, ms=count(round(ms[name]))) for name, key in _STAGES.items() if name in ms]
    tokens = event["tokens"]
    if tokens["completion"] is not None:
        counts = {"read": count(tokens["prompt"] or 0), "written": count(tokens["completion"])}
        parts.append(t("answer.tokens", **counts))
    if event["min_score"] is not None:
        parts.append(t("answer.least", score=_score(event)))
    return " · ".join(parts)


#: No cache keeps it, no proxy gathers it.
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


class Asked(BaseModel):
    """What the page asks: a recipe's fields, and the question."""

    recipe: dict[str, Any]
    question: str


def router(services: Services) -> APIRouter:
    """POST /api/answers: JSON lines. A browser that goes away stops it."""
    routes = APIRouter()

    @routes.post("/api/answers")
    def ask(asked: Asked) -> Response:
        if services.search is None:
            raise SearchUnavailable(t("search.off"))
        read = AnswerRecipe.read(without_nulls(AnswerRecipe, asked.recipe))
        recipe = prepare(services.workspace, read, asked.question)
        events = answer(services.workspace, services.search, recipe, asked.question)
        return StreamingResponse(lines(events), 200, HEADERS, "application/x-ndjson")

    return routes
