"""How one tab leads to another: the one place that sees them all."""

from typing import Any

import gradio as gr

from ui.kit.choices import PACKAGED, shown_dataset
from ui.page import Page
from ui.services import Services
from ui.tabs.compare.tab import CompareTab
from ui.tabs.data.tab import DataTab
from ui.tabs.jobs import JobsTab
from ui.tabs.models.tab import ModelsTab
from ui.tabs.search.tab import SearchTab
from ui.tabs.start import StartTab
from ui.tabs.train.tab import TrainTab
from workbench import demo


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
