"""What a person sees when something goes wrong, and how every callback is wired: one place.

A ``WorkbenchError`` becomes its own sentences. Anything else is a mistake of ours: one quiet
sentence for the person, the traceback for the log.
"""

import logging
from collections.abc import Callable, Sequence
from functools import wraps
from html import escape
from typing import Any

import gradio as gr

from ui.gate import GATE
from ui.words import language, sentences, speaking, t
from workbench.errors import BadRecipe, WorkbenchError

log = logging.getLogger("workbench.ui")

#: Seconds that a message stays.
SECONDS = 12

#: For events that answer in milliseconds: past the queue, without a veil over the outputs, and
#: never waiting for one another. Gradio tells each output of the progress even where none is shown,
#: and at every later event tells all of them again, which takes the page longer than the event.
QUICK: dict[str, Any] = {
    "queue": False,
    "show_progress": "hidden",
    "show_progress_on": [],
    "concurrency_limit": None,
    "api_visibility": "private",
}

#: Events that a person causes and waits for an answer to.
ASKED = frozenset({"click", "submit", "upload", "input"})


def sentence(error: WorkbenchError) -> str:
    """The error's message and hint, escaped: the toast shows HTML."""
    return escape(sentences.said(str(error)))


def told(error: WorkbenchError) -> gr.Error:
    """The error as a toast."""
    title = t("feedback.bad_input") if error.bad_input else t("feedback.failed")
    return _toast(title, sentence(error))


def headed(title: str, words: str) -> str:
    """A toast's text under its own title (words are HTML): Gradio writes 'Error' or 'Warning' above
    it whatever title it is given, in English, which the page's style hides."""
    return f"<strong>{escape(title)}</strong><br>{words}"


def _toast(title: str, words: str) -> gr.Error:
    return gr.Error(headed(title, words), duration=SECONDS, title=title, print_exception=False)


def guarded(callback: Callable[..., Any]) -> Callable[..., Any]:
    """The callback, whose errors become messages; it speaks the language in which the page that it
    is wired to was drawn, whichever thread runs it."""
    own = language()

    @wraps(callback)
    def safely(*values: Any) -> Any:
        with speaking(own), GATE.passing():
            return _answered(callback, values)

    return safely


def _answered(callback: Callable[..., Any], values: tuple[Any, ...]) -> Any:
    try:
        return callback(*values)
    except WorkbenchError as error:
        raise told(error) from error
    except gr.Error:
        raise
    except Exception as error:
        log.exception("A callback of the page failed: %s", callback)
        raise _toast(t("feedback.failed"), escape(t("feedback.unexpected"))) from error


def field_messages(error: WorkbenchError, names: Sequence[str]) -> dict[str, str]:
    """Which of the named fields the error is about, and what it says there."""
    if not isinstance(error, BadRecipe):
        return {}
    fields: dict[str, str] = error.details.get("fields", {})
    return {name: sentences.said(fields[name]) for name in names if name in fields}


def on(
    listener: Callable[..., Any],
    callback: Callable[..., Any],
    inputs: Any = None,
    outputs: Any = None,
    **more: Any,
) -> Any:
    """Wire a quick callback: guarded and private; past the queue unless a person pressed something.

    Gradio shows a message of an unqueued event to nobody, so what may refuse a person is queued.
    """
    asked = getattr(listener, "event_name", "") in ASKED
    if "show_progress" in more:
        more.setdefault("show_progress_on", None)  # on the outputs
    return listener(guarded(callback), inputs, outputs, **{**QUICK, "queue": asked, **more})


def on_busy(
    button: gr.Button,
    callback: Callable[..., Any],
    inputs: Any,
    outputs: Any,
    *,
    says: str,
    then: str,
    listener: Callable[..., Any] | None = None,
) -> Any:
    """Wire a click whose button says that it is at work until the callback is done.

    ``listener``: another event than the click that does the same (Enter in a field).
    """
    busy = on(
        listener or button.click, lambda: gr.Button(value=says, interactive=False), None, button
    )
    done = on(busy.then, callback, inputs, outputs, queue=True)
    # What follows an event is left out when it failed, so both ways are named.
    for after in (done.success, done.failure):
        on(after, lambda: gr.Button(value=then, interactive=True), None, button)
    return done
