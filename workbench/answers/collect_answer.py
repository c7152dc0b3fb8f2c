"""An answer as a whole, for callers that do not read along: the command line, agents."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from workbench.answers.answer import answer
from workbench.recipes.answer import AnswerRecipe
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from workbench.search.client import SearchClient

Said = Callable[[dict[str, Any]], None]


def collect_answer(
    workspace: Workspace,
    search: "SearchClient",
    recipe: AnswerRecipe,
    question: str,
    said: Said | None = None,
) -> dict[str, Any]:
    """Everything that is told at the end; ``said`` gets the events before it.

    Raises what :func:`workbench.answers.answer.answer` raises.
    """
    return asyncio.run(_whole(workspace, search, recipe, question, said))


async def _whole(
    workspace: Workspace,
    search: "SearchClient",
    recipe: AnswerRecipe,
    question: str,
    said: Said | None,
) -> dict[str, Any]:
    async with aclosing(answer(workspace, search, recipe, question)) as events:
        async for event in events:
            if event["event"] == "end":
                return {name: value for name, value in event.items() if name != "event"}
            if said:
                said(event)
    raise AssertionError("unreachable")
