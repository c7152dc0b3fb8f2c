"""Asks an OpenAI-compatible endpoint: many at once, no more than allowed, again where it failed."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import httpx2
import openai
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

from workbench.endpoint_keys import EndpointKeys
from workbench.errors import WorkbenchError
from workbench.recipes.synthesize import SynthesizeRecipe
from workbench.synthesis.amount import Limit
from workbench.synthesis.answers import Answer, Answers
from workbench.synthesis.client import client
from workbench.synthesis.failures import Passing, Refused, explain, no_completion, too_slow

#: Seconds: the first pause before trying again is drawn up to this, the next up to twice, ...
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0
#: How often a running request looks whether the person asked to stop.
LOOK = 0.1

Prompts = Iterable[tuple[int, str]]


class Endpoint:
    """One endpoint and its limits. The key is read here, from the environment, and goes nowhere
    else; what the endpoint says is shown without it. Raises :class:`KeyNotAllowed`."""

    def __init__(self, recipe: SynthesizeRecipe, keys: EndpointKeys) -> None:
        self.recipe = recipe
        self._variable, self._key = keys.variable(recipe), keys.key(recipe)
        #: Newer models of OpenAI take their limit by another name.
        self._limit = "max_tokens"
        self._next = 0.0
        self._client: Any = None

    def write(
        self,
        prompts: Prompts,
        answers: Answers,
        check: Callable[[], None],
        said: Callable[[], None],
    ) -> None:
        """Ask about every passage; ``check`` raises where the person asked to stop.

        Raises what ends it all: a refused key, an unknown model, too many failures in a row.
        """
        asyncio.run(self._all(iter(prompts), answers, check, said))

    async def _all(
        self, prompts: Any, answers: Answers, check: Callable[[], None], said: Callable[[], None]
    ) -> None:
        async def work() -> None:
            for row, prompt in prompts:
                try:
                    answers.add(row, await self._ask(prompt))
                except (Passing, Refused) as error:
                    answers.fail(error)
                said()

        async def look() -> None:
            while True:
                check()
                await asyncio.sleep(LOOK)

        async with client(self.recipe, self._key) as self._client:
            workers = [asyncio.ensure_future(work()) for _ in range(self.recipe.concurrency)]
            looking = asyncio.ensure_future(look())
            whole = asyncio.gather(*workers)
            first: list[asyncio.Future[Any]] = [whole, looking]
            try:
                await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
                for one in reversed(first):
                    if one.done():
                        one.result()
            finally:
                for task in (*workers, looking):
                    task.cancel()
                await asyncio.gather(whole, *workers, looking, return_exceptions=True)

    async def _ask(self, prompt: str) -> Answer:
        trying = AsyncRetrying(
            retry=retry_if_exception_type(Passing),
            stop=stop_after_attempt(self.recipe.retries + 1),
            wait=self._pause,
            reraise=True,
        )
        return await trying(self._once, prompt)

    def _pause(self, state: RetryCallState) -> float:
        """Longer each time, by chance; at least as long as the endpoint asked for."""
        drawn = wait_random_exponential(multiplier=FIRST_PAUSE, max=LONGEST_PAUSE)(state)
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait if isinstance(error, Passing) else 0.0
        return max(drawn, asked)

    async def _once(self, prompt: str) -> Answer:
        await self._turn()
        recipe = self.recipe
        more: dict[str, Any] = {self._limit: recipe.max_tokens}
        if recipe.temperature is not None:
            more["temperature"] = recipe.temperature
        try:
            # The client's own limit is for each piece of an answer: one that drips never ends.
            async with asyncio.timeout(recipe.timeout):
                reply = await self._client.chat.completions.create(
                    model=recipe.endpoint_model,
                    messages=[{"role": "user", "content": prompt}],
                    **more,
                )
        except TimeoutError as error:
            raise too_slow(recipe) from error
        except (openai.OpenAIError, httpx2.HTTPError, ValueError, RecursionError) as error:
            raise self._explained(error) from None
        return _answer(reply, recipe, self._key)

    def _explained(self, error: Exception) -> WorkbenchError:
        said = explain(error, self.recipe, self._key, self._variable)
        newer = "max_completion_tokens"
        if isinstance(said, Refused) and self._limit != newer and newer in said.message:
            self._limit = newer
            return Passing(said.message)
        if isinstance(said, Passing) and said.wait:
            # What the endpoint asks of one request it asks of all.
            self._next = max(self._next, asyncio.get_running_loop().time() + said.wait)
        return said

    async def _turn(self) -> None:
        """Wait until the next request may go."""
        loop = asyncio.get_running_loop()
        a_minute = self.recipe.requests_per_minute
        mine = max(self._next, loop.time())
        if a_minute:
            self._next = mine + 60.0 / a_minute
        await asyncio.sleep(mine - loop.time())


def _answer(reply: Any, recipe: SynthesizeRecipe, key: str) -> Answer:
    """Servers answer anything with status 200: a page, an error, a list, what they were sent."""
    try:
        text = reply.choices[0].message.content or ""
        usage = getattr(reply, "usage", None)
        counts = [getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens")]
    except (AttributeError, IndexError, TypeError) as error:
        raise no_completion(recipe) from error
    if not isinstance(text, str):
        raise no_completion(recipe)
    told = [one if isinstance(one, int) and one >= 0 else None for one in counts]
    text = Limit(recipe.max_tokens).take(text)
    return Answer(text.replace(key, "***") if key else text, *told)
