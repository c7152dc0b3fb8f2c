"""A causal language model of a few kilobytes writes in the search process, and can be stopped."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.served import fill
from tests.workbench.answers.conftest import all_of
from tests.workbench.synthesis.test_local import qwen  # noqa: F401 - a fixture
from workbench.answers.answer import answer, prepare
from workbench.errors import BadInput, WorkbenchError
from workbench.recipes.answer import AnswerRecipe
from workbench.search.client import SearchClient
from workbench.workspace import Workspace

# Importing sentence-transformers takes 6 to 11 seconds, here and once more in the search process.
pytestmark = pytest.mark.slow

QUESTION = "what is the quick fox?"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    opened = fill(tmp_path_factory.mktemp("answers"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def search(workspace: Workspace) -> Iterator[SearchClient]:
    client = SearchClient(workspace)
    yield client
    client.close()


def recipe(qwen: Path, **more: Any) -> AnswerRecipe:  # noqa: F811
    about = {"index": "one", "local_model": str(qwen), "device": "cpu", "min_score": -9.0}
    return AnswerRecipe.read({**about, "max_tokens": 12, **more})


async def test_a_local_model_answers(
    workspace: Workspace,
    search: SearchClient,
    qwen: Path,  # noqa: F811
) -> None:
    asked = prepare(workspace, recipe(qwen), QUESTION)
    first, *pieces, end = await all_of(answer(workspace, search, asked, QUESTION))
    assert first["event"] == "passages" and len(first["passages"]) == 5
    assert end["state"] == "answered" and end["error"] is None
    assert "".join(piece["text"] for piece in pieces).strip() == end["answer"]
    assert end["tokens"]["completion"] == 12 and end["tokens"]["prompt"] > 50
    assert end["cut_off"] and end["uncited"]
    assert end["milliseconds"]["first_token"] > 0
    # The same again: without a temperature it always writes the same.
    again = await all_of(answer(workspace, search, asked, QUESTION))
    assert again[-1]["answer"] == end["answer"]


async def test_more_than_the_model_can_read_is_a_sentence(
    workspace: Workspace,
    search: SearchClient,
    qwen: Path,  # noqa: F811
) -> None:
    config = qwen / "config.json"
    shape = json.loads(config.read_text())
    config.write_text(json.dumps(shape | {"max_position_embeddings": 60}))
    asked = recipe(qwen)
    end = (await all_of(answer(workspace, search, asked, QUESTION)))[-1]
    assert end["state"] == "failed" and len(end["passages"]) == 5
    assert "reads and writes 60 tokens at most" in end["error"]["message"]


async def test_it_stops_where_nobody_reads_on(
    workspace: Workspace,
    search: SearchClient,
    qwen: Path,  # noqa: F811
) -> None:
    """The next question is answered long before the first would have been."""
    events = answer(workspace, search, recipe(qwen, max_tokens=30_000), QUESTION)
    async for event in events:
        if event["event"] == "passages":
            break
    going = asyncio.ensure_future(anext(events))
    await asyncio.sleep(1.0)
    going.cancel()
    with pytest.raises((asyncio.CancelledError, StopAsyncIteration)):
        await going
    await events.aclose()
    end = (await all_of(answer(workspace, search, recipe(qwen), QUESTION)))[-1]
    assert end["state"] == "answered"
    assert search.status()["running"]


async def test_a_process_that_ends_loses_no_passages(
    workspace: Workspace,
    search: SearchClient,
    qwen: Path,  # noqa: F811
) -> None:
    events = answer(workspace, search, recipe(qwen, max_tokens=30_000), QUESTION)
    await anext(events)
    rest = asyncio.ensure_future(all_of(events))
    await asyncio.sleep(1.0)
    os.kill(search.status()["pid"], signal.SIGKILL)
    end = (await rest)[-1]
    assert end["state"] == "failed" and len(end["passages"]) == 5
    assert end["error"]["message"] == "The search process ended while it was writing."
    assert (await all_of(answer(workspace, search, recipe(qwen), QUESTION)))[-1]["answer"]


def test_what_cannot_write_is_refused_at_the_click(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot write: it is BertModel"):
        prepare(workspace, AnswerRecipe(index="one", local_model="encodes"), QUESTION)
    with pytest.raises(WorkbenchError, match="nowhere"):
        prepare(
            workspace, AnswerRecipe(index="one", local_model=str(tmp_path / "nowhere")), QUESTION
        )


def test_what_counts_as_found_is_measured_once(workspace: Workspace, search: SearchClient) -> None:
    from workbench.answers import answer

    asked = AnswerRecipe(index="one")
    value = answer.least_similarity(workspace, search, asked)
    best = max(search.search("one", one, 1).hits[0].score for one in answer.probes(16))
    assert value == best
    assert answer.least_similarity(workspace, None, asked) == value, "it is kept"  # type: ignore[arg-type]
    second = answer.least_similarity(
        workspace, search, AnswerRecipe(index="one", reranker="orders")
    )
    assert second is not None and second != value
    assert (
        answer.least_similarity(workspace, search, AnswerRecipe(index="one", min_score=0.5)) == 0.5
    )
