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
    from ui.tabs.quantize import Quantize
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
    quantize: "Quantize"
    search: "Search"
    models: "Models"
    jobs: "Jobs"

    @property
    def parts(self) -> dict[str, Any]:
        names = [one.name for one in fields(self)]
        return {name: getattr(self, name) for name in names[names.index("start") :]}

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
            return [*filled, gr.Tabs(selected=name), name]

        shown = on(listener, opened, inputs, [*outputs, self.tabs, self.open_tab])
        part = self.parts[name]
        on(shown.then, part.refresh, part.inputs, part.outputs)


def listen(page: Page) -> None:
    """Remember the open tab, and show what is new on it."""
    for name, part in page.parts.items():

        def opened(*raw: Any, name: str = name, part: Any = part) -> dict[Any, Any]:
            return {page.open_tab: name, **_fresh(part, raw)}

        on(part.tab.select, opened, part.inputs, [page.open_tab, *part.outputs])
    parts = page.parts

    def loaded(name: str, *raw: Any) -> Any:
        name = name if name in parts else "start"
        given = dict(zip(everything, raw, strict=True))
        found = _fresh(parts[name], [given[one] for one in parts[name].inputs])
        # The first tab is open as it is; opening it again would undo an early click on another.
        if name != "start":
            found[page.tabs] = gr.Tabs(selected=name)
        return found or gr.skip()

    # The open tab alone, in one event: another is filled when it is opened, and each event takes
    # time of a page that is only just being drawn.
    everything = list(dict.fromkeys(one for part in parts.values() for one in part.inputs))
    outputs = dict.fromkeys(one for part in parts.values() for one in part.outputs)
    on(page.demo.load, loaded, [page.open_tab, *everything], [page.tabs, *outputs])


def _fresh(part: Any, raw: Sequence[Any]) -> dict[Any, Any]:
    """What a look at the whole tab changes; one that finds nothing new answers 'skip'."""
    found = part.refresh(*raw)
    return {} if found == gr.skip() else dict(zip(part.outputs, found, strict=True))
