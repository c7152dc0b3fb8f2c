"""Something that cannot be undone: asked once more, in place, with what it means."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.feedback import on
from ui.markup import piece
from ui.words import t


@dataclass(frozen=True)
class Confirm:
    """The asking button and, hidden at first, the warning with its two answers."""

    ask: gr.Button
    box: gr.Column
    warning: gr.HTML
    yes: gr.Button
    no: gr.Button


def render(ask: str, yes: str) -> Confirm:
    """Draw it inside the current block."""
    ask_button = gr.Button(ask, size="sm", variant="stop", elem_classes="rw-fit")
    with gr.Column(visible=False, elem_classes="rw-confirm") as box:
        warning = piece()
        with gr.Row(elem_classes="rw-actions"):
            yes_button = gr.Button(yes, size="sm", variant="stop")
            no_button = gr.Button(t("confirm.keep"), size="sm")
    return Confirm(ask_button, box, warning, yes_button, no_button)


def listen(
    confirm: Confirm,
    warn: Callable[..., str],
    act: Callable[..., Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
) -> Any:
    """``warn(*inputs)`` says what will be lost; ``act(*inputs)`` does it and gives the outputs."""
    shown = [confirm.box, confirm.warning]
    on(confirm.ask.click, lambda *raw: (gr.Column(visible=True), warn(*raw)), inputs, shown)
    on(confirm.no.click, lambda: gr.Column(visible=False), None, confirm.box)
    done = on(confirm.yes.click, act, inputs, outputs)
    on(done.then, lambda: gr.Column(visible=False), None, confirm.box)
    return done


def sentence(text: str) -> Markup:
    """The warning as a card."""
    return Markup('<article class="rw-card"><p class="error">{}</p></article>').format(text)
