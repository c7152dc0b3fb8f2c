"""A workspace, a data set of documents only, and a server that writes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.workbench.data.fakes import FakeContext, bring, context, lines
from tests.workbench.synthesis.server import Server, serving
from workbench.endpoints import EndpointKeys
from workbench.recipes.synthesize import SynthesizeRecipe
from workbench.synthesis import endpoint
from workbench.workspace import Workspace

KEY = "sk-very-secret-0123456789"


@pytest.fixture
def workspace(home: Path) -> Iterator[Workspace]:
    opened = Workspace.open(home)
    yield opened
    opened.close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, workspace: Workspace) -> Iterator[Server]:
    """Two keys may be sent there."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(endpoint, "FIRST_PAUSE", 0.01)
    with serving() as one:
        pairs = [f"{name}={one.origin}" for name in ("OPENAI_API_KEY", "MY_KEY")]
        workspace.endpoint_keys = EndpointKeys.read(pairs)
        yield one


@dataclass
class Job:
    """As much of a job as a version's lineage names."""

    id: str


Asking = Callable[..., tuple[SynthesizeRecipe, FakeContext]]


@pytest.fixture
def asking(workspace: Workspace, server: Server, tmp_path: Path) -> Asking:
    """A recipe about 'tea', twelve documents, and a job's context."""
    rows = [{"id": f"d{n}", "text": f"leaf{n} steeped{n}"} for n in range(12)]
    bring(workspace, lines(tmp_path / "corpus.jsonl", rows), name="tea")

    numbers = count()

    def make(**more: Any) -> tuple[SynthesizeRecipe, FakeContext]:
        about = {"dataset": "tea", "endpoint": server.url, "endpoint_model": "m", "questions": 2}
        recipe = SynthesizeRecipe.read({**about, "round_trip": "bm25", **more})
        version = recipe.dataset_version or workspace.datasets.get("tea").version
        pinned = recipe.model_copy(update={"dataset_version": version})
        return pinned, context(workspace, job=Job(f"job{next(numbers)}"))

    return make
