"""What stands before the API's routes: the key, and the size of a request."""

from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workbench.serving.failures import failure
from workbench.serving.keys import ApiKey

#: Bytes of a request: 2,048 texts of 8 kB.
LARGEST = 16 * 1024 * 1024
#: Below the API's own path. They say what the routes take, and nothing of the workspace.
OPEN = ("/docs", "/openapi.json")


@dataclass(frozen=True, slots=True)
class RequireKey:
    """Lets a request through that carries the key; the page about the routes is open."""

    app: ASGIApp
    key: ApiKey
    at: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = None
        if scope["type"] == "http" and not self._open(str(scope["path"])):
            refused = self._refused(Headers(scope=scope), address_of(scope))
        await (refused or self.app)(scope, receive, send)

    def _open(self, path: str) -> bool:
        below = path.removeprefix(self.at)
        return any(below == one or below.startswith(f"{one}/") for one in OPEN)

    def _refused(self, headers: Headers, address: str) -> Response | None:
        given = headers.get("authorization", "")
        if seconds := self.key.wait(address):
            words = f"Too many wrong keys came from this address. Try again in {seconds} seconds."
            after = {"retry-after": str(seconds)}
            return failure(429, words, code="too_many_wrong_keys", headers=after)
        if self.key.admits(given, address):
            return None
        words = "A key is needed: send the header 'Authorization: Bearer KEY'."
        if given:
            words = "The key is not right."
        about = {"www-authenticate": "Bearer"}
        return failure(401, words, code="invalid_api_key", headers=about)


def address_of(scope: Scope) -> str:
    """Where a request comes from; behind a proxy the proxy's, as headers are anybody's to write."""
    client = scope.get("client")
    return str(client[0]) if client else ""


@dataclass(frozen=True, slots=True)
class LimitBody:
    """Refuses a request that is too large, before it is all here."""

    app: ASGIApp
    largest: int = LARGEST

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        body = None
        if not (length.isdecimal() and int(length) > self.largest):
            body = await self._read(receive)
        if body is None:
            words = f"The request is larger than {self.largest // 2**20} MB. Send it in parts."
            await failure(413, words, code="too-large")(scope, receive, send)
            return
        await self.app(scope, _once(body, receive), send)

    async def _read(self, receive: Receive) -> bytes | None:
        """The whole body, or None where it is too large. A client that went away ends it."""
        body = bytearray()
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > self.largest:
                return None
            if not message.get("more_body", False):
                return bytes(body)


def _once(body: bytes, receive: Receive) -> Receive:
    """The body in one piece, then what the client says afterwards."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Any:
        return left.pop() if left else await receive()

    return next_message
