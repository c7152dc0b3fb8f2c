"""The whole page: its tabs by name, what an opened one shows, and the way from one to another."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import gradio as gr

from ui.kit.events import on


class Tab(Protocol):
    """A tab that was drawn: a class of it, given the page's services, draws where it is called."""

    @property
    def tab(self) -> gr.Tab:
        """Its id is the tab's name."""

    @property
    def inputs(self) -> Sequence[Any]:
        """The components whose values ``refresh`` is given."""

    @property
    def outputs(self) -> Sequence[Any]:
        """The components that ``refresh`` may change."""

    def refresh(self, *values: Any) -> Any:
        """A look at the whole tab: a value for each output, or for some by component, or a skip."""

    def listen(self) -> None:
        """Wire it, once the whole page is drawn."""


T = TypeVar("T")


class Page:
    """Every tab, so that a button on one can fill in another."""

    def __init__(
        self, demo: gr.Blocks, tabs: gr.Tabs, open_tab: gr.BrowserState, parts: Sequence[Tab]
    ) -> None:
        self.demo = demo
        self.tabs = tabs
        #: Which tab is open, kept in the browser so that a reload comes back to it.
        self.open_tab = open_tab
        self.parts = {str(part.tab.id): part for part in parts}

    def part(self, kind: type[T]) -> T:
        """The tab of that class."""
        return next(part for part in self.parts.values() if isinstance(part, kind))

    def go(
        self,
        listener: Callable[..., Any],
        to: Tab,
        fill: Callable[..., Sequence[Any] | Mapping[Any, Any]] | None = None,
        inputs: Any = None,
        outputs: Sequence[Any] = (),
    ) -> None:
        """Open a tab; ``fill(*inputs)`` gives values for its ``outputs`` first: one for each, or
        for some by component."""
        name = str(to.tab.id)

        def opened(*raw: Any) -> dict[Any, Any]:
            filled = fill(*raw) if fill else {}
            if not isinstance(filled, Mapping):
                filled = dict(zip(outputs, filled, strict=True))
            return {**filled, self.tabs: gr.Tabs(selected=name), self.open_tab: name}

        shown = on(listener, opened, inputs, [*outputs, self.tabs, self.open_tab])
        on(shown.then, to.refresh, list(to.inputs), list(to.outputs))

    def listen(self) -> None:
        """Wire the tabs, remember the open one, and show what is new on it."""
        for name, part in self.parts.items():
            part.listen()

            def opened(*raw: Any, name: str = name, part: Tab = part) -> dict[Any, Any]:
                return {self.open_tab: name, **_fresh(part, raw)}

            on(part.tab.select, opened, list(part.inputs), [self.open_tab, *part.outputs])
        first = next(iter(self.parts))

        def loaded(name: str, *raw: Any) -> Any:
            name = name if name in self.parts else first
            part, given = self.parts[name], dict(zip(everything, raw, strict=True))
            found = _fresh(part, [given[one] for one in part.inputs])
            # The first tab is open as it is; opening it again would undo an early click on another.
            if name != first:
                found[self.tabs] = gr.Tabs(selected=name)
            return found or gr.skip()

        # The open tab alone, in one event: another is filled when it is opened, and each event
        # takes time of a page that is only just being drawn.
        parts = self.parts.values()
        everything = list(dict.fromkeys(one for part in parts for one in part.inputs))
        outputs = dict.fromkeys(one for part in parts for one in part.outputs)
        on(self.demo.load, loaded, [self.open_tab, *everything], [self.tabs, *outputs])


def _fresh(part: Tab, raw: Sequence[Any]) -> dict[Any, Any]:
    """What a look at the whole tab changes; one that finds nothing new answers 'skip'."""
    found = part.refresh(*raw)
    if found == gr.skip():
        return {}
    if isinstance(found, Mapping):
        return dict(found)
    return dict(zip(part.outputs, found, strict=True))
