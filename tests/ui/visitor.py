"""A page as one browser tab holds it, without a browser: the values of its components, and what the
callbacks of its events make of them. Two visitors of one page are two browser tabs."""

import inspect
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, TypeVar
from unittest.mock import patch

import gradio as gr
from gradio.blocks import Block

from ui import main
from ui.page import Page
from ui.services import Services

T = TypeVar("T")


class DrawnPage:
    """A page whose tabs are its attributes by their names: ``page.train`` is the tab 'train'."""

    def __init__(self, page: Page) -> None:
        self.demo = page.demo
        self.tabs = page.tabs
        self.open_tab = page.open_tab
        self.parts = page.parts

    def __getattr__(self, name: str) -> Any:
        return self.parts[name]


def drawn(kind: Callable[..., T], *given: Any) -> T:
    """A part of the page, alone on one."""
    with gr.Blocks():
        return kind(*given)


def build(services: Services) -> DrawnPage:
    """The whole page, drawn and wired."""
    made: list[Page] = []

    def keep(*parts: Any) -> Page:
        made.append(Page(*parts))
        return made[0]

    with patch.object(main, "Page", keep):
        main.build(services)
    return DrawnPage(made[0])


class Visitor:
    def __init__(self, page: DrawnPage) -> None:
        self.page = page
        self._functions = page.demo.fns.values()
        self._changed: dict[int, dict[str, Any]] = {}
        #: What Gradio tells a callback of the tab that asks.
        self.request = SimpleNamespace(session_hash=str(id(self)), cookies={})

    def twin(self) -> "Visitor":
        """Another tab that shows the same."""
        other = Visitor(self.page)
        other._changed = {id: dict(about) for id, about in self._changed.items()}
        return other

    def value(self, component: Any) -> Any:
        return self._held(component, "value")

    def visible(self, component: Any) -> bool:
        return self._held(component, "visible") is True

    def _held(self, component: Any, name: str) -> Any:
        changed = self._changed.get(component._id, {})
        if name not in changed and isinstance(component, gr.BrowserState):
            return component.default_value
        return changed[name] if name in changed else getattr(component, name)

    def type(self, component: Any, value: Any) -> None:
        self._changed.setdefault(component._id, {})["value"] = value

    def open(self, tab: Any) -> None:
        """Open the tab of a part of the page, as a click on it does."""
        self.fire(tab.tab, "select")

    def look(self, tab: Any) -> None:
        """What an open tab does once anything changed."""
        self.fire(tab.beat, "look")

    def click(self, button: Any) -> None:
        """Press a button that can be seen, and run what follows its click."""
        assert self.visible(button), "a button that nobody sees cannot be pressed"
        self.fire(button, "click")

    def pick(self, piece: Any, value: str) -> None:
        """Press what carries ``data-pick`` in a piece of HTML."""
        assert f'data-pick="{value}"' in str(self.value(piece)), self.value(piece)
        self.fire(piece, "select", value)

    def fire(self, component: Any, event: str, data: Any = None) -> None:
        for function in self._functions:
            if (component._id, event) in function.targets:
                self._run(function, component, data)

    def _run(self, function: Any, component: Any, data: Any) -> None:
        failed: Exception | None = None
        if function.fn is not None:
            raw = [self.value(one) for one in function.inputs]
            given = list(inspect.signature(function.fn).parameters)
            special = {"event": gr.EventData(component, {"value": data}), "request": self.request}
            for name in filter(special.__contains__, given):
                raw.insert(given.index(name), special[name])
            try:
                self._take(function.outputs, function.fn(*raw))
            except gr.Error as error:
                failed = error
        for after in self._functions:
            wanted = {"then": True, "success": failed is None, "failure": failed is not None}
            if after.trigger_after == function._id and self._follows(after, wanted):
                self._run(after, component, data)
        if failed is not None:
            raise failed

    @staticmethod
    def _follows(after: Any, wanted: Mapping[str, bool]) -> bool:
        if after.trigger_only_on_success:
            return wanted["success"]
        if after.trigger_only_on_failure:
            return wanted["failure"]
        return True

    def _take(self, outputs: list[Any], made: Any) -> None:
        if isinstance(made, dict) and not _is_update(made):
            pairs = list(made.items())
        elif len(outputs) == 1:
            pairs = [(outputs[0], made[0] if isinstance(made, list) and len(made) == 1 else made)]
        elif _is_update(made) or not outputs:
            return
        else:
            assert len(outputs) == len(made)
            pairs = list(zip(outputs, made, strict=True))
        for component, update in pairs:
            self._changed.setdefault(component._id, {}).update(_about(update))


def _is_update(made: Any) -> bool:
    return isinstance(made, dict) and made.get("__type__") == "update"


def _about(update: Any) -> dict[str, Any]:
    if isinstance(update, Block):
        return dict(update.constructor_args)
    if _is_update(update):
        return {name: value for name, value in update.items() if name != "__type__"}
    return {"value": update}
