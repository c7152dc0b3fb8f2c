"""What a person sees when something goes wrong, and how every callback is wired: one place.

A ``WorkbenchError`` becomes its own sentences. Anything else is a mistake of ours: one quiet
sentence for the person, the traceback for the log.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from html import escape
from typing import Any

import gradio as gr

from ui.words import known, language, sentences, speaking, t
from workbench.errors import BadRecipe, WorkbenchError

# Drawing a page while another is in use: many callbacks at once, or one drawing alone.
#
# Gradio keeps the page that is being drawn in a global, and whatever component is made meanwhile,
# in any thread, becomes a part of it. A callback that answers with ``gr.Button(...)`` makes one.
# So a page drawn after the start (``ui/web/editions.py``) waits for a moment without callbacks, and
# callbacks wait for it: once per language, for a second.


class Gate:
    """Any number may pass, or one be alone. Who passes may pass again inside."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._taken = False

    @contextmanager
    def passing(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._taken)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not (self._taken or self._inside))
            self._taken = True
        try:
            yield
        finally:
            with self._changed:
                self._taken = False
                self._changed.notify_all()


GATE = Gate()


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


# What a recipe refuses, said in place of the help at its field, until it is corrected.
#
# Gradio's own validation messages are wiped by any event of the page, a timer's too, so on a tab
# that polls they would be gone in a second or two.


def at_fields(helps: Mapping[str, str], said: Mapping[str, str] | None = None) -> list[Any]:
    """Updates for the fields named in ``helps``: each has its help, or what is said against it."""
    found = said or {}
    return [
        gr.update(
            info=found.get(name) or sentences.said(help),
            elem_classes=["rw-refused"] if name in found else [],
        )
        for name, help in helps.items()
    ]


def answered(
    act: Callable[[], Mapping[Any, Any]],
    fields: Mapping[str, Any],
    helps: Mapping[str, str] | None = None,
    task: str = "",
) -> dict[Any, Any]:
    """``act()``'s updates by component, and the help at each of the recipe's ``fields``, which are
    components by name; ``helps`` are those that they were drawn with where it names no others;
    ``task`` says by which labels the page calls the fields.

    What it refuses of these fields stands there instead, and the others stay as they are. Other bad
    input is told in the corner, and what stood at the fields before goes; any other error is raised
    on.
    """
    done: Mapping[Any, Any] = {}
    said: dict[str, str] = {}
    try:
        done = act()
    except WorkbenchError as error:
        said = field_messages(error, list(fields))
        if not said and not error.bad_input:
            raise
        _tell(error, said, task)
    helps = {name: field.info or "" for name, field in fields.items()} | dict(helps or {})
    at = dict(zip(fields.values(), at_fields(helps, said), strict=True))
    # A field that is emptied or filled has its help back as well.
    return {**done, **{one: {**help, **_update(done, one)} for one, help in at.items()}}


def _update(done: Mapping[Any, Any], field: Any) -> dict[str, Any]:
    if field not in done:
        return {}
    found = done[field]
    return found if isinstance(found, dict) else {"value": found}


def _tell(error: WorkbenchError, said: Mapping[str, str], task: str) -> None:
    """In the corner too, since a field may be folded away. Not raised: what is raised reaches the
    page without the updates of its fields."""
    words = "<br>".join(escape(f"{_label(name, task)}: {text}") for name, text in said.items())
    title = t("feedback.fields" if said else "feedback.bad_input")
    gr.Warning(headed(title, words or sentence(error)), duration=SECONDS, title=title)


def _label(name: str, task: str) -> str:
    """What the page calls a field; some are known by the recipe alone."""
    keys = (f"field.{task}.{name}", f"field.{name}")
    return next((t(key) for key in keys if known(key)), name)
