"""The API as an app of its own: its routes, its guards, and a page about them.

It is mounted below ``/v1`` of the page's app, or served alone (``python -m workbench serve``).
"""

import base64
import hashlib
import hmac
import logging
import os
import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from workbench.errors import (
    BadInput,
    ModelNotFound,
    NotFound,
    SearchUnavailable,
    WorkbenchError,
    value_sentence,
)
from workbench.search.client import SearchClient
from workbench.serving import shapes
from workbench.serving.batching import Embedded, Full, Gone, Work, cut, probability, while_there
from workbench.serving.bodies import BodyLimit, LimitBodies, Refused
from workbench.serving.models import Catalogue, Served
from workbench.serving.server import NO_PROXIES, Proxies
from workbench.serving.shapes import TooLarge

# The key of the API: from the environment, or made up at the start and said once.
#
# It is kept as a digest only, and stands in no record and no log.

VARIABLE = "WORKBENCH_API_KEY"
#: So long that a key cannot be guessed; :class:`RateLimit` keeps guessing from being a load.
SHORTEST = 20


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Knows the key when it sees it."""

    digest: bytes = field(repr=False)

    @classmethod
    def of(cls, key: str) -> "ApiKey":
        """Raises :class:`BadInput` for a key that is short, or that a header cannot carry."""
        if len(key) < SHORTEST or not key.isascii() or not key.isprintable() or " " in key:
            raise BadInput(
                f"The key in {VARIABLE} will not do.",
                f"At least {SHORTEST} letters, digits or signs without spaces, for example what"
                " 'openssl rand -hex 24' prints.",
            )
        return cls(_digest(key))

    def opens(self, given: str) -> bool:
        """Compared in constant time, so that timing tells nothing."""
        return hmac.compare_digest(_digest(given), self.digest)

    def opened_by(self, authorization: str) -> bool:
        """Whether a request's Authorization header ('Bearer KEY') carries the key."""
        scheme, _, given = authorization.partition(" ")
        return scheme.lower() == "bearer" and self.opens(given.strip())


def take_key() -> tuple[ApiKey, str]:
    """The key, and its text where it was made up now ('' where the environment had one).

    The environment no longer has it afterwards: what is started later must not inherit it.
    """
    given = os.environ.pop(VARIABLE, "").strip()
    if given:
        return ApiKey.of(given), ""
    made = f"wb-{secrets.token_urlsafe(32)}"
    return ApiKey.of(made), made


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


# Refusals in OpenAI's shape: ``{"error": {"message", "type", "param", "code"}}``.

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
        return failure(
            400, f"The request cannot be read: {where}{value_sentence(one)}", param=param
        )

    @api.exception_handler(HTTPException)
    def http(_request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers) if error.headers else None
        return failure(error.status_code, f"{error.detail}.", headers=headers)

    @api.exception_handler(Exception)
    def unforeseen(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return failure(500, "Something went wrong that the server did not foresee. Its log has it.")


PATH = "/v1"
_TITLE = "Retrieval Workbench: models as a service"
_ABOUT = (
    "Embeddings in OpenAI's shape and reranking in Jina's and Cohere's, by models of the workspace."
    " Each is used as its contract says: prompts, lengths, pooling."
)
_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": shapes.Failure, "description": words}
    for status, words in {
        400: "The request will not do",
        401: "No key, or not the right one",
        404: "No such model is served",
        413: "More than one request may hold",
        429: "Too much waits already: try again",
        503: "The model's process could not answer",
    }.items()
}


def create_api(
    search: SearchClient,
    catalogue: Catalogue,
    key: ApiKey,
    root_path: str = "",
    *,
    proxies: Proxies = NO_PROXIES,
) -> FastAPI:
    """The API's app, to be mounted at :data:`PATH`; ``root_path`` is a proxy's prefix before it."""
    api = FastAPI(
        title=_TITLE,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        root_path_in_servers=False,
        servers=[{"url": root_path + PATH}],
        # For the page about the routes only: the guard has looked at the key before.
        dependencies=[Depends(HTTPBearer(auto_error=False))],
    )
    add_failures(api)
    _add_models(api, catalogue)
    _add_embeddings(api, catalogue, work := Work(search))
    _add_rerank(api, catalogue, work)
    _add_page(api, root_path)
    api.add_middleware(limit_body)
    api.add_middleware(RequireKey, key=key, at=PATH, proxies=proxies)
    return api


def _add_models(api: FastAPI, catalogue: Catalogue) -> None:
    @api.get("/models", responses=_told(shapes.ModelsAnswer, 401), tags=["models"])
    async def models() -> Response:
        """The models that are served."""
        found = [one.about() for one in catalogue.models]
        return answer({"object": "list", "data": found})

    @api.get("/models/{name:path}", responses=_told(shapes.ModelAnswer, 401, 404), tags=["models"])
    async def model(name: str) -> Response:
        """One of them."""
        return answer(catalogue.get(catalogue.split(name)[0]).about())


def _add_embeddings(api: FastAPI, catalogue: Catalogue, work: Work) -> None:
    @api.post("/embeddings", responses=_told(shapes.EmbeddingsAnswer, *_REFUSALS), tags=["use"])
    async def embeddings(asked: shapes.EmbeddingsAsked, request: Request) -> Response:
        """The vector of each text, in their order."""
        name, suffix = catalogue.split(asked.model)
        model, role = catalogue.embedder(name), asked.role(suffix)
        texts = asked.texts()
        found = await while_there(request, work.embed(model, texts, role))
        return answer(
            {
                "object": "list",
                "data": _vectors(model, found, asked),
                "model": asked.model,
                "usage": _usage(tokens for _, tokens in found),
            }
        )


def _vectors(
    model: Served, found: list[Embedded], asked: shapes.EmbeddingsAsked
) -> list[dict[str, Any]]:
    length = len(found[0][0])
    if asked.dimensions and asked.dimensions > length:
        raise BadInput(
            f"The vectors of '{model.name}' have {length} dimensions, fewer than"
            f" {asked.dimensions}.",
            "Ask for fewer, or leave 'dimensions' out.",
        )
    vectors = [cut(vector, asked.dimensions, model.normalize) for vector, _ in found]
    as_text = asked.encoding_format == "base64"
    return [
        {"object": "embedding", "index": at, "embedding": _base64(one) if as_text else one}
        for at, one in enumerate(vectors)
    ]


def _base64(vector: Any) -> str:
    return base64.b64encode(np.ascontiguousarray(vector, dtype="<f4").tobytes()).decode()


def _add_rerank(api: FastAPI, catalogue: Catalogue, work: Work) -> None:
    # Cohere's newer client puts a version of its own before it.
    @api.post("/v2/rerank", include_in_schema=False)
    @api.post("/rerank", responses=_told(shapes.RerankAnswer, *_REFUSALS), tags=["use"])
    async def rerank(asked: shapes.RerankAsked, request: Request) -> Response:
        """The documents' places in the list, the best first: by score, then by place."""
        model = catalogue.reranker(asked.model)
        query, documents = asked.texts()
        found = await while_there(request, work.rerank(model, query, documents))
        scores = [score for score, _ in found]
        order = sorted(range(len(scores)), key=lambda at: (-scores[at], at))[: asked.top_n]
        bounded = model.bounded and not asked.raw_scores
        results = [
            {
                "index": at,
                "relevance_score": probability(scores[at]) if bounded else scores[at],
                **({"document": {"text": documents[at]}} if asked.return_documents else {}),
            }
            for at in order
        ]
        return answer(
            {
                "id": secrets.token_hex(8),
                "object": "list",
                "model": asked.model,
                "results": results,
                "usage": _usage(tokens for _, tokens in found),
                "meta": {"api_version": {"version": "1"}, "billed_units": {"search_units": 1}},
            }
        )


def _add_page(api: FastAPI, root_path: str) -> None:
    """Swagger's page, from its files on this machine."""
    at = f"{root_path}{PATH}/docs/files"

    @api.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return get_swagger_ui_html(
            openapi_url=f"{root_path}{PATH}/openapi.json",
            title=_TITLE,
            swagger_js_url=f"{at}/swagger-ui-bundle.js",
            swagger_css_url=f"{at}/swagger-ui.css",
            swagger_favicon_url=f"{at}/favicon-32x32.png",
            oauth2_redirect_url=None,
        )

    folder = Path(str(files("fastapi_swagger") / "resources"))
    api.mount("/docs/files", StaticFiles(directory=folder))


def _told(success: Any, *refused: Any) -> dict[int | str, dict[str, Any]]:
    """What a route answers, for the page about it."""
    refusals = {status: _REFUSALS[status] for status in refused}
    # 'default' also keeps FastAPI from naming a shape of its own for what cannot be read.
    other = {"model": shapes.Failure, "description": "Any other failure"}
    return {200: {"model": success}, **refusals, "default": other}


def _usage(tokens: Any) -> dict[str, int]:
    count = sum(tokens)
    return {"prompt_tokens": count, "total_tokens": count}


# A brake on guessing the key: after some wrong ones an address has to wait.

#: Different wrong keys from one address within so many seconds.
MOST, WINDOW = 10, 60.0
#: Addresses that are remembered; the one that failed longest ago goes first.
ADDRESSES = 10_000


@dataclass
class RateLimit:
    """Counts wrong keys by address. Times are seconds of any clock that only goes forward.

    The same wrong key again is no new guess: a program that was set up wrongly and goes on trying
    must not lock others at its address out. Keys are kept as digests.
    """

    _wrong: OrderedDict[str, OrderedDict[bytes, float]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self, address: str, now: float) -> int:
        """Whole seconds until that address is listened to again; 0 for at once."""
        with self._lock:
            guesses = self._wrong.get(address)
            if guesses is None or len(guesses) < MOST:
                return 0
            left = next(iter(guesses.values())) + WINDOW - now
            return max(0, int(left) + 1) if left > 0 else 0

    def failed(self, address: str, given: str, now: float) -> None:
        """``given`` is a wrong key; the last few of an address are kept, each with the time when it
        was first given."""
        digest = hashlib.sha256(given.encode("utf-8", "surrogatepass")).digest()
        with self._lock:
            guesses = self._wrong.setdefault(address, OrderedDict())
            self._wrong.move_to_end(address)
            if digest not in guesses:
                guesses[digest] = now
            while len(guesses) > MOST:
                guesses.popitem(last=False)
            while len(self._wrong) > ADDRESSES:
                self._wrong.popitem(last=False)


# What stands before the API's routes: the key, and the size of a request.

#: Of a request: 2,048 texts of 8 kB, each with some fields of its own.
LIMIT = BodyLimit(16 * 1024 * 1024, values=50_000, seconds=120.0)
#: Below the API's own path. They say what the routes take, and nothing of the workspace.
OPEN = ("/docs", "/openapi.json")


@dataclass(frozen=True, slots=True)
class RequireKey:
    """Lets a request through that carries the key; the page about the routes is open.

    Who sends one wrong key after the other has to wait, and is told nothing of the next ones.
    """

    app: ASGIApp
    key: ApiKey
    at: str
    brake: RateLimit = field(default_factory=RateLimit)
    proxies: Proxies = NO_PROXIES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._open(scope):
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("authorization")
        # Looked at and counted in one go: requests that come together do not slip through between.
        address, now = self.proxies.client(scope), time.monotonic()
        if given is not None and (seconds := self.brake.wait(address, now)):
            words = f"Too many wrong keys. Try again in {seconds} seconds."
            headers = {"retry-after": str(seconds)}
            refused = failure(429, words, code="too_many_wrong_keys", headers=headers)
            await refused(scope, receive, send)
        elif given is not None and self.key.opened_by(given):
            await self.app(scope, receive, send)
        else:
            headers = {"www-authenticate": "Bearer"}
            words = "A key is needed: send the header 'Authorization: Bearer KEY'."
            if given is not None:
                self.brake.failed(address, given, now)
                words = "The key is not right."
            refused = failure(401, words, code="invalid_api_key", headers=headers)
            await refused(scope, receive, send)

    def _open(self, scope: Scope) -> bool:
        path = str(scope["path"]).removeprefix(self.at)
        return any(path == one or path.startswith(f"{one}/") for one in OPEN)


def limit_body(app: ASGIApp) -> LimitBodies:
    """What stands before the routes: a request is no larger than :data:`LIMIT`."""
    return LimitBodies(app, lambda _scope: LIMIT, _refused)


def _refused(_scope: Scope, refused: Refused, limit: BodyLimit) -> Response:
    words = {
        "bytes": f"The request is larger than {limit.bytes // 2**20} MB. Send it in parts.",
        "values": f"The request's JSON holds more than {limit.values:,} values. Send it in parts,"
        " and texts in place of tokens.",
        "depth": f"The request's JSON is nested deeper than {limit.depth} levels.",
        "slow": f"The request did not arrive within {limit.seconds:.0f} seconds.",
        "parts": "The request is a form of several parts. Send JSON.",
        "encoding": "The request is not written in UTF-8.",
    }
    code = "too-large" if refused.status == 413 else None
    return failure(refused.status, words[refused.why], code=code)
