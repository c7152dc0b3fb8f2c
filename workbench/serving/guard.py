"""What stands before the API's routes: the key, and the size of a request."""

import time
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from workbench.serving.bodies import BodyLimit, LimitBodies, Refused
from workbench.serving.brake import Brake
from workbench.serving.failures import failure
from workbench.serving.keys import ApiKey
from workbench.serving.proxies import NO_PROXIES, Proxies

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
    brake: Brake = field(default_factory=Brake)
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
