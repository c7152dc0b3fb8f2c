"""Our own scripts and styles, and plotly.js from the plotly package: files that never change.

A fixed list of names instead of a folder: nothing else can be asked for.
"""

import gzip
import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ui.routes.replies import Refused
from ui.services import Services
from ui.words import t

STATIC = Path(__file__).resolve().parent.parent / "static"
TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
NAMES = (
    "answers.js",
    "common.js",
    "dropzone.js",
    "folders.js",
    "gallery.js",
    "live.css",
    "live.js",
    "notices.js",
    "panel.js",
    "plotly.min.js",
    "pulse.js",
    "sweep.js",
    "transfer.js",
)


def router(_services: Services) -> APIRouter:
    """GET /api/assets/{name} (/assets is Gradio's own)."""
    routes = APIRouter()

    @routes.get("/api/assets/{name}")
    def asset(name: str, request: Request) -> Response:
        if name not in NAMES:
            raise Refused(404, t("refused.http", detail="Not Found"))
        headers = {
            "cache-control": "private, max-age=31536000, immutable",
            "vary": "accept-encoding",
        }
        zipped = "gzip" in request.headers.get("accept-encoding", "")
        if zipped:
            headers["content-encoding"] = "gzip"
        body = _zipped(name) if zipped else path_of(name).read_bytes()
        return Response(body, 200, headers, media_type=TYPES[Path(name).suffix])

    return routes


def asset_url(services: Services, name: str) -> str:
    """The asset's address, with a mark of its content, so that a browser may keep it for good."""
    return services.url(f"/api/assets/{name}?v={_mark(name)}")


def path_of(name: str) -> Path:
    """Where an asset's file is. plotly is looked up, not imported: that takes a while."""
    if name != "plotly.min.js":
        return STATIC / name
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(name)
    return Path(spec.origin).parent / "package_data" / name


@cache
def _zipped(name: str) -> bytes:
    return gzip.compress(path_of(name).read_bytes(), compresslevel=6)


@cache
def _mark(name: str) -> str:
    path = path_of(name)
    if path.parent != STATIC:  # large, and changed by an update of the package only
        return hashlib.sha256(f"{path}{path.stat().st_size}".encode()).hexdigest()[:10]
    return hashlib.sha256(path.read_bytes()).hexdigest()[:10]
