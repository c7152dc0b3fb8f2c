"""What an endpoint's failures mean: try again, leave the passage, or stop. A sentence each."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol

import httpx2
import openai

from workbench.errors import EndpointFailed, WorkbenchError
from workbench.synthesis.client import Packed, TooMuch

#: The longest pause an endpoint is granted.
LONGEST_WAIT = 600.0
#: What a job's person can do besides.
RESUME = "What was answered is kept: resume the job to go on."
_QUOTED = 300
_TOO_MANY, _TIMED_OUT = 429, (408, 425)


class Asked(Protocol):
    """Of a recipe: who is asked, and how long is waited (seconds)."""

    @property
    def endpoint(self) -> str: ...
    @property
    def endpoint_model(self) -> str: ...
    @property
    def timeout(self) -> float: ...


class Fatal(EndpointFailed):
    """It would fail for every passage."""


class Refused(EndpointFailed):
    """It would fail again for this passage."""


class Passing(EndpointFailed):
    """It may go well the next time, after so many seconds at least."""

    def __init__(self, message: str, hint: str = RESUME, wait: float = 0.0) -> None:
        super().__init__(message, hint)
        self.wait = wait


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
                f"{recipe.endpoint} sends compressed answers, which was not asked for.",
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
            f"{recipe.endpoint} takes no more requests for now (429).",
            f"Set a number of requests per minute. {RESUME}",
            _wait(error),
        )
    if status >= 500 or status in _TIMED_OUT:
        return Passing(f"{recipe.endpoint} failed with status {status}.{said}", wait=_wait(error))
    return Refused(
        f"{recipe.endpoint} refuses the request ({status}).{said}",
        f"Correct the settings it names, or cut passages shorter. {RESUME}",
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
