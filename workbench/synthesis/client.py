"""The client for an endpoint: it sends one key and nothing else of the environment, asks nobody
else, and reads a reply to a limit.

The library behind it would also send what OPENAI_ORG_ID, OPENAI_PROJECT_ID and
OPENAI_CUSTOM_HEADERS hold to whatever address is asked, follow redirects with the prompt in hand,
and read a reply without end.
"""

from collections.abc import AsyncIterator
from typing import Protocol

import httpx2
import openai

from workbench.recipes.base import origin

#: Bytes of a reply: so many, and so many more for each token that was asked for. A token that is
#: streamed comes in a message of its own, with some hundred letters around it.
MOST_BYTES, BYTES_A_TOKEN = 1 << 20, 4096
#: What a request says besides the key.
_SENT = frozenset(
    ("host", "content-type", "content-length", "transfer-encoding", "connection", "user-agent")
)


class Asked(Protocol):
    """Of a recipe: who is asked, for how much, and how long is waited (seconds)."""

    @property
    def endpoint(self) -> str: ...
    @property
    def endpoint_model(self) -> str: ...
    @property
    def timeout(self) -> float: ...
    @property
    def max_tokens(self) -> int: ...


class TooMuch(httpx2.TransportError):
    """The reply is larger than any answer of the length that was asked for."""


class Packed(httpx2.TransportError):
    """The reply is compressed, which was not asked for: a little can become very much."""


def client(recipe: Asked, key: str) -> openai.AsyncOpenAI:
    """To be closed after use (``async with``)."""
    most = MOST_BYTES + BYTES_A_TOKEN * recipe.max_tokens
    transport = _Bounded(origin(recipe.endpoint), key, most)
    return openai.AsyncOpenAI(
        # A server without keys is sent one that says so; the client insists on some.
        api_key=key or "none",
        base_url=recipe.endpoint,
        timeout=recipe.timeout,
        max_retries=0,
        http_client=httpx2.AsyncClient(transport=transport, trust_env=False),
    )


class _Bounded(httpx2.AsyncBaseTransport):
    """Requests to one origin, of the headers named above; replies up to a size."""

    def __init__(self, where: str | None, key: str, most: int) -> None:
        self._where, self._key, self._most = where, key, most
        # A client, since it knows the proxies of the environment; it does not follow redirects.
        self._inner = httpx2.AsyncClient()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self._where is None or origin(str(request.url)) != self._where:
            raise httpx2.UnsupportedProtocol("the request would go elsewhere than was asked")
        request.headers = self._headers(request.headers)
        response = await self._inner.send(request, stream=True)
        packed = response.headers.get("content-encoding", "identity").strip().lower()
        if packed not in ("", "identity"):
            await response.aclose()
            raise Packed(f"the reply is compressed: {packed[:20]}")
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=_Counted(response, self._most),
            extensions=response.extensions,
        )

    def _headers(self, found: httpx2.Headers) -> httpx2.Headers:
        kept = {name: value for name, value in found.items() if name.lower() in _SENT}
        kept["accept"] = "application/json, text/event-stream"
        kept["accept-encoding"] = "identity"
        kept["authorization"] = f"Bearer {self._key or 'none'}"
        return httpx2.Headers(kept)

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Counted(httpx2.AsyncByteStream):
    """A reply's bytes; raises :class:`TooMuch` beyond so many."""

    def __init__(self, response: httpx2.Response, most: int) -> None:
        self._response, self._left = response, most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for block in self._response.aiter_raw():
            self._left -= len(block)
            if self._left < 0:
                raise TooMuch("the reply does not end")
            yield block

    async def aclose(self) -> None:
        await self._response.aclose()
