"""The whole page: its tabs by name, and how one leads to another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import gradio as gr

from ui.feedback import on

if TYPE_CHECKING:
    from ui.tabs.compare import Compare
    from ui.tabs.data import Data
    from ui.tabs.jobs import Jobs
    from ui.tabs.models import Models
    from ui.tabs.search import Search
    from ui.tabs.start import Start
    from ui.tabs.train import Train


@dataclass(frozen=True)
class Page:
    """Every tab's components, so that a button on one can fill in another."""

    demo: gr.Blocks
    tabs: gr.Tabs
    #: Which tab is open, kept in the browser so that a reload comes back to it.
    open_tab: gr.BrowserState
    start: "Start"
    data: "Data"
    train: "Train"
    compare: "Compare"
    search: "Search"
    models: "Models"
    jobs: "Jobs"

    @property
    def parts(self) -> dict[str, Any]:
        names = [one.name for one in fields(self)]
        return {name: getattr(self, name) for name in names[names.index("start") :]}

    @property
    def timers(self) -> list[gr.Timer]:
        return [part.timer for part in self.parts.values()]

    def awake(self, name: str) -> list[gr.Timer]:
        """Updates for the timers: only the open tab's ticks."""
        return [gr.Timer(active=other == name) for other in self.parts]

    def go(
        self,
        listener: Callable[..., Any],
        name: str,
        fill: Callable[..., Sequence[Any]] | None = None,
        inputs: Any = None,
        outputs: Sequence[Any] = (),
    ) -> None:
        """Open a tab; ``fill(*inputs)`` gives values for its ``outputs`` first."""

        def opened(*raw: Any) -> list[Any]:
            filled = list(fill(*raw)) if fill else []
            return [*filled, gr.Tabs(selected=name), name, *self.awake(name)]

        shown = on(listener, opened, inputs, [*outputs, self.tabs, self.open_tab, *self.timers])
        part = self.parts[name]
        on(shown.then, part.refresh, part.inputs, part.outputs)


def listen(page: Page) -> None:
    """Remember the open tab, wake its timer, and show what is new on it."""
    for name, part in page.parts.items():
        woken = on(
            part.tab.select,
            lambda name=name: [name, *page.awake(name)],
            None,
            [page.open_tab, *page.timers],
        )
        on(woken.then, part.refresh, part.inputs, part.outputs)
        on(page.demo.load, part.refresh, part.inputs, part.outputs)

    def reopened(name: str) -> Any:
        # The first tab is open as it is; opening it again would undo an early click on another.
        if name == "start" or name not in page.parts:
            return gr.skip()
        return [gr.Tabs(selected=name), *page.awake(name)]

    on(page.demo.load, reopened, page.open_tab, [page.tabs, *page.timers])
