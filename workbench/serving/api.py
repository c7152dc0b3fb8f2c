"""The API as an app of its own: its routes, its guards, and a page about them.

It is mounted below ``/v1`` of the page's app, or served alone (``python -m workbench serve``).
"""

import base64
import secrets
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import Depends, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.security import HTTPBearer
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from workbench.errors import BadInput
from workbench.search.client import SearchClient
from workbench.serving import shapes
from workbench.serving.failures import add_failures, answer
from workbench.serving.guard import RequireKey, limit_body
from workbench.serving.keys import ApiKey
from workbench.serving.models import Catalogue, Served
from workbench.serving.proxies import NO_PROXIES, Proxies
from workbench.serving.there import while_there
from workbench.serving.work import Embedded, Work, cut, probability

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
        bounded = model.kind != "late-interaction" and not asked.raw_scores
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
