"""Refusals in OpenAI's shape: ``{"error": {"message", "type", "param", "code"}}``."""

import logging
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from workbench.errors import ModelNotFound, NotFound, SearchUnavailable, WorkbenchError
from workbench.serving.queue import Full
from workbench.serving.shapes import TooLarge
from workbench.serving.there import Gone

log = logging.getLogger(__name__)
_TYPES = {401: "authentication_error", 429: "rate_limit_error"}


def answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON that no cache keeps."""
    body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    kept = {"cache-control": "no-store", **(headers or {})}
    return Response(body, status, kept, media_type="application/json")


def failure(
    status: int,
    message: str,
    *,
    code: str | None = None,
    param: str | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """One refusal."""
    usual = "invalid_request_error" if status < 500 else "server_error"
    # It may repeat what was asked, and half a pair of surrogates cannot be written.
    message = message.encode("utf-8", "replace").decode()
    error = {"message": message, "type": _TYPES.get(status, usual), "param": param, "code": code}
    return answer({"error": error}, status, headers)


def status_of(error: WorkbenchError) -> int:
    if isinstance(error, Full):
        return 429
    if isinstance(error, TooLarge):
        return 413
    if isinstance(error, Gone):
        return 499
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, SearchUnavailable):
        return 503
    return 400 if error.bad_input else 500


def add_failures(api: FastAPI) -> None:
    """Every failure of these routes becomes a sentence; what was unforeseen goes to the log."""

    @api.exception_handler(WorkbenchError)
    def known(_request: Request, error: WorkbenchError) -> Response:
        status = status_of(error)
        code = "model_not_found" if isinstance(error, ModelNotFound) else error.code
        # Clients that try again wait so long.
        headers = {"retry-after": "1"} if status in (429, 503) else None
        return failure(status, str(error), code=code, headers=headers)

    @api.exception_handler(RequestValidationError)
    def invalid(_request: Request, error: RequestValidationError) -> Response:
        one = error.errors()[0]
        # Numbers are places in the text that is no JSON, or in a list.
        place = [part for part in one["loc"] if isinstance(part, str) and part != "body"]
        # A field of several types has one complaint for each; the field itself is enough.
        param = place[0] if place else None
        where = f"'{param}': " if param else ""
        return failure(400, f"The request cannot be read: {where}{one['msg']}.", param=param)

    @api.exception_handler(HTTPException)
    def http(_request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers) if error.headers else None
        return failure(error.status_code, f"{error.detail}.", headers=headers)

    @api.exception_handler(Exception)
    def unforeseen(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return failure(500, "Something went wrong that the server did not foresee. Its log has it.")
