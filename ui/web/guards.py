"""What stands before every route, Gradio's included: names, origins, prefix, headers, and how large
a request each route takes.

Plain ASGI middleware, so that streams pass through untouched. The rules follow the Fetch Metadata
resource isolation policy (https://web.dev/articles/fetch-metadata) and OWASP's advice on
cross-site request forgery; they need no token, so Gradio's own requests obey them too.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

import psutil
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.uploads import MOST_FILES, MOST_SLICE
from ui.web.offering import API, TOOLS, refused_at
from ui.words import amounts, t
from workbench.serving.bodies import BodyLimit, LimitBodies, Refused

LOOPBACK = ("127.0.0.1", "localhost", "::1")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

#: gr.HTML compiles its templates in the browser, hence 'unsafe-eval'; Gradio's page has inline
#: scripts and styles. Nothing may be loaded from, sent to, or framed by another site.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "media-src 'self' data: blob:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "frame-src 'self'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    )
)

HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


def allowed_hosts(listen: str, extra: Iterable[str] = ()) -> frozenset[str]:
    """The names under which the page may be asked for when it listens on ``listen``.

    A wildcard address (0.0.0.0, ::) stands for every address of this machine.
    """
    hosts = {*LOOPBACK, *(name.lower() for name in extra)}
    if _is_wildcard(listen):
        found = (one.address for each in psutil.net_if_addrs().values() for one in each)
        return frozenset(hosts | {address.split("%")[0].lower() for address in found})
    return frozenset(hosts | {listen.lower()})


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _is_wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return False


def hostname(netloc: str) -> str:
    """'[::1]:7860' -> '::1', 'Example.org:80' -> 'example.org'; '' where it is no host."""
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""


@dataclass(frozen=True, slots=True)
class TrustedHosts:
    """Refuses a Host that is not ours (DNS rebinding), and websockets, which we have none of.

    Beside exact names, '*.example.org' allows every name below that one and '*' allows any.
    """

    app: ASGIApp
    hosts: frozenset[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http" and not self.knows(name := host_of(scope)):
            await refused_at(scope, 421, t("refused.host", host=name))(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def knows(self, name: str) -> bool:
        return (
            name in self.hosts
            or "*" in self.hosts
            or any(known[0] == "*" and name.endswith(known[1:]) for known in self.hosts if known)
        )


@dataclass(frozen=True, slots=True)
class SameOrigin:
    """Refuses what another site's page asks for; following a link to us stays possible.

    A request without Origin and Sec-Fetch-Site does not come from a browser's page. A proxy may
    change Host, so an Origin whose name was allowed by hand counts as ours too.
    """

    app: ASGIApp
    hosts: frozenset[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.foreign(scope):
            await refused_at(scope, 403, t("refused.origin"))(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def foreign(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is not None and not self._ours(origin, headers.get("host", "")):
            return True
        if headers.get("sec-fetch-site", "none") in ("same-origin", "none"):
            return False
        followed = headers.get("sec-fetch-mode") == "navigate"
        return not (followed and scope["method"] in SAFE_METHODS)

    def _ours(self, origin: str, host: str) -> bool:
        try:
            parts = urlsplit(origin)
            name = parts.hostname or ""
        except ValueError:
            return False
        return bool(name) and (parts.netloc.lower() == host.lower() or self._allowed(name))

    def _allowed(self, name: str) -> bool:
        return name in self.hosts and name not in LOOPBACK and not _is_address(name)


@dataclass(frozen=True, slots=True)
class SecurityHeaders:
    """Adds :data:`HEADERS` to every answer that does not set them itself."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)


@dataclass(frozen=True, slots=True)
class StripPrefix:
    """Lets the page work below a prefix whether or not the proxy takes it off the path."""

    app: ASGIApp
    prefix: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if self.prefix and (path == self.prefix or path.startswith(self.prefix + "/")):
            raw = scope.get("raw_path", b"").removeprefix(self.prefix.encode())
            scope = {**scope, "path": path[len(self.prefix) :] or "/", "raw_path": raw or b"/"}
        await self.app(scope, receive, send)


def host_of(scope: Scope) -> str:
    """The name a request asks for, without port and brackets, in lower case."""
    return hostname(Headers(scope=scope).get("host", ""))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


# How large a request each route takes: every route that takes a body stands here, ours and
# Gradio's, and a test misses none. What stands nowhere is allowed next to nothing.

KB, MB = 1024, 1024 * 1024
#: An id or two.
LITTLE = BodyLimit(64 * KB, values=100)
#: What all fields of a tab hold, its tables among them.
EVENT = BodyLimit(8 * MB, values=200_000, depth=64)
#: Recipes, questions, calls of tools.
TEXTS = BodyLimit(MB, values=2000)
#: A route of Gradio's that the page has no use for.
CLOSED = BodyLimit(0)

_GRADIO = "/gradio_api"
LIMITS: dict[tuple[str, str], BodyLimit] = {
    ("POST", "/api/answers"): TEXTS,
    # A folder's files: the path and size of each.
    ("POST", "/api/uploads"): BodyLimit(16 * MB, values=3 * MOST_FILES + 100),
    ("PUT", "/api/uploads/{id}"): BodyLimit(MOST_SLICE, seconds=1800.0, pause=60.0),
    ("DELETE", "/api/uploads/{id}"): LITTLE,
    ("POST", "/login"): LITTLE,
    ("POST", "/logout"): LITTLE,
    ("POST", f"{_GRADIO}/queue/join"): EVENT,
    ("POST", f"{_GRADIO}/run/{{api_name}}"): EVENT,
    ("POST", f"{_GRADIO}/api/{{api_name}}"): EVENT,
    ("POST", f"{_GRADIO}/call/{{api_name}}"): EVENT,
    ("POST", f"{_GRADIO}/call/v2/{{api_name}}"): EVENT,
    ("POST", f"{_GRADIO}/component_server"): TEXTS,
    ("POST", f"{_GRADIO}/cancel"): LITTLE,
    ("POST", f"{_GRADIO}/reset"): LITTLE,
    ("POST", f"{_GRADIO}/stream/{{event_id}}"): CLOSED,
    ("POST", f"{_GRADIO}/stream/{{event_id}}/close"): CLOSED,
    # Files come through /api/uploads, in pieces, and never as a form of many parts.
    ("POST", f"{_GRADIO}/upload"): CLOSED,
    ("POST", f"{_GRADIO}/process_recording"): CLOSED,
    ("POST", f"{_GRADIO}/run-history/connect"): CLOSED,
    ("POST", f"{_GRADIO}/vibe-edit"): CLOSED,
    ("POST", f"{_GRADIO}/undo-vibe-edit"): CLOSED,
    ("POST", f"{_GRADIO}/vibe-code"): CLOSED,
    ("POST", f"{_GRADIO}/vibe-starter-queries"): CLOSED,
    ("POST", f"{_GRADIO}/profiling/clear"): CLOSED,
}


def limit_bodies(app: ASGIApp) -> LimitBodies:
    """The middleware next to the routes."""
    return LimitBodies(app, limit_of, said)


def limit_of(scope: Scope) -> BodyLimit | None:
    """What a request may be; None at the API, which has a limit of its own."""
    path = str(scope["path"]).rstrip("/")
    if path.startswith(f"{API}/"):
        return None
    if path == TOOLS or path.startswith(f"{TOOLS}/"):
        return TEXTS
    for pattern, limit in _patterns(scope["method"]):
        if pattern.match(path):
            return limit
    return LITTLE


def said(scope: Scope, refused: Refused, limit: BodyLimit) -> Response:
    key, place = _WORDS[refused.why]
    return refused_at(scope, refused.status, t(key, limit=place(limit)))


#: Why a request is refused -> the words for it, and the limit that they name.
_WORDS: dict[str, tuple[str, Callable[[BodyLimit], str]]] = {
    "bytes": ("refused.bytes", lambda limit: amounts.size(limit.bytes)),
    "values": ("refused.values", lambda limit: amounts.count(limit.values)),
    "depth": ("refused.depth", lambda limit: str(limit.depth)),
    "slow": ("refused.slow", lambda limit: f"{limit.seconds:.0f}"),
    "parts": ("refused.parts", lambda _limit: ""),
    "encoding": ("refused.encoding", lambda _limit: ""),
    "closed": ("refused.closed", lambda _limit: ""),
}


@cache
def _patterns(method: str) -> list[tuple[re.Pattern[str], BodyLimit]]:
    known = [(path, limit) for (one, path), limit in LIMITS.items() if one == method]
    return [(compile_path(path)[0], limit) for path, limit in known]
