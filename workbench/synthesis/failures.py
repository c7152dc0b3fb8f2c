"""What an endpoint's failures mean: try again, leave the passage, or stop. A sentence each."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import openai

from workbench.errors import EndpointFailed, WorkbenchError
from workbench.recipes.synthesize import SynthesizeRecipe

#: The longest pause an endpoint is granted.
LONGEST_WAIT = 600.0
_RESUME = "What was answered is kept: resume the job to go on."
_QUOTED = 300
_TOO_MANY, _TIMED_OUT = 429, (408, 425)


class Fatal(EndpointFailed):
    """It would fail for every passage."""


class Refused(EndpointFailed):
    """It would fail again for this passage."""


class Passing(EndpointFailed):
    """It may go well the next time, after so many seconds at least."""

    def __init__(self, message: str, hint: str = _RESUME, wait: float = 0.0) -> None:
        super().__init__(message, hint)
        self.wait = wait


def too_slow(recipe: SynthesizeRecipe) -> Passing:
    return Passing(
        f"{recipe.endpoint} did not answer within {recipe.timeout:g} seconds.",
        f"Raise the timeout or lower the number of requests at once. {_RESUME}",
    )


def no_completion(recipe: SynthesizeRecipe) -> Passing:
    return Passing(
        f"{recipe.endpoint} answered with something that is no chat completion.",
        f"The address must be that of an OpenAI-compatible API, often ending in '/v1'. {_RESUME}",
    )


def explain(error: Exception, recipe: SynthesizeRecipe, key: str) -> WorkbenchError:
    """What the client raised, in a sentence without the key."""
    if isinstance(error, openai.APITimeoutError):
        return too_slow(recipe)
    if isinstance(error, openai.APIStatusError):
        return _by_status(error, recipe, key)
    if isinstance(error, openai.APIConnectionError):
        cause = type(error.__cause__).__name__
        if cause in ("ConnectError", "UnsupportedProtocol", "ProxyError"):
            return Passing(
                f"{recipe.endpoint} cannot be reached.",
                f"Check the address, and that the server runs. {_RESUME}",
            )
        return Passing(f"{recipe.endpoint} closed the connection before it answered.")
    return no_completion(recipe)


def _by_status(error: openai.APIStatusError, recipe: SynthesizeRecipe, key: str) -> WorkbenchError:
    status, said = error.status_code, _said(error, key)
    if status in (401, 403):
        what = "the key in" if key else "a request without a key: there is none in"
        return Fatal(
            f"{recipe.endpoint} refuses {what} {recipe.key_variable} ({status}).",
            f"Set {recipe.key_variable} to a valid key where the workbench is started. {_RESUME}",
        )
    if status == 404:
        return Fatal(
            f"{recipe.endpoint} knows no model '{recipe.endpoint_model}', or is not the address of "
            f"an API (404).{said}",
            "Check the model's name and the address, which often ends in '/v1'.",
        )
    if status == _TOO_MANY and "insufficient_quota" in f"{error.code} {error.type}":
        return Fatal(f"The account at {recipe.endpoint} is used up.{said}", _RESUME)
    if status == _TOO_MANY:
        return Passing(
            f"{recipe.endpoint} takes no more requests for now (429).",
            f"Set a number of requests per minute. {_RESUME}",
            _wait(error),
        )
    if status >= 500 or status in _TIMED_OUT:
        return Passing(f"{recipe.endpoint} failed with status {status}.{said}", wait=_wait(error))
    return Refused(
        f"{recipe.endpoint} refuses the request ({status}).{said}",
        f"Correct the settings it names, or cut passages shorter. {_RESUME}",
    )


def _said(error: openai.APIStatusError, key: str) -> str:
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
