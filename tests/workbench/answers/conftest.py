"""A search made of fixed hits, and a server that writes."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.storage import make
from tests.workbench.synthesis.server import Server, serving
from workbench.answers import endpoint
from workbench.answers.answer import answer
from workbench.endpoints import EndpointKeys
from workbench.recipes.answer import AnswerRecipe
from workbench.search.protocol import Hit, SearchResult
from workbench.workspace import Workspace

KEY = "sk-very-secret-0123456789"


def hits(*scores: float) -> list[Hit]:
    return [
        Hit(f"d{at}", at, score, f"Title {at}", f"Text {at} about tea.")
        for at, score in enumerate(scores)
    ]


@dataclass
class FakeSearch:
    """Finds the same for every question."""

    hits: list[Hit] = field(default_factory=lambda: hits(0.9, 0.7, 0.1))
    asked: list[dict[str, Any]] = field(default_factory=list)

    def search(self, index: str, query: str, top_k: int, **more: Any) -> SearchResult:
        self.asked.append({"index": index, "query": query, "top_k": top_k, **more})
        took = {"encode": 2.0, "search": 1.0, "total": 3.0}
        return SearchResult(self.hits[:top_k], took, "minilm", index, query)


@pytest.fixture
def workspace(home: Path) -> Iterator[Workspace]:
    opened = Workspace.open(home)
    opened.store.indexes.insert(make.index("i1", "tea"))
    yield opened
    opened.close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, workspace: Workspace) -> Iterator[Server]:
    """Its key may be sent there."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(endpoint, "FIRST_PAUSE", 0.01)
    with serving() as one:
        workspace.endpoint_keys = EndpointKeys.read([f"OPENAI_API_KEY={one.origin}"])
        yield one


Asking = Callable[..., AsyncIterator[dict[str, Any]]]


@pytest.fixture
def search() -> FakeSearch:
    return FakeSearch()


@pytest.fixture
def asking(workspace: Workspace, server: Server, search: FakeSearch) -> Asking:
    """The events of an answer over the fixed hits, written by the server unless said."""

    def ask(question: str = "How long?", **more: Any) -> AsyncIterator[dict[str, Any]]:
        about = {"index": "tea", "endpoint": server.url, "endpoint_model": "m", "min_score": 0.2}
        recipe = AnswerRecipe.read({**about, "timeout": 60.0, **more})
        return answer(workspace, search, recipe, question)  # type: ignore[arg-type]

    return ask


async def all_of(events: AsyncIterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event async for event in events]


async def end_of(events: AsyncIterator[dict[str, Any]]) -> dict[str, Any]:
    return (await all_of(events))[-1]
