"""Answers, line by line while they are written: one request for one answer, and it ends."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse

from ui.answering import lines
from ui.services import Services
from ui.words import t
from workbench.answers.answer import answer
from workbench.answers.prepare import prepare
from workbench.errors import SearchUnavailable
from workbench.recipes.answer import AnswerRecipe
from workbench.recipes.describe import without_nulls

#: No cache keeps it, no proxy gathers it.
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


class Asked(BaseModel):
    """What the page asks: a recipe's fields, and the question."""

    recipe: dict[str, Any]
    question: str


def router(services: Services) -> APIRouter:
    """POST /api/answers: JSON lines (:mod:`ui.answering`). A browser that goes away stops it."""
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
