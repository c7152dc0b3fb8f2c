"""An answer that a server sends whole, as JSON, though it was asked for a stream: some know none.

It is read as a stream of one piece.
"""

import json
from typing import Any

import httpx2
import openai
from openai.types.chat import ChatCompletionChunk


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
