"""What a recipe refuses, said in place of the help at its field, until it is mended.

Gradio's own validation messages are wiped by any event of the page, a timer's too, so on a tab that
polls they would be gone in a second or two.
"""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import gradio as gr

from ui.feedback import SECONDS, field_messages, headed, sentence
from ui.words import known, sentences, t
from workbench.errors import WorkbenchError


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


def told_at_fields(
    act: Callable[[], Sequence[Any]],
    helps: Mapping[str, str],
    others: int,
    cleared: Sequence[str] = (),
    task: str = "",
) -> list[Any]:
    """``act()``'s updates for ``others`` components, then the fields', with help at each;
    ``cleared`` ones are empty again; ``task`` says by which labels the page calls the fields.

    What it refuses of these fields stands there instead, and the others stay as they are. Other bad
    input is told in the corner, and what stood at the fields before goes; any other error is raised
    on.
    """
    try:
        done = list(act())
    except WorkbenchError as error:
        said = field_messages(error, list(helps))
        if not said and not error.bad_input:
            raise
        _tell(error, said, task)
        return [*[gr.skip()] * others, *at_fields(helps, said)]
    assert len(done) == others
    fields = zip(helps, at_fields(helps), strict=True)
    return [*done, *({**one, "value": ""} if name in cleared else one for name, one in fields)]


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
