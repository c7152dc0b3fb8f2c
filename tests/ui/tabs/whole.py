"""One page for the tests of a file, and records in its workspace that are gone after each test."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ui import visitor
from tests.ui.visitor import DrawnPage, Visitor
from tests.workbench.data.fakes import bring, lines
from ui.services import Services
from workbench.workspace import Workspace


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Services, DrawnPage]]:
    """Drawing it takes a second or two."""
    opened = Workspace.open(tmp_path_factory.mktemp("page") / "home")
    services = Services(opened)
    yield services, visitor.build(services)
    opened.close()


@pytest.fixture
def services(whole: tuple[Services, DrawnPage]) -> Iterator[Services]:
    yield whole[0]
    store = whole[0].workspace.store
    for rows in (store.datasets, store.models, store.indexes, store.jobs, store.evaluations):
        for one in rows.list():
            rows.delete(one.id)


@pytest.fixture
def page(services: Services, whole: tuple[Services, DrawnPage]) -> DrawnPage:
    return whole[1]


@pytest.fixture
def visit(page: DrawnPage) -> Visitor:
    """A browser tab in which the page was loaded."""
    visiting = Visitor(page)
    visiting.open(page.start)
    return visiting


def add(services: Services, tmp_path: Path, *names: str, rows: int = 12, **more: Any) -> None:
    """Data sets, the last the newest."""
    for name in names:
        found = [{"query": f"{name} {n}", "pos": [f"answer {n}"]} for n in range(rows)]
        bring(services.workspace, lines(tmp_path / f"{name}.jsonl", found), name=name, **more)
