"""What stands before the API's routes: the key, and the size of a request."""

import time
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workbench.serving.brake import Brake
from workbench.serving.failures import failure
from workbench.serving.keys import ApiKey

#: Bytes of a request: 2,048 texts of 8 kB.
LARGEST = 16 * 1024 * 1024
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
    brake: Brake = field(default_factory=Brake)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._open(scope):
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("authorization")
        address, now = (scope.get("client") or ("",))[0], time.monotonic()
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
