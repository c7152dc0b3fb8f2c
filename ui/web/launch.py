"""From checked options to a page that serves, and back: what ``app.py`` does.

The order matters for the start: options, port and workspace first (they may refuse), then Gradio,
whose import is most of the time; the packaged model is copied in the background afterwards.
"""

import errno
import gc
import importlib
import inspect
import logging
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ui.web import offering
from ui.web.sessions import Credentials
from ui.words import t
from workbench.endpoints import EndpointKeys
from workbench.errors import BadInput, WorkbenchError
from workbench.serving.server import Proxies

if TYPE_CHECKING:
    from ui.services import Services
    from workbench.workspace import Workspace


# Gradio, as light as this page can have it: imported in a third of the time, with 80 MB less.
#
# Importing it brings pandas, for tables and plots that the page does not have, and the protocol of
# agents wherever that is installed; it also writes stubs for editors beside its own files. Drawing
# asks for the signature of a component's class several times per component.


@contextmanager
def starting(*, agents: bool) -> Iterator[None]:
    """While Gradio is imported and the page is drawn. ``agents``: with their protocol.

    Hardly anything that is made meanwhile is garbage: Python does not look for any, then or later.
    """
    gc.disable()
    try:
        _import_gradio(agents)
        yield
    finally:
        gc.freeze()
        gc.enable()


def _import_gradio(agents: bool) -> None:
    """What was imported before stays as it is."""
    held: dict[str, Any] = {"pandas": _Later("pandas")}
    if not agents:
        held["mcp"] = None  # To Gradio it is then not installed.
    held = {name: module for name, module in held.items() if name not in sys.modules}
    sys.modules.update(held)
    finder = _WithoutStubs()
    sys.meta_path.insert(0, finder)
    try:
        importlib.import_module("gradio")
    finally:
        sys.meta_path.remove(finder)
        # Others look here whether pandas is in use.
        for name, module in held.items():
            if name in sys.modules and sys.modules[name] is module:
                del sys.modules[name]
    _keep_signatures(importlib.import_module("gradio.blocks").Block)


class _Later(ModuleType):
    """Stands for a module until something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            sys.modules.pop(self.__name__, None)
        return getattr(importlib.import_module(self.__name__), name)


class _WithoutStubs(MetaPathFinder):
    """Gradio's modules without what they do for editors alone: to read, parse and write a file for
    each class of components, and to fill in the documentation of its events."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in ("gradio.component_meta", "gradio.events"):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Undocumented(spec.loader)
        return spec


class _Undocumented(Loader):
    def __init__(self, real: Loader) -> None:
        self._real = real

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._real.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._real.exec_module(module)
        for held, name in ((module, "create_or_modify_pyi"), (_events(module), "set_doc")):
            if hasattr(held, name):
                setattr(held, name, lambda *_, **__: None)


def _events(module: ModuleType) -> Any:
    return getattr(module, "EventListener", None)


def _keep_signatures(kind: type[Any]) -> None:
    """Where ``inspect`` looks before it works them out, for a class and those made from it."""
    made = vars(kind).get("__init__")
    if made is not None:
        signature = inspect.signature(made)
        for function in (made, getattr(made, "__wrapped__", made)):
            function.__signature__ = signature
    for one in kind.__subclasses__():
        _keep_signatures(one)


# Taking a port: the one that was asked for, or the next free one.

FIRST_PORT = 7860
PORTS = 100
#: Connections that wait while Gradio is still being imported.
BACKLOG = 128


@contextmanager
def listen(host: str, port: int | None) -> Iterator[socket.socket]:
    """A listening socket; raises :class:`BadInput` when there is none to be had.

    It listens from the start, so that no other program can take the port while the app loads.
    """
    taken = open_socket(host, port) if port is not None else _next_free(host)
    try:
        yield taken
    finally:
        taken.close()


def port_of(listening: socket.socket) -> int:
    """The port a socket listens on."""
    return int(listening.getsockname()[1])


def open_socket(host: str, port: int) -> socket.socket:
    """Listen on exactly this port."""
    try:
        return _bind(host, port)
    except OSError as error:
        raise _explain(host, port, error) from error


def _next_free(host: str) -> socket.socket:
    for port in range(FIRST_PORT, FIRST_PORT + PORTS):
        try:
            found = _bind(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise _explain(host, port, error) from error
            continue
        if port != FIRST_PORT:
            print(t("server.taken_next", port=FIRST_PORT, other=port), flush=True)
        return found
    raise BadInput(t("server.no_port", port=FIRST_PORT, last=FIRST_PORT + PORTS - 1))


def _bind(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, where = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(where)
        opened.listen(BACKLOG)
    except OSError:
        opened.close()
        raise
    return opened


def _explain(host: str, port: int, error: OSError) -> BadInput:
    if error.errno == errno.EADDRINUSE:
        return BadInput(t("server.taken", port=port))
    return BadInput(t("server.no_address", host=f"{host}:{port}", reason=error.strerror or error))


log = logging.getLogger(__name__)
AUTH_VARIABLE = "WORKBENCH_AUTH"
LOG_BYTES = 2_000_000
LOG_FILES = 3


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line said."""

    home: str | None = None
    host: str = "127.0.0.1"
    port: int | None = None
    root_path: str = ""
    allowed_host: list[str] = field(default_factory=list)
    auth: str | None = None
    trust_remote_code: bool = False
    trusted_proxy: list[str] = field(default_factory=list)
    endpoint_key: list[str] = field(default_factory=list)
    open: bool = False
    serve: list[str] = field(default_factory=list)
    mcp: bool = False


def run(options: Options) -> int:
    """Serve until SIGINT or SIGTERM; raises :class:`WorkbenchError` where it cannot start."""
    from ui.web.guards import is_loopback

    credentials = read_credentials(options.auth)
    asks = bool(options.serve) or (options.mcp and credentials is not None)
    key, made = offering.read_key(asks)
    if credentials is None and not is_loopback(options.host):
        raise BadInput(t("server.needs_auth", host=options.host))
    prefix = read_prefix(options.root_path)
    proxies = Proxies.read(options.trusted_proxy)
    keys = EndpointKeys.read(options.endpoint_key)
    with listen(options.host, options.port) as socket, _workspace(options, keys) as workspace:
        _prepare(workspace)
        catalogue = offering.choose(workspace, options.serve)
        with _services(workspace, prefix, len(options.serve)) as services:
            port = port_of(socket)
            with starting(agents=options.mcp):
                from ui.web.server import ServerOptions, create_app
                from workbench.serving.server import serve

                hosts = tuple(options.allowed_host)
                wanted = ServerOptions(
                    *(options.host, port, prefix, hosts, credentials, catalogue, key),
                    *(options.mcp, proxies),
                )
                app = create_app(services, wanted)

            def ready() -> None:
                _ready(services, options, port)
                where = address(options.host, port, prefix)
                offering.say(
                    services, where, catalogue=catalogue, tools=options.mcp, key=key, made=made
                )

            serve(app, socket, ready)
            print(t("server.stopping"), flush=True)
            _say_what_goes_on(workspace)
    return 0


def read_credentials(auth: str | None) -> Credentials | None:
    """The login from --auth: None without it, '' for the environment, else a file's path."""
    if auth is None:
        return None
    if auth:
        try:
            return Credentials.parse(Path(auth).expanduser().read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BadInput(t("server.auth_file", path=auth, reason=reason)) from error
    given = os.environ.get(AUTH_VARIABLE, "")
    if not given:
        raise BadInput(t("server.no_auth"))
    return Credentials.parse(given)


def read_prefix(root_path: str) -> str:
    """'/prefix' without a trailing slash, or ''."""
    prefix = root_path.rstrip("/")
    good = prefix.startswith("/") and not prefix.startswith("//")
    plain = all(letter.isalnum() or letter in "/-._~" for letter in prefix) and ".." not in prefix
    if prefix and not (good and plain):
        raise BadInput(t("server.root_path"))
    return prefix


@contextmanager
def _workspace(options: Options, keys: EndpointKeys) -> Iterator["Workspace"]:
    from workbench.workspace import Workspace

    trusted = options.trust_remote_code
    workspace = Workspace.open(options.home, trust_remote_code=trusted, endpoint_keys=keys)
    try:
        yield workspace
    finally:
        workspace.close()


def _prepare(workspace: "Workspace") -> None:
    """Everything that must stand before Gradio is imported."""
    # The login is read; what the app starts (jobs, the search worker) must not inherit it.
    os.environ.pop(AUTH_VARIABLE, None)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(workspace.path("cache/gradio"))
    _log_to(workspace.path("logs/app.log"))


def _log_to(path: Path) -> None:
    """Warnings of everything and remarks of ours go to a file that rotates; secrets to none."""
    path.parent.mkdir(exist_ok=True)
    handler = RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name in ("ui", "workbench", "storage"):
        logging.getLogger(name).setLevel(logging.INFO)


@contextmanager
def _services(workspace: "Workspace", prefix: str, served: int = 0) -> Iterator["Services"]:
    """The engine, running: jobs left by an earlier start are settled or taken over."""
    from ui.services import Services
    from workbench.jobs.supervisor import Supervisor
    from workbench.search.client import IDLE_SECONDS, SearchClient

    workspace.jobs.recover()
    # What is served stays in memory: another program should not wait until it is loaded anew.
    idle = float("inf") if served else IDLE_SECONDS
    search = SearchClient(workspace, idle_seconds=idle, more_models=served)
    supervisor = Supervisor(workspace)
    supervisor.start()
    try:
        yield Services(workspace, search, supervisor, prefix)
    finally:
        search.close()
        supervisor.stop()


def _ready(services: "Services", options: Options, port: int) -> None:
    """Said and done once the page serves."""
    where = address(options.host, port, services.root_path)
    print(t("server.ready", address=where), flush=True)
    print(t("server.home_used", home=services.workspace.home), flush=True)
    log.info("serving at %s", where)
    if options.open:
        webbrowser.open(where)
    threading.Thread(target=_tidy, args=(services,), daemon=True, name="tidy").start()


def _tidy(services: "Services") -> None:
    """In the background: the packaged model is made ready, stale uploads are removed."""
    from ui.routes.uploads import clean

    try:
        services.workspace.models.ensure_packaged()
        clean(services)
    except (WorkbenchError, OSError):
        log.exception("the packaged model could not be made ready")


def address(host: str, port: int, prefix: str) -> str:
    """Where a browser on this machine finds the page."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}{prefix}/"


def _say_what_goes_on(workspace: "Workspace") -> None:
    active = workspace.jobs.active()
    running = [job for job in active if job.status == "running"]
    if running:
        names = ", ".join(f"{job.name} ({job.id})" for job in running)
        print(t("server.go_on", count=_jobs(len(running)), names=names), flush=True)
    if waiting := len(active) - len(running):
        print(t("server.waiting", count=_jobs(waiting)), flush=True)


def _jobs(count: int) -> str:
    return t("server.jobs", count=count)
