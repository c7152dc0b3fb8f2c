"""Asks an OpenAI-compatible endpoint for an answer and hands it on as it is written."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import httpx2
import openai
from openai.types.chat import ChatCompletionChunk

from workbench.answers.answer_events import Took
from workbench.endpoints import EndpointKeys, Limit
from workbench.errors import EndpointFailed, WorkbenchError
from workbench.recipes.answer import AnswerRecipe
from workbench.synthesis.endpoint import (
    RESUME,
    Packed,
    Passing,
    Refused,
    TooMuch,
    client,
    explain,
    no_completion,
    retrying,
    too_slow,
)

# An answer that a server sends whole, as JSON, though it was asked for a stream: some know none.
#
# It is read as a stream of one piece.


def is_whole(stream: "openai.AsyncStream[Any]") -> bool:
    """Whether what was called a stream is one JSON document."""
    kind = stream.response.headers.get("content-type", "").split(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


async def read_whole(stream: "openai.AsyncStream[Any]") -> ChatCompletionChunk:
    """The document as one piece, which ends the answer.

    Raises :class:`openai.OpenAIError` where the connection breaks or the document tells of an
    error, and ValueError, TypeError or LookupError where it is no completion.
    """
    response = stream.response
    try:
        told = json.loads(await response.aread())
    except httpx2.HTTPError as error:
        raise openai.APIConnectionError(request=response.request) from error
    failure = told.get("error") if isinstance(told, dict) else None
    if failure:
        raise openai.APIError("", response.request, body=failure)
    choices = [
        {**one, "delta": one["message"], "finish_reason": one.get("finish_reason") or "stop"}
        for one in told["choices"]
    ]
    return ChatCompletionChunk.construct(**{**told, "choices": choices})


#: Seconds: the first pause before trying again is drawn up to this, the next up to twice, ...
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 15.0
#: A person is waiting: what an endpoint asks to wait is granted up to here.
_MOST_ASKED = 30.0


class Endpoint:
    """One question to one endpoint. The key is read here, from the environment, and goes nowhere
    else; what the endpoint says is shown without it. Raises :class:`KeyNotAllowed`."""

    def __init__(self, recipe: AnswerRecipe, keys: EndpointKeys) -> None:
        self.recipe = recipe
        self.took = Took()
        self._variable, self._key = keys.variable(recipe), keys.key(recipe)
        self._more: dict[str, Any] = {
            "max_tokens": recipe.max_tokens,
            "stream_options": {"include_usage": True},
        }
        if recipe.temperature is not None:
            self._more["temperature"] = recipe.temperature

    async def write(self, prompt: str) -> AsyncGenerator[str, None]:
        """The answer, piece by piece. A request that fails before its first word is sent again; one
        that goes on beyond the tokens that were asked for is ended there.

        Raises :class:`EndpointFailed` where that did not help, or where the stream breaks.
        """
        limit = Limit(self.recipe.max_tokens)
        try:
            async with client(self.recipe, self._key) as opened:
                stream = _Stream(self, opened, prompt)
                trying = retrying(self.recipe.retries, FIRST_PAUSE, LONGEST_PAUSE, _MOST_ASKED)
                text: str | None = await trying(stream.begin)
                while text is not None:
                    if text := limit.take(text):
                        yield self._shown(text)
                    if limit.reached:
                        self.took.ended = self.took.cut = True
                        return
                    text = await stream.next()
        except EndpointFailed as error:
            raise _told(error) from error

    def _shown(self, text: str) -> str:
        """Some repeat the key. One that is cut in two by the pieces is not told by this."""
        return text.replace(self._key, "***") if self._key else text

    async def request(self, client: Any, prompt: str) -> Any:
        """A stream of chunks; raises :class:`Passing` or what will not pass."""
        try:
            return await client.chat.completions.create(
                model=self.recipe.endpoint_model,
                messages=[{"role": "user", "content": prompt}],
                stream=True,
                **self._more,
            )
        except (openai.OpenAIError, httpx2.HTTPError, ValueError, RecursionError) as error:
            raise self.explained(error) from None

    def explained(self, error: Exception) -> WorkbenchError:
        said = explain(error, self.recipe, self._key, self._variable)
        return self._mended(said) if isinstance(said, Refused) else said

    def _mended(self, said: Refused) -> WorkbenchError:
        """Some know no usage of streams, some the limit by another name: asked again without."""
        if "stream_options" in said.message and self._more.pop("stream_options", None):
            return Passing(said.message, said.hint)
        newer = "max_completion_tokens"
        if newer in said.message and "max_tokens" in self._more:
            self._more[newer] = self._more.pop("max_tokens")
            return Passing(said.message, said.hint)
        return said


class _Stream:
    """The pieces of one request that was accepted. Each is waited for so long as the recipe says,
    and no longer than all of it may take."""

    def __init__(self, endpoint: Endpoint, client: Any, prompt: str) -> None:
        self._endpoint, self._client, self._prompt = endpoint, client, prompt
        self._chunks: Any = None
        self._seen = False
        self._end = asyncio.get_running_loop().time() + endpoint.recipe.total_timeout

    def _patience(self) -> asyncio.Timeout:
        now = asyncio.get_running_loop().time()
        return asyncio.timeout_at(min(now + self._endpoint.recipe.timeout, self._end))

    def _late(self) -> Passing | Refused:
        """Whichever of the two times is up."""
        recipe = self._endpoint.recipe
        if asyncio.get_running_loop().time() < self._end:
            return too_slow(recipe)
        return Refused(
            f"{recipe.endpoint} was not done after {recipe.total_timeout:g} seconds.",
            "Raise 'total_timeout', or ask for fewer tokens.",
        )

    async def begin(self) -> str | None:
        """The first piece of text, of a new request; None for an answer without any."""
        recipe = self._endpoint.recipe
        self._endpoint.took.reset()
        self._seen = False
        try:
            async with self._patience():
                chunks = await self._endpoint.request(self._client, self._prompt)
                if not isinstance(chunks, openai.AsyncStream):
                    raise no_completion(recipe)
                self._chunks = await self._whole(chunks) if is_whole(chunks) else aiter(chunks)
        except TimeoutError as error:
            raise self._late() from error
        return await self.next()

    async def _whole(self, chunks: Any) -> AsyncIterator[Any]:
        """What a server that knows no streams sent instead."""
        try:
            return _one(await read_whole(chunks))
        except openai.OpenAIError as error:
            raise self._endpoint.explained(error) from None
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise no_completion(self._endpoint.recipe) from error

    async def next(self) -> str | None:
        """The next piece of text; None at the end.

        The client's own limit is for each read: a server that only says it is alive never ends.
        """
        recipe = self._endpoint.recipe
        try:
            async with self._patience():
                async for chunk in self._chunks:
                    if text := self._read(chunk):
                        return text
        except (TimeoutError, openai.APIConnectionError) as error:
            if self._endpoint.took.ended:  # What follows the answer's end says nothing.
                return None
            if isinstance(error, TimeoutError):
                raise self._late() from error
            if isinstance(error.__cause__, TooMuch | Packed):
                raise self._endpoint.explained(error) from None
            raise self._broken() from error
        except openai.OpenAIError as error:
            raise self._endpoint.explained(error) from None
        except (ValueError, AttributeError, TypeError, IndexError, RecursionError) as error:
            # The client builds what it is sent without a look: anything can be in it.
            raise no_completion(recipe) from error
        if not self._endpoint.took.ended:
            raise self._broken()
        return None

    def _broken(self) -> Passing:
        recipe = self._endpoint.recipe
        if not self._seen:
            return no_completion(recipe)
        return Passing(f"{recipe.endpoint} broke the answer off.")

    def _read(self, chunk: Any) -> str:
        self._seen = True
        took = self._endpoint.took
        took.count(getattr(chunk, "usage", None))
        if not chunk.choices:
            return ""
        one = chunk.choices[0]
        if one.finish_reason:
            took.ended, took.cut = True, one.finish_reason == "length"
        text = one.delta.content or ""
        if not isinstance(text, str):
            raise TypeError(type(text).__name__)
        return text


async def _one(chunk: Any) -> AsyncIterator[Any]:
    yield chunk


def _told(error: EndpointFailed) -> EndpointFailed:
    """Without what is for jobs only."""
    hint = error.hint.replace(RESUME, "").strip()
    return EndpointFailed(error.message, hint or "Ask again, or choose another endpoint.")
