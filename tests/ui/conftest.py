"""A workspace, and our app around an empty page.

An app takes a second to make, so tests with the same options share one; each has a client of its
own, with an address and cookies of its own.
"""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from ui.services import Services
from ui.web.server import ServerOptions, create_app
from workbench.workspace import Workspace

HOST = "http://127.0.0.1:7860"
Ask = Callable[..., TestClient]
_addresses = (f"192.0.2.{number}" for number in itertools.count(1))


@pytest.fixture
def workspace(home: Path) -> Iterator[Workspace]:
    opened = Workspace.open(home)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """The workspace behind the shared apps."""
    opened = Workspace.open(tmp_path_factory.mktemp("shared") / "home")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def apps(shared: Workspace) -> Callable[..., FastAPI]:
    made: dict[str, FastAPI] = {}

    def make(root_path: str = "", **options: Any) -> FastAPI:
        key = f"{root_path} {options}"
        if key not in made:
            services = Services(shared, root_path=root_path)
            wanted = ServerOptions(root_path=root_path, **options)
            made[key] = create_app(services, wanted, gr.Blocks())
        return made[key]

    return make


@pytest.fixture
def ask(apps: Callable[..., FastAPI]) -> Ask:
    """A client of an app with these options; it does not raise what the server catches."""

    def make(**options: Any) -> TestClient:
        return TestClient(
            apps(**options),
            base_url=HOST,
            raise_server_exceptions=False,
            client=(next(_addresses), 50000),
        )

    return make


@pytest.fixture
def client(ask: Ask) -> TestClient:
    return ask()
