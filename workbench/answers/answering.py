"""A question becomes passages, then an answer with citations, told as events while it happens.

Events are JSON objects: ``passages`` (what was found), ``text``, ``cite`` and ``wrong`` (pieces of
the answer), and at the end ``end`` with everything once more (:mod:`workbench.answers.told`).
Whatever goes wrong with the model is told in the last one: what was found, and what was written
until then, is not lost.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Protocol

from workbench.answers import citations, threshold
from workbench.answers.local import Local
from workbench.answers.prompt import passages, prompt, says_nothing
from workbench.answers.thinking import Thinking
from workbench.answers.told import Told
from workbench.answers.written import Took
from workbench.errors import WorkbenchError
from workbench.recipes.answer import AnswerRecipe
from workbench.search.results import CANDIDATES, SearchResult
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from workbench.search.client import SearchClient

Event = dict[str, Any]


class Writer(Protocol):
    """Who writes an answer."""

    took: Took

    def write(self, prompt: str) -> AsyncGenerator[str, None]: ...


async def answer(
    workspace: Workspace, search: "SearchClient", recipe: AnswerRecipe, question: str
) -> AsyncGenerator[Event, None]:
    """Search, ask, and hand on what is written. To stop it, close the iterator.

    Raises what :meth:`SearchClient.search` raises: without passages there is nothing to tell.
    """
    began = time.perf_counter()
    found = await asyncio.to_thread(_search, search, recipe, question)
    least = await asyncio.to_thread(threshold.least, workspace, search, recipe)
    told = Told(recipe, found, least, began)
    yield told.passages()
    if told.enough and recipe.writer:
        async with aclosing(_write(_writer(workspace, recipe, search), told, question)) as events:
            async for event in events:
                yield event
    yield told.end()


def _writer(workspace: Workspace, recipe: AnswerRecipe, search: "SearchClient") -> Writer:
    if not recipe.endpoint:
        return Local(recipe, search)
    # Here, and not above: the client takes a second to import, and the page starts without it.
    from workbench.answers.endpoint import Endpoint

    return Endpoint(recipe, workspace.endpoint_keys)


def _search(search: "SearchClient", recipe: AnswerRecipe, question: str) -> SearchResult:
    return search.search(
        recipe.index,
        question,
        recipe.top_k,
        reranker=recipe.reranker,
        candidates=max(CANDIDATES, recipe.top_k),
        where=recipe.where,
    )


async def _write(writer: Writer, told: Told, question: str) -> AsyncGenerator[Event, None]:
    """The pieces of the answer; what goes wrong is kept in ``told``."""
    read = passages(told.enough, told.recipe.budget)
    told.given(read)
    found, thinking = citations.Citations(len(read)), Thinking()
    asked = time.perf_counter()
    try:
        async with aclosing(writer.write(prompt(told.recipe, question, read))) as pieces:
            async for text in pieces:
                if shown := thinking.feed(text):
                    told.took_first(asked)
                    for piece in found.feed(shown):
                        yield told.piece(piece)
    except WorkbenchError as error:
        told.failed(error)
    for piece in [*found.feed(thinking.close()), *found.close()]:
        yield told.piece(piece)
    told.written(found, writer.took, asked, says_nothing(told.text))
