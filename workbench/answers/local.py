"""A causal language model on this machine, in the search process, as a writer of answers."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

from workbench.answers.answer_events import Took
from workbench.errors import JobCancelled
from workbench.recipes.answer import AnswerRecipe
from workbench.search.protocol import Write

if TYPE_CHECKING:
    from workbench.search.client import SearchClient


class Local:
    """One question to one model."""

    def __init__(self, recipe: AnswerRecipe, search: "SearchClient") -> None:
        self.recipe = recipe
        self.took = Took()
        self._search = search
        self._stopped = threading.Event()

    async def write(self, prompt: str) -> AsyncGenerator[str, None]:
        """The answer, piece by piece, read from the search process in a thread of its own; it
        stops where nobody reads on. Raises what :meth:`SearchClient.write` raises."""
        said: asyncio.Queue[dict[str, Any] | Exception] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def hand_on(one: dict[str, Any] | Exception) -> None:
            if not self._stopped.is_set():
                loop.call_soon_threadsafe(said.put_nowait, one)

        threading.Thread(target=self._read, args=(prompt, hand_on), daemon=True).start()
        try:
            while True:
                one = await said.get()
                if isinstance(one, Exception):
                    raise one
                if "answer" in one:
                    self._end(one["answer"])
                    return
                if one.get("text"):
                    yield one["text"]
        finally:
            self._stopped.set()

    def _read(self, prompt: str, hand_on: Any) -> None:
        recipe = self.recipe
        request = Write(
            recipe.local_model, recipe.device, prompt, recipe.max_tokens, recipe.temperature
        )
        try:
            for one in self._search.write(request, self._check):
                hand_on(one)
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            hand_on(error)

    def _check(self) -> None:
        if self._stopped.is_set():
            raise JobCancelled("The answer was stopped.")

    def _end(self, took: dict[str, Any]) -> None:
        self.took = Took(took["prompt_tokens"], took["completion_tokens"], True, took["cut"])
