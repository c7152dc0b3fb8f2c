"""Something that cannot be undone: asked once more, in place, with what it means.

What the warning names is held until it is answered: 'Yes' is about that, whatever has been chosen,
listed or removed since.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import gradio as gr
from markupsafe import Markup

from ui.kit.events import on
from ui.kit.markup import EMPTY, piece
from ui.words import t
from workbench.errors import BadInput, NotFound


class Named(Protocol):
    """A record that can be removed."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...


R = TypeVar("R", bound=Named)


@dataclass(frozen=True)
class Confirm:
    """The asking button and, hidden at first, the warning with its two answers."""

    ask: gr.Button
    box: gr.Column
    warning: gr.HTML
    yes: gr.Button
    no: gr.Button
    #: [id, name] of each thing that the warning names. The page brings it back, so it is looked up
    #: like anything that a person asks for.
    held: gr.JSON

    @property
    def outputs(self) -> list[Any]:
        return [self.box, self.warning, self.held]


def render(ask: str, yes: str) -> Confirm:
    """Draw it inside the current block."""
    ask_button = gr.Button(ask, size="sm", variant="stop", elem_classes="rw-fit")
    with gr.Column(visible=False, elem_classes="rw-confirm") as box:
        warning = piece()
        with gr.Row(elem_classes="rw-actions"):
            yes_button = gr.Button(yes, size="sm", variant="stop")
            no_button = gr.Button(t("confirm.keep"), size="sm")
        held = gr.JSON([], visible=False)
    return Confirm(ask_button, box, warning, yes_button, no_button, held)


def listen(
    confirm: Confirm,
    warn: Callable[..., tuple[Sequence[R], str]],
    act: Callable[..., Any],
    get: Callable[[str], R] | None,
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    now: Sequence[Any] = (),
) -> None:
    """``warn(*inputs)``: the records it is about, and in words what will be lost. ``act`` does it
    to these records, read anew by their ids with ``get``, is given the values of ``now`` too, and
    answers for ``outputs``. Without ``get`` it is about no record, but about all of a kind."""

    def ask(*raw: Any) -> list[Any]:
        records, words = warn(*raw)
        held = [[one.id, one.name] for one in records]
        return [gr.Column(visible=True), sentence(words), held]

    def yes(held: Any, *raw: Any) -> Any:
        return act(still_there(held, get), *raw) if get else act(*raw)

    on(confirm.ask.click, ask, inputs, confirm.outputs)
    on(confirm.no.click, closed, None, confirm.outputs)
    done = on(confirm.yes.click, yes, [confirm.held, *now], outputs)
    on(done.then, closed, None, confirm.outputs)


def closed() -> list[Any]:
    """Updates of ``Confirm.outputs``: nothing is asked any more."""
    return [gr.Column(visible=False), EMPTY, []]


def still_there(held: Any, get: Callable[[str], R]) -> list[R]:
    """The records that a warning named; raises :class:`BadInput` where one of them is gone."""
    pairs = [_pair(one) for one in held] if isinstance(held, list) else []
    if not pairs:
        raise BadInput(t("confirm.nothing"), t("confirm.gone_hint"))
    return [_got(id, name, get) for id, name in pairs]


def _pair(one: Any) -> tuple[str, str]:
    if not (isinstance(one, list) and len(one) == 2 and all(isinstance(it, str) for it in one)):
        raise BadInput(t("confirm.nothing"), t("confirm.gone_hint"))
    return one[0], one[1]


def _got(id: str, name: str, get: Callable[[str], R]) -> R:
    try:
        found = get(id)
    except NotFound:
        found = None
    # Registries find by name as well, and jobs by the beginning of an id: only this very one.
    if found is None or found.id != id:
        raise BadInput(t("confirm.gone", name=name), t("confirm.gone_hint"))
    return found


def sentence(text: str) -> Markup:
    """The warning as a card."""
    return Markup('<article class="rw-card"><p class="error">{}</p></article>').format(text)
