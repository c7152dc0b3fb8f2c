"""Answers of our routes: compact JSON, and failures as ``{"error": sentence}``."""

import logging
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ui.words import sentences, t
from workbench.errors import BadInput, InUse, NameTaken, NotFound, WorkbenchError, value_sentence

log = logging.getLogger(__name__)


def reply(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer that no cache keeps."""
    body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    kept = {"cache-control": "no-store", **(headers or {})}
    return Response(body, status, kept, media_type="application/json")


def refusal(status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    """A failure in words."""
    return reply({"error": sentence}, status, headers)


class Refused(BadInput):
    """What our routes refuse: a sentence, the status to answer with, and more for the script."""

    code = "refused"

    def __init__(self, status: int, sentence: str, **more: Any) -> None:
        super().__init__(sentence)
        self.status = status
        self.more = more


def status_of(error: WorkbenchError) -> int:
    """The HTTP status that fits a failure of the engine."""
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, (NameTaken, InUse)):
        return 409
    return 400 if error.bad_input else 500


def add_error_answers(app: FastAPI) -> None:
    """Every failure of our routes becomes a sentence; what was unforeseen goes to the log."""

    @app.exception_handler(Refused)
    def refused(_request: Request, error: Refused) -> Response:
        return reply({"error": str(error), **error.more}, error.status)

    @app.exception_handler(WorkbenchError)
    def known(_request: Request, error: WorkbenchError) -> Response:
        return refusal(status_of(error), sentences.said(str(error)))

    @app.exception_handler(HTTPException)
    def http(_request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers) if error.headers else None
        return refusal(error.status_code, t("refused.http", detail=error.detail), headers)

    @app.exception_handler(RequestValidationError)
    def invalid(_request: Request, error: RequestValidationError) -> Response:
        return refusal(422, t("refused.invalid", detail=_first(error)))

    @app.exception_handler(Exception)
    def unforeseen(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return refusal(500, t("refused.unforeseen"))


def _first(error: RequestValidationError) -> str:
    one = error.errors()[0]
    return f"{'.'.join(str(part) for part in one['loc'])}: {value_sentence(one)}"
