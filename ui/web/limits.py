"""How large a request each route takes: every route that takes a body stands here, ours and
Gradio's, and a test misses none. What stands nowhere is allowed next to nothing.
"""

import re
from collections.abc import Callable
from functools import cache

from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Scope

from ui.uploads import MOST_FILES, MOST_SLICE
from ui.web.offering import API, TOOLS, refused_at
from ui.words import amounts, t
from workbench.serving.bodies import BodyLimit, LimitBodies, Refused

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
