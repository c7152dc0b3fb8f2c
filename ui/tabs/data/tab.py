"""Bring data in, look at it by page, see what was wrong with it, let it go.

Adding is one half of the tab (dropped files become an import job), looking the other: what is
shown of a data set is read a page at a time, so a million rows open as quickly as ten.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Any, TypeVar

import gradio as gr

from ui.kit.choices import shown_dataset
from ui.kit.confirm import Confirm
from ui.kit.events import on
from ui.kit.job_slot import JobSlot, card_html, newest
from ui.kit.live import on_look, pulse
from ui.kit.markup import EMPTY, empty, heading, pick, piece, table
from ui.services import Services
from ui.tabs.data.bring import Bring
from ui.tabs.data.change import CHANGES, ChangeSection, VersionsSection, warning
from ui.tabs.data.check import CheckSection
from ui.tabs.data.mine import MineSection
from ui.tabs.data.rows import RowsSection, refused_html, summary_html
from ui.tabs.data.section import Section, Shown
from ui.tabs.data.synthesize import SynthesizeSection
from ui.words import t
from ui.words.amounts import ago, count, size
from workbench.data.formats import fileformat
from workbench.recipes.data import DrawPicturesRecipe, ImportRecipe, SampleRecipe
from workbench.records import Dataset, Job, JobStatus

T = TypeVar("T")
#: What is drawn below a data set's summary, in this order. One more is a class and its name here.
SECTIONS: tuple[type[Section], ...] = (
    RowsSection,
    VersionsSection,
    ChangeSection,
    SynthesizeSection,
    CheckSection,
    MineSection,
)
#: The jobs whose card stands above the data sets.
TASKS = (ImportRecipe.task, SampleRecipe.task, DrawPicturesRecipe.task, *CHANGES)


class DataTab:
    """How data comes in, the data sets there are, and everything about the one that is shown."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.workspace = services.workspace
        with gr.Tab(t("tab.data"), id="data") as self.tab:
            self.beat = pulse(services)
            #: The name of the data set that was chosen; it may be one that is still being made.
            self.chosen = gr.BrowserState("", storage_key="workbench-dataset", secret="workbench")
            #: The id of the one that is shown: what is done on the tab is done to this one.
            self.shown = gr.Textbox("", visible=False, label=t("data.sets"))
            version = gr.Number(0, visible=False, label=t("versions.title"))
            about = t(
                "data.add_about",
                rows=fileformat.named(texts=False),
                texts=fileformat.named(texts=True),
            )
            piece(heading(t("data.add"), about))
            self.bring = Bring(services, self.chosen)
            self.job = JobSlot("data-job")
            piece(heading(t("data.sets")))
            self.sets = piece(elem_id="data-sets", picks=True)
            self.summary = piece(elem_id="data-summary")
            self.train = gr.Button(
                t("data.train"), elem_id="data-train", visible=False, elem_classes="rw-fit"
            )
            shown = Shown(services, self.chosen, self.shown, version, self.refill)
            self.sections = [section(shown) for section in SECTIONS]
            with gr.Column(visible=False) as self.remove_box:
                self.remove = Confirm(t("data.remove"), t("data.remove_yes"))
        self.inputs = [
            *(self.chosen, self.shown),
            *(one for section in self.sections for one in section.place),
        ]
        self.outputs = [
            *(self.chosen, *self.job.outputs, self.sets, self.train, self.remove_box, self.shown),
            *(self.summary, *self.bring.hub.job.outputs),
            *(one for section in self.sections for one in section.outputs),
        ]

    def section(self, kind: type[T]) -> T:
        """The section of that class."""
        return next(one for one in self.sections if isinstance(one, kind))

    def refill(self, done: Any) -> None:
        """Have the whole tab filled after an event."""
        on(done.success, self.refresh, self.inputs, self.outputs)

    def listen(self) -> None:
        self.bring.listen(self.refill)
        on(self.sets.select, self._show, None, [*self.outputs, *self.remove.outputs])
        stopped = lambda _job, *now: self.refresh(*now)  # noqa: E731
        self.job.listen(self.services, stopped, self.inputs, self.outputs)
        jobs = (section.job for section in self.sections)
        slots = [self.job, self.bring.hub.job, *(job for job in jobs if job is not None)]
        cards = [slot.card for slot in slots]
        on_look(self.beat, self._look, [*self.inputs, *cards], self.outputs)
        get = self.workspace.datasets.get
        self.remove.listen(self._warn, self._remove, get, [self.shown], self.outputs)
        for section in self.sections:
            section.listen()

    def _show(self, event: gr.EventData) -> dict[Any, Any]:
        return self.refresh(str(event.value)) | self.remove.closed()

    def _warn(self, shown: str) -> tuple[list[Dataset], str]:
        datasets = self.workspace.datasets
        dataset = datasets.get(shown_dataset(self.workspace, shown))
        taken = size(datasets.bytes(dataset.id))
        said = t("data.remove_warning", name=dataset.name, size=taken)
        lost = warning(datasets.dependents(dataset.id))
        return [dataset], f"{said} {lost}".strip()

    def _remove(self, found: list[Dataset]) -> dict[Any, Any]:
        for dataset in found:
            self.workspace.datasets.remove(dataset.id)
        return self.refresh("")

    def _look(self, *raw: Any) -> Any:
        """A look after every job of the tab, one event for all of them: what changed since their
        cards, which follow the values of ``inputs``, were drawn."""
        now = raw[: len(self.inputs)]
        mine, hub, *cards = (card or "" for card in raw[len(self.inputs) :])
        parts = [self._import_changed(mine), self.bring.hub.changed(hub)]
        datasets = self.workspace.datasets.list()
        shown = next((one.name for one in datasets if one.id == now[1]), None)
        if shown is not None:
            card = iter(cards)
            for section, place in self._places(now[2:]):
                its = next(card) if section.job else ""
                parts.append(section.changed(shown, place, its))
        elif datasets or now[1]:
            parts.append(None)  # What is shown is gone, or something to be shown has come.
        found: dict[Any, Any] = {}
        for part in parts:
            if part is None:
                return self.refresh(*now)
            found |= part
        return found or gr.skip()

    def _import_changed(self, card: str) -> dict[Any, Any] | None:
        """What a look after the import changes; None: the whole tab, since it ended."""
        job = newest(self.services, TASKS)
        if job is not None and not job.status.finished:
            return self.job.changed(card, job_html(job), job)
        return {} if job_html(job) == card else None

    def _places(self, values: Sequence[Any]) -> list[tuple[Section, Sequence[Any]]]:
        """Each section with the values of its place."""
        raw = iter(values)
        return [(one, list(islice(raw, len(one.place)))) for one in self.sections]

    def refresh(self, picked: str | None, on_page: str = "", *place: Any) -> dict[Any, Any]:
        """Where a person is in the data set that is on the page, they stay while it is shown.
        Without these values, or for another data set, everything is shown from its beginning."""
        datasets = self.workspace.datasets.list()
        by_name = {dataset.name: dataset for dataset in datasets}
        before = next((one for one in datasets if one.id == on_page), None)
        shown = by_name.get(picked or "") or before or (datasets[0] if datasets else None)
        stays = bool(place) and shown is not None and shown == before
        job = newest(self.services, TASKS)
        running = job is not None and not job.status.finished
        awaited = running and job is not None and job.recipe.get("name") == picked
        name = shown.name if shown else ""
        found: dict[Any, Any] = {
            # A data set that is still being made stays chosen, and is shown once it is there.
            self.chosen: picked if picked in by_name or awaited else name,
            **self.job.show(job_html(job), job),
            self.sets: sets_html(datasets, shown),
            self.train: gr.Button(visible=shown is not None and trains(shown)),
            self.remove_box: gr.Column(visible=shown is not None),
            self.shown: shown.id if shown else "",
            self.summary: summary_html(shown) if shown else EMPTY,
            **self.bring.hub.view(),
        }
        for section, values in self._places(place):
            found |= section.view(shown, values if stays else None)
        return found


def trains(dataset: Dataset) -> bool:
    """Whether there is something to train on: documents alone can only be searched."""
    return bool(dataset.summary.get("queries") or dataset.summary.get("pairs"))


def job_html(job: Job | None) -> str:
    """An import on its way or failed, with the rows that it refused."""
    refused = job is not None and job.status is not JobStatus.SUCCEEDED
    return str(card_html(job) + (refused_html(job) if refused and job else EMPTY))


def sets_html(datasets: list[Dataset], shown: Dataset | None) -> str:
    if not datasets:
        return empty(t("data.empty"), t("data.empty_hint"))
    heads = [t("data.col_name"), t("data.col_queries"), t("data.col_documents")]
    heads += [t("data.col_problems"), t("data.col_added")]
    lines = [_set_row(dataset, dataset == shown) for dataset in datasets]
    at = datasets.index(shown) if shown in datasets else None
    return table(heads, lines, caption=t("data.sets"), numeric=[1, 2, 3], chosen=at)


def _set_row(dataset: Dataset, chosen: bool) -> list[str]:
    summary = dataset.summary
    return [
        pick(dataset.name, dataset.name, chosen),
        count(summary.get("queries", 0)),
        count(summary.get("documents", 0)),
        count(summary.get("problems_total", 0)),
        ago(dataset.created_at),
    ]
