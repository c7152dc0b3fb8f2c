"""``serve``: models for other programs, without the page."""

import argparse
import socket
import time
from typing import Any

from workbench.cli.output import say
from workbench.cli.running import Commands
from workbench.errors import BadInput
from workbench.workspace import Workspace

PORT = 7870


def add(commands: Commands) -> None:
    parser = commands.add(
        "serve", _serve, "serve models to other programs: /v1/embeddings and /v1/rerank"
    )
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument(
        "--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)"
    )
    parser.add_argument("--port", type=int, default=PORT, metavar="N", help=f"default: {PORT}")
    parser.add_argument(
        "--trusted-proxy",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="address or network of a reverse proxy whose X-Forwarded-For header is trusted",
    )


def _serve(workspace: Workspace, args: argparse.Namespace) -> tuple[Any, str]:
    """Until Ctrl-C. Everything that may refuse comes first."""
    from fastapi import FastAPI

    from workbench.search.client import SearchClient
    from workbench.serving.api import PATH, create_api, take_key
    from workbench.serving.models import Catalogue
    from workbench.serving.server import Proxies, serve

    proxies = Proxies.read(args.trusted_proxy)
    catalogue = Catalogue.choose(workspace, args.models)
    key, made = take_key()
    started = time.time()
    with _listening(args.host, args.port) as listening:
        search = SearchClient(workspace, idle_seconds=float("inf"), more_models=len(args.models))
        try:
            say("Loading the models ...")
            for error in catalogue.warm(search).values():
                raise error
            app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
            app.mount(PATH, create_api(search, catalogue, key, proxies=proxies))
            address = f"http://{_name(args.host)}:{listening.getsockname()[1]}{PATH}"
            serve(app, listening, lambda: _ready(address, made))
        finally:
            search.close()
    names = [one.name for one in catalogue.models]
    document = {"served": names, "address": address, "seconds": time.time() - started}
    return document, "Stopped."


def _ready(address: str, made: str) -> None:
    say(f"Serving at {address} (described at {address}/docs). Ctrl-C stops it.")
    if made:
        say(f"The key, made for this run and shown only now: {made}")


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInput(
            f"Cannot listen on {host}, port {port}: {reason}.", "Choose others: --host, --port."
        ) from error


def _name(host: str) -> str:
    return f"[{host}]" if ":" in host else host
