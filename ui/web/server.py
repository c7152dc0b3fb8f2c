"""The FastAPI app that carries the page: our routes, Gradio mounted beside them, guards before all.

From the outside in: security headers, language, trusted hosts, same origin, prefix, the language's
switch, login, limits, routes.
"""

from dataclasses import dataclass
from typing import Any

import gradio as gr
from fastapi import FastAPI

from ui import theme
from ui.agents import take_nulls
from ui.kit.events import GATE
from ui.routes import answers, assets, downloads, live, pictures, uploads
from ui.routes.replies import add_error_answers
from ui.services import Services
from ui.web.editions import Editions, Speaks, Switches
from ui.web.guards import (
    SameOrigin,
    SecurityHeaders,
    StripPrefix,
    TrustedHosts,
    allowed_hosts,
    limit_bodies,
)
from ui.web.login import RequireLogin, sessions_of
from ui.web.offering import programs
from ui.web.sessions import Credentials
from workbench.serving.api import PATH, ApiKey, create_api
from workbench.serving.models import Catalogue
from workbench.serving.server import NO_PROXIES, Proxies

ROUTERS = (
    *(answers.router, assets.router, live.changes_router, downloads.router),
    *(pictures.router, live.router, downloads.report_router, live.sweep_router, uploads.router),
)
#: FastAPI's pages about its routes, ours and Gradio's: nobody needs them here.
NO_PAGES: dict[str, Any] = {"docs_url": None, "redoc_url": None, "openapi_url": None}
#: Seconds after which Gradio's queue looks for events again. Its own thousandth of a second takes a
#: twentieth of a processor from a page that nobody uses.
QUEUE_REST = 0.02
#: Gradio's own file inputs; large files come through the drop zone.
MOST_GRADIO_UPLOAD = "1gb"


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How the page may be reached."""

    host: str = "127.0.0.1"
    port: int = 7860
    root_path: str = ""
    allowed_hosts: tuple[str, ...] = ()
    credentials: Credentials | None = None
    #: What is offered to other programs at /v1, and the key to it; None: nothing.
    catalogue: Catalogue | None = None
    key: ApiKey | None = None
    #: Whether agents find tools at /gradio_api/mcp.
    mcp: bool = False
    #: Whose word is taken for who asks.
    proxies: Proxies = NO_PROXIES


def create_app(
    services: Services,
    options: ServerOptions,
    blocks: gr.Blocks | None = None,
) -> FastAPI:
    """The whole app; ``blocks`` is a page in place of ours.

    Gradio's monitoring, run history, API pages and analytics are off.
    """
    pages = Editions(lambda: _page(services, options, blocks))
    app = FastAPI(**NO_PAGES, lifespan=lambda _app: pages.living())
    add_error_answers(app)
    for router in ROUTERS:
        app.include_router(router(services))
    if options.catalogue is not None and options.key is not None and services.search is not None:
        api = create_api(
            services.search,
            options.catalogue,
            options.key,
            services.root_path,
            proxies=options.proxies,
        )
        app.mount(PATH, api)
    app.mount("/", pages)
    _guard(app, services, options)
    return app


def _page(services: Services, options: ServerOptions, blocks: gr.Blocks | None) -> FastAPI:
    """The page in the language spoken, as an app of its own."""
    from ui.main import build

    with GATE.alone():
        page = FastAPI(**NO_PAGES)
        _mount(page, services, options, blocks or build(services, agents=options.mcp))
    return page


def _mount(app: FastAPI, services: Services, options: ServerOptions, blocks: gr.Blocks) -> None:
    blocks.analytics_enabled = False
    gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        root_path=services.root_path or None,
        server_name=options.host,
        server_port=options.port,
        app_kwargs=dict(NO_PAGES),  # Gradio writes into it
        allowed_paths=[],
        blocked_paths=_private(services),
        enable_monitoring=False,
        show_error=False,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        mcp_server=options.mcp,
        pwa=False,
        max_file_size=MOST_GRADIO_UPLOAD,
        theme=theme.THEME,
        css=theme.CSS,
        head=theme.HEAD,
    )
    blocks._queue.sleep_when_free = blocks._queue.progress_update_sleep_when_free = QUEUE_REST
    if options.mcp:
        take_nulls(blocks)


def _private(services: Services) -> list[str]:
    """What Gradio's file route never serves; its own cache may lie in the home's ``cache``."""
    home = services.workspace.home
    return [str(path) for path in home.iterdir() if path.name != "cache"]


def _guard(app: FastAPI, services: Services, options: ServerOptions) -> None:
    """Middleware added last is asked first."""
    app.add_middleware(limit_bodies)
    hosts = allowed_hosts(options.host, options.allowed_hosts)
    if options.credentials is not None:
        app.add_middleware(
            RequireLogin,
            credentials=options.credentials,
            sessions=sessions_of(services.workspace.home, options.credentials),
            root_path=services.root_path,
            proxies=options.proxies,
            passes=programs(options.key, options.catalogue is not None, options.proxies),
        )
    app.add_middleware(Switches, root_path=services.root_path)
    app.add_middleware(StripPrefix, prefix=services.root_path)
    app.add_middleware(SameOrigin, hosts=hosts)
    app.add_middleware(TrustedHosts, hosts=hosts)
    app.add_middleware(Speaks)
    app.add_middleware(SecurityHeaders)
