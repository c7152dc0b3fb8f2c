"""The whole page: its tabs by name, what an opened one shows, and how one leads to another."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import gradio as gr

from ui.kit.choices import PACKAGED, shown_dataset
from ui.kit.events import on
from ui.services import Services
from ui.tabs.compare.tab import CompareTab
from ui.tabs.data.tab import DataTab
from ui.tabs.jobs import JobsTab
from ui.tabs.models.tab import ModelsTab
from ui.tabs.search.tab import SearchTab
from ui.tabs.start import StartTab
from ui.tabs.train.tab import TrainTab
from workbench import demo


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


# How one tab leads to another: the one place that sees them all.


def connect(services: Services, page: Page, notices: gr.HTML) -> None:
    """Wire what leads from a tab, or from a notice about a job, to another tab."""
    _from_notices(page, notices)
    _from_start(services, page)
    _from_data(services, page)
    _from_train(services, page)
    _from_models(services, page)


def _from_notices(page: Page, notices: gr.HTML) -> None:
    jobs = page.part(JobsTab)

    def picked(event: gr.EventData) -> list[str]:
        """The job whose notice was clicked."""
        return [str(event.value)]

    page.go(notices.select, jobs, picked, None, [jobs.chosen])


def _from_start(services: Services, page: Page) -> None:
    """To what the sample run has made."""
    start, data, train = page.part(StartTab), page.part(DataTab), page.part(TrainTab)
    compare, search = page.part(CompareTab), page.part(SearchTab)

    def run(id: str) -> demo.DemoJobs:
        return demo.find(services.workspace, id)

    def compared(id: str) -> list[Any]:
        return [{"job": run(id).evaluate.id, "dataset": demo.DATASET}]

    def indexes(id: str) -> list[Any]:
        return [[str(run(id).index.recipe["name"])]]

    page.go(start.own.click, data)
    page.go(start.to_data.click, data, lambda: [demo.DATASET], None, [data.chosen])
    trained = lambda id: [run(id).train.id]  # noqa: E731
    page.go(start.to_train.click, train, trained, start.shown, [train.chosen])
    page.go(start.to_compare.click, compare, compared, start.shown, [compare.chosen])
    page.go(start.to_search.click, search, indexes, start.shown, [search.chosen])


def _from_data(services: Services, page: Page) -> None:
    """To training on the data set that is shown."""
    data, train = page.part(DataTab), page.part(TrainTab)
    menus = [one.dataset for one in train.forms.each]

    def named(shown: str) -> list[Any]:
        return [shown_dataset(services.workspace, shown)] * len(menus)

    page.go(data.train.click, train, named, data.shown, menus)


def _from_train(services: Services, page: Page) -> None:
    """To the model of the run that is shown, beside the one it began with."""
    train, compare, search = page.part(TrainTab), page.part(CompareTab), page.part(SearchTab)
    jobs = services.workspace.jobs

    def beside(id: str) -> list[Any]:
        job = jobs.get(id)
        models = [job.recipe["model"], (job.result or {})["model"]]
        return [{"dataset": job.recipe["dataset"], "models": models}]

    def ask(id: str) -> dict[Any, Any]:
        job = jobs.get(id)
        return search.lead_to((job.result or {})["model"], job.recipe["dataset"])

    page.go(train.to_data.click, page.part(DataTab))
    page.go(train.to_compare.click, compare, beside, train.job.shown, [compare.chosen])
    page.go(train.to_search.click, search, ask, train.job.shown, search.led_by)


def _from_models(services: Services, page: Page) -> None:
    """To what can be done with the model that is chosen."""
    models, train = page.part(ModelsTab), page.part(TrainTab)
    compare, search = page.part(CompareTab), page.part(SearchTab)
    registry = services.workspace.models
    menus = [one.model for one in train.forms.each]

    def base(picked: str) -> list[Any]:
        """The model is what each kind starts from; its own kind is chosen."""
        return [registry.get(picked).kind, *([picked] * len(menus))]

    def beside(picked: str) -> list[Any]:
        model = registry.get(picked)
        origin = str(model.summary.get("base") or model.base or PACKAGED)
        pair = [origin, picked] if origin != picked else [picked]
        return [{"dataset": model.summary.get("dataset"), "models": pair}]

    page.go(models.to_train.click, train, base, models.chosen, [train.forms.kind, *menus])
    page.go(models.to_compare.click, compare, beside, models.chosen, [compare.chosen])
    page.go(models.to_search.click, search, search.lead_to, models.chosen, search.led_by)
