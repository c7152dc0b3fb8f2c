"""Something that cannot be undone: asked once more, in place, with what it means.

What the warning names is held until it is answered: 'Yes' is about that, whatever has been chosen,
listed or removed since.
"""

from collections.abc import Callable, Sequence
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


class Confirm:
    """The asking button and, hidden at first, the warning with its two answers."""

    def __init__(self, ask: str, yes: str) -> None:
        self.ask = gr.Button(ask, size="sm", variant="stop", elem_classes="rw-fit")
        with gr.Column(visible=False, elem_classes="rw-confirm") as self.box:
            self.warning = piece()
            with gr.Row(elem_classes="rw-actions"):
                self.yes = gr.Button(yes, size="sm", variant="stop")
                self.no = gr.Button(t("confirm.keep"), size="sm")
            #: [id, name] of each thing that the warning names. The page brings it back, so it is
            #: looked up like anything that a person asks for.
            self.held = gr.JSON([], visible=False)
        self.outputs = [self.box, self.warning, self.held]

    def listen(
        self,
        warn: Callable[..., tuple[Sequence[R], str]],
        act: Callable[..., Any],
        get: Callable[[str], R] | None,
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        now: Sequence[Any] = (),
    ) -> None:
        """``warn(*inputs)``: the records it is about, and in words what will be lost. ``act`` does
        it to these records, read anew by their ids with ``get``, is given the values of ``now``
        too, and answers for ``outputs``. Without ``get`` it is about no record, but about all of a
        kind."""

        def ask(*raw: Any) -> dict[Any, Any]:
            records, words = warn(*raw)
            held = [[one.id, one.name] for one in records]
            shown = gr.Column(visible=True)
            return {self.box: shown, self.warning: sentence(words), self.held: held}

        def yes(held: Any, *raw: Any) -> Any:
            return act(still_there(held, get), *raw) if get else act(*raw)

        on(self.ask.click, ask, inputs, self.outputs)
        on(self.no.click, self.closed, None, self.outputs)
        done = on(self.yes.click, yes, [self.held, *now], outputs)
        on(done.then, self.closed, None, self.outputs)

    def closed(self) -> dict[Any, Any]:
        """Nothing is asked any more."""
        return {self.box: gr.Column(visible=False), self.warning: EMPTY, self.held: []}


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
