"""Asks an OpenAI-compatible endpoint: many at once, no more than allowed, again where it failed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import httpx2
import openai
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

from workbench.endpoints import EndpointKeys, Limit
from workbench.errors import EndpointFailed, WorkbenchError
from workbench.recipes.fields import origin
from workbench.recipes.synthesize import SynthesizeRecipe
from workbench.synthesis.answers import Answer, Answers

# The client for an endpoint: it sends one key and nothing else of the environment, asks nobody
# else, and reads a reply to a limit.
#
# The library behind it would also send what OPENAI_ORG_ID, OPENAI_PROJECT_ID and
# OPENAI_CUSTOM_HEADERS hold to whatever address is asked, follow redirects with the prompt in
# hand, and read a reply without end.

#: Bytes of a reply: so many, and so many more for each token that was asked for. A token that is
#: streamed comes in a message of its own, with some hundred letters around it.
MOST_BYTES, BYTES_A_TOKEN = 1 << 20, 4096
#: What a request says besides the key.
_SENT = frozenset(
    ("host", "content-type", "content-length", "transfer-encoding", "connection", "user-agent")
)


class Asked(Protocol):
    """Of a recipe: who is asked, for how much, and how long is waited (seconds)."""

    @property
    def endpoint(self) -> str: ...
    @property
    def endpoint_model(self) -> str: ...
    @property
    def timeout(self) -> float: ...
    @property
    def max_tokens(self) -> int: ...


class TooMuch(httpx2.TransportError):
    """The reply is larger than any answer of the length that was asked for."""


class Packed(httpx2.TransportError):
    """The reply is compressed, which was not asked for: a little can become very much."""


def client(recipe: Asked, key: str) -> openai.AsyncOpenAI:
    """To be closed after use (``async with``)."""
    most = MOST_BYTES + BYTES_A_TOKEN * recipe.max_tokens
    transport = _Bounded(origin(recipe.endpoint), key, most)
    return openai.AsyncOpenAI(
        # A server without keys is sent one that says so; the client insists on some.
        api_key=key or "none",
        base_url=recipe.endpoint,
        timeout=recipe.timeout,
        max_retries=0,
        http_client=httpx2.AsyncClient(transport=transport, trust_env=False),
    )


class _Bounded(httpx2.AsyncBaseTransport):
    """Requests to one origin, of the headers named above; replies up to a size."""

    def __init__(self, where: str | None, key: str, most: int) -> None:
        self._where, self._key, self._most = where, key, most
        # A client, since it knows the proxies of the environment; it does not follow redirects.
        self._inner = httpx2.AsyncClient()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self._where is None or origin(str(request.url)) != self._where:
            raise httpx2.UnsupportedProtocol("the request would go elsewhere than was asked")
        request.headers = self._headers(request.headers)
        response = await self._inner.send(request, stream=True)
        packed = response.headers.get("content-encoding", "identity").strip().lower()
        if packed not in ("", "identity"):
            await response.aclose()
            raise Packed(f"the reply is compressed: {packed[:20]}")
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=_Counted(response, self._most),
            extensions=response.extensions,
        )

    def _headers(self, found: httpx2.Headers) -> httpx2.Headers:
        kept = {name: value for name, value in found.items() if name.lower() in _SENT}
        kept["accept"] = "application/json, text/event-stream"
        kept["accept-encoding"] = "identity"
        kept["authorization"] = f"Bearer {self._key or 'none'}"
        return httpx2.Headers(kept)

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Counted(httpx2.AsyncByteStream):
    """A reply's bytes; raises :class:`TooMuch` beyond so many."""

    def __init__(self, response: httpx2.Response, most: int) -> None:
        self._response, self._left = response, most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for block in self._response.aiter_raw():
            self._left -= len(block)
            if self._left < 0:
                raise TooMuch("the reply does not end")
            yield block

    async def aclose(self) -> None:
        await self._response.aclose()


# What an endpoint's failures mean: try again, leave the passage, or stop. A sentence each.

#: The longest pause an endpoint is granted.
LONGEST_WAIT = 600.0
#: What a job's person can do besides.
RESUME = "The answers so far are kept: resume the job to continue."
_QUOTED = 300
_TOO_MANY, _TIMED_OUT = 429, (408, 425)


class Fatal(EndpointFailed):
    """It would fail for every passage."""


class Refused(EndpointFailed):
    """It would fail again for this passage."""


class Passing(EndpointFailed):
    """It may go well the next time, after so many seconds at least."""

    def __init__(self, message: str, hint: str = RESUME, wait: float = 0.0) -> None:
        super().__init__(message, hint)
        self.wait = wait


def retrying(
    retries: int, first: float, longest: float, most_asked: float = LONGEST_WAIT
) -> AsyncRetrying:
    """Asks again where :class:`Passing` was raised, ``retries`` times at most.

    Seconds: a pause is drawn up to ``first``, the next up to twice that, and so on to ``longest``;
    it lasts at least as long as the endpoint asked for, up to ``most_asked``.
    """

    def pause(state: RetryCallState) -> float:
        drawn = wait_random_exponential(multiplier=first, max=longest)(state)
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait if isinstance(error, Passing) else 0.0
        return max(drawn, min(asked, most_asked))

    passing, stop = retry_if_exception_type(Passing), stop_after_attempt(retries + 1)
    return AsyncRetrying(retry=passing, stop=stop, wait=pause, reraise=True)


def too_slow(recipe: Asked) -> Passing:
    return Passing(
        f"{recipe.endpoint} did not answer within {recipe.timeout:g} seconds.",
        f"Raise the timeout or lower the number of requests at once. {RESUME}",
    )


def no_completion(recipe: Asked) -> Passing:
    return Passing(
        f"{recipe.endpoint} answered with something that is no chat completion.",
        f"The address must be that of an OpenAI-compatible API, often ending in '/v1'. {RESUME}",
    )


def too_much(recipe: Asked) -> Refused:
    return Refused(
        f"{recipe.endpoint} sent more than an answer of the longest length can be, and was cut "
        "off.",
        f"Check what runs at the address, or raise 'max_tokens'. {RESUME}",
    )


def explain(error: Exception, recipe: Asked, key: str, variable: str = "") -> WorkbenchError:
    """What the client raised, in a sentence without the key, which is that of ``variable``."""
    if isinstance(error, openai.APITimeoutError):
        return too_slow(recipe)
    if isinstance(error, openai.APIStatusError):
        return _by_status(error, recipe, key, variable)
    if isinstance(error, openai.APIConnectionError | httpx2.HTTPError):
        told = error if isinstance(error, httpx2.HTTPError) else error.__cause__
        if isinstance(told, TooMuch):
            return too_much(recipe)
        if isinstance(told, Packed):
            return Refused(
                f"{recipe.endpoint} sends compressed answers, which were not requested.",
                f"Turn compression off there. {RESUME}",
            )
        cause = type(told).__name__
        if cause in ("ConnectError", "UnsupportedProtocol", "ProxyError"):
            return Passing(
                f"{recipe.endpoint} cannot be reached.",
                f"Check the address, and that the server runs. {RESUME}",
            )
        return Passing(f"{recipe.endpoint} closed the connection before it answered.")
    if isinstance(error, openai.APIError) and (said := _said(error, key)):
        # Within an answer that began well.
        return Passing(f"{recipe.endpoint} failed.{said}")
    return no_completion(recipe)


def _by_status(
    error: openai.APIStatusError, recipe: Asked, key: str, variable: str
) -> WorkbenchError:
    status, said = error.status_code, _said(error, key)
    if status in (401, 403):
        return _by_key(status, recipe, key, variable)
    if 300 <= status < 400:
        return Fatal(
            f"{recipe.endpoint} leads to another address ({status}), which is not followed.",
            "Give the address that it leads to.",
        )
    if status == 404:
        return Fatal(
            f"{recipe.endpoint} knows no model '{recipe.endpoint_model}', or is not the address of "
            f"an API (404).{said}",
            "Check the model's name and the address, which often ends in '/v1'.",
        )
    if status == _TOO_MANY and "insufficient_quota" in f"{error.code} {error.type}":
        return Fatal(f"The account at {recipe.endpoint} is used up.{said}", RESUME)
    if status == _TOO_MANY:
        return Passing(
            f"{recipe.endpoint} accepts no more requests for now (429).",
            f"Set a number of requests per minute. {RESUME}",
            _wait(error),
        )
    if status >= 500 or status in _TIMED_OUT:
        return Passing(f"{recipe.endpoint} failed with status {status}.{said}", wait=_wait(error))
    return Refused(
        f"{recipe.endpoint} refuses the request ({status}).{said}",
        f"Correct the settings it names, or use shorter passages. {RESUME}",
    )


def _by_key(status: int, recipe: Asked, key: str, variable: str) -> Fatal:
    if not variable:
        return Fatal(
            f"{recipe.endpoint} refuses a request without a key ({status}).",
            "Whoever starts the workbench can name one with --endpoint-key NAME=ORIGIN, NAME being "
            f"the environment variable that holds it. {RESUME}",
        )
    what = "the key in" if key else "a request without a key: there is none in"
    return Fatal(
        f"{recipe.endpoint} refuses {what} {variable} ({status}).",
        f"Set {variable} to a valid key where the workbench is started. {RESUME}",
    )


def _said(error: openai.APIError, key: str) -> str:
    """What the endpoint itself says, if that is short text. Some repeat the key."""
    body = error.body
    found = body.get("message") if isinstance(body, dict) else None
    if not isinstance(found, str) or not found.strip():
        return ""
    plain = " ".join(found.split())
    if key:
        plain = plain.replace(key, "***")
    return f" It says: '{plain[:_QUOTED]}'."


def _wait(error: openai.APIStatusError) -> float:
    """Retry-After: seconds, or a date."""
    value = error.response.headers.get("retry-after", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            when = parsedate_to_datetime(value)
        except ValueError:
            return 0.0
        aware = when if when.tzinfo else when.replace(tzinfo=UTC)
        seconds = (aware - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_WAIT) if seconds == seconds else 0.0


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
        trying = retrying(self.recipe.retries, FIRST_PAUSE, LONGEST_PAUSE)
        return await trying(self._once, prompt)

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
