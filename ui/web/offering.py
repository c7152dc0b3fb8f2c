"""What the app offers to other programs besides the page: models at /v1, tools for agents.

Off unless asked for. Programs have a key and no cookie: the routes at /v1 ask for it themselves,
and where the page has a login the key stands for it at the tools' address.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from ui.routes.replies import refusal
from ui.words import t
from workbench.serving.api import VARIABLE, ApiKey, RateLimit, failure, take_key
from workbench.serving.server import NO_PROXIES, Proxies

if TYPE_CHECKING:
    from ui.services import Services
    from workbench.serving.models import Catalogue
    from workbench.workspace import Workspace


class Held(Exception):
    """An address has to wait; ``seconds`` is how long."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


log = logging.getLogger(__name__)
API = "/v1"
TOOLS = "/gradio_api/mcp"
#: Programs are let in to these and asked for the key there; not to the page about them.
ROUTES = ("/v1/embeddings", "/v1/rerank", "/v1/v2/rerank", "/v1/models")


def read_key(wanted: bool) -> tuple[ApiKey | None, str]:
    """The key, and its text where it was made up now; None where nothing asks for one."""
    if not wanted:
        # Jobs are started with this environment: the key is not for them.
        os.environ.pop(VARIABLE, None)
        return None, ""
    return take_key()


def choose(workspace: "Workspace", names: Sequence[str]) -> "Catalogue | None":
    """The models to be served, found by their names now; None for no names."""
    from workbench.serving.models import Catalogue

    return Catalogue.choose(workspace, names) if names else None


def programs(
    key: ApiKey | None, serving: bool, proxies: Proxies = NO_PROXIES
) -> Callable[[Request], bool]:
    """Who may pass the login without a cookie. Raises :class:`Held` for an address that has sent
    too many wrong keys to the tools; at /v1 the routes themselves see to that."""
    brake = RateLimit()

    def passes(request: Request) -> bool:
        path = request.url.path
        if key is None:
            return False
        if serving and any(path == one or path.startswith(f"{one}/") for one in ROUTES):
            return True
        tools = path == TOOLS or path.startswith(f"{TOOLS}/")
        return tools and _opens(key, brake, request, proxies)

    return passes


def _opens(key: ApiKey, brake: RateLimit, request: Request, proxies: Proxies) -> bool:
    given = request.headers.get("authorization")
    if given is None:
        return False
    # Looked at and counted in one go: requests that come together do not slip through between.
    address, now = proxies.client(request.scope), time.monotonic()
    if seconds := brake.wait(address, now):
        raise Held(seconds)
    if key.opened_by(given):
        return True
    brake.failed(address, given, now)
    return False


def refused_at(scope: Scope, status: int, sentence: str) -> Response:
    """A refusal in the shape that whoever asked there reads."""
    of_api = f"{API}/" in str(scope.get("path", ""))
    return failure(status, sentence) if of_api else refusal(status, sentence)


def say(
    services: "Services",
    where: str,
    *,
    catalogue: "Catalogue | None",
    tools: bool,
    key: ApiKey | None,
    made: str,
) -> None:
    """Where programs find what is offered; a key that was made up is printed, this once."""
    if catalogue is not None:
        names = ", ".join(one.name for one in catalogue.models)
        print(t("serve.ready", address=f"{where}v1", names=names), flush=True)
        print(t("serve.page", address=f"{where}v1/docs"), flush=True)
        threading.Thread(target=_warm, args=(services, catalogue), daemon=True).start()
    if tools:
        print(t("serve.tools", address=f"{where}{TOOLS[1:]}/"), flush=True)
    if made:
        print(t("serve.key", key=made), flush=True)
    elif key is not None:
        print(t("serve.key_given", variable=VARIABLE), flush=True)


def _warm(services: "Services", catalogue: "Catalogue") -> None:
    """In the background: what is served is loaded before it is asked for."""
    assert services.search is not None
    for error in catalogue.warm(services.search).values():
        # Whoever asks will be told; here it is for the one who reads the log.
        log.warning("a model to be served could not be loaded: %s", error)
