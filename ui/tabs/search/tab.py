"""Search: build an index, ask, and see what one or two models find, side by side."""

from collections.abc import Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.choices import dataset_names
from ui.kit.confirm import Confirm
from ui.kit.events import on, on_busy
from ui.kit.job_slot import JobSlot, newest
from ui.kit.live import on_look, pulse
from ui.kit.markup import EMPTY, empty, heading, join, pick, piece
from ui.services import Services
from ui.tabs.search.answers import Answers
from ui.tabs.search.blind import Blind
from ui.tabs.search.build import TASKS, Build, job_html
from ui.tabs.search.hits import Order, ask_html, gallery_piece
from ui.tabs.search.indexes import Indexes
from ui.tabs.search.options import Options, read, warm
from ui.tabs.search.pictures import ByPicture
from ui.words import t
from ui.words.amounts import size
from workbench.errors import BadInput, DatasetNotFound
from workbench.model_kinds import scoring
from workbench.records import Index, Job, JobStatus

#: Results stand side by side for at most this many indexes.
SIDE_BY_SIDE = 2
#: Questions that are offered to begin with.
EXAMPLES = 6


class SearchTab:
    """What is asked and found; below, the indexes and how one is built."""

    def __init__(self, services: Services) -> None:
        self.services = services
        with gr.Tab(t("tab.search"), id="search") as self.tab:
            self.beat = pulse(services)
            #: The names of the indexes that are asked, left and right.
            self.chosen = gr.BrowserState([], storage_key="workbench-indexes", secret="workbench")
            piece(heading(t("search.title"), t("search.about")))
            self.nothing = piece(visible=False)
            with gr.Column(visible=False) as self.asking:
                self._draw_asking()
            with gr.Accordion(t("search.build_title"), open=False) as self.building:
                self.build = Build(services)
                with gr.Column(visible=False) as self.remove_box:
                    self.remove = Confirm(t("search.remove"), t("search.remove_yes"))
            self.job = JobSlot("index-job")
            self.indexes = Indexes(services)
        self.inputs = [
            *(self.chosen, self.options.second, self.options.second_other),
            *(self.build.dataset, self.build.model, self.indexes.index),
        ]
        self.outputs = [
            *(*self.options.outputs, self.examples, self.nothing, self.asking, self.building),
            *(self.build.dataset, self.build.model, *self.job.outputs, self.remove_box),
            *(*self.indexes.outputs, self.by_picture.box),
        ]
        #: What another tab fills in to have its model searched with: see :meth:`lead_to`.
        self.led_by = [
            *(self.chosen, self.build.dataset, self.build.model, self.building),
            self.options.second,
        ]

    def _draw_asking(self) -> None:
        self.options = Options(self.services)
        self.query = gr.Textbox(
            label=t("search.query"),
            placeholder=t("search.query_hint"),
            max_lines=4,
            interactive=True,
            elem_id="search-query",
        )
        with gr.Row(elem_classes="rw-actions"):
            self.ask = gr.Button(t("search.ask"), variant="primary", elem_id="search-ask")
        self.examples = piece(elem_id="search-examples", picks=True)
        #: Of all that is answered in ``results``.
        self.order = Order()
        self.by_picture = ByPicture(self.services)
        self.results = gallery_piece(self.services, "search-results")
        self.answers = Answers(self.services)
        self.blind = Blind(self.services)

    def listen(self) -> None:
        self._listen_to_asking()
        for part in (self.build, self.indexes):
            part.listen(self._show, self.job.outputs)
        workspace = self.services.workspace
        stopped = lambda id: self._show(workspace.jobs.get(id))  # noqa: E731
        self.job.listen(self.services, stopped, [], self.job.outputs)
        everything = [self.chosen, *self.outputs]
        on_look(self.beat, self._look, [self.job.card, *self.inputs], everything)
        sides = [self.options.index, self.options.other]
        self.remove.listen(
            *(self._warn, self._remove, workspace.indexes.get, sides, everything, self.inputs)
        )

    def _listen_to_asking(self) -> None:
        options = self.options
        for event in (self.ask.click, self.query.submit, options.where.submit):
            on_busy(
                *(self.ask, self._ask, [self.query, *options.inputs], self.results),
                says=t("search.asking"),
                then=t("search.ask"),
                listener=event,
            )
        on(self.tab.select, lambda names: warm(self.services, names), self.chosen)
        asked = [self.query, self.blind.query, self.results]
        on(self.examples.select, self._example, options.inputs, asked)
        changed = [self.chosen, self.examples, self.by_picture.box, *self.remove.outputs]
        for index in (options.index, options.other):
            on(index.input, self._choose, [options.index, options.other], changed)
        options.listen()
        self.by_picture.listen(options, self.order, self.results)
        self.blind.listen(options, self.order, self.results)
        self.answers.listen(options)

    def _ask(self, request: gr.Request, query: str | None, *raw: Any) -> Any:
        number = self.order.ask()
        found = ask_html(self.services, query or "", read(*raw))
        return found if self.order.shows(request, number) else gr.skip()

    def _example(self, event: gr.EventData, request: gr.Request, *raw: Any) -> Any:
        query = str(event.value)
        number = self.order.ask()
        found = ask_html(self.services, query, read(*raw))
        if not self.order.shows(request, number):
            return gr.skip()
        return {self.query: query, self.blind.query: query, self.results: found}

    def _choose(self, left: str | None, right: str | None) -> dict[Any, Any]:
        names = [name for name in (left, right) if name]
        warm(self.services, names)
        return {
            self.chosen: names,
            self.examples: examples_html(self.services, names),
            **self.by_picture.view(names),
            **self.remove.closed(),
        }

    def _show(self, job: Job) -> dict[Any, Any]:
        return self.job.show(job_html(self.services, job), job)

    def _look(self, card: str | None, names: list[str], *now: Any) -> Any:
        job = newest(self.services, TASKS)
        changed = self.job.changed(card, job_html(self.services, job), job)
        if not changed or (job is not None and not job.status.finished):
            return changed or gr.skip()
        made = str((job.recipe if job else {}).get("name", ""))
        if card and made and job is not None and job.status is JobStatus.SUCCEEDED:
            # What was just built is what one wants to ask, beside what was asked before.
            names = [*[name for name in names or [] if name != made][:1], made]
        return {self.chosen: names, **self.refresh(names, *now)}

    def _warn(self, *picked: str | None) -> tuple[list[Index], str]:
        indexes = self.services.workspace.indexes
        found = [indexes.get(name) for name in dict.fromkeys(picked) if name]
        if not found:
            raise BadInput(t("search.no_index"), t("search.no_index_hint"))
        names = ", ".join(f"“{one.name}”" for one in found)
        taken = size(sum(indexes.bytes(one.id) for one in found))
        return found, t("search.remove_warning", names=names, size=taken)

    def _remove(self, found: list[Index], chosen: list[str], *now: Any) -> dict[Any, Any]:
        self.services.workspace.indexes.remove(*(one.id for one in found))
        gone = {one.name for one in found}
        left = [one for one in chosen or [] if one not in gone]
        return {self.chosen: left, **self.refresh(left, *now)}

    def refresh(
        self,
        chosen: Sequence[str] | None,
        second: str | None = "",
        second_other: str | None = "",
        dataset: str | None = None,
        model: str | None = None,
        outside: str | None = "",
    ) -> dict[Any, Any]:
        """Menus, examples, the indexes and the build in progress."""
        workspace = self.services.workspace
        names = [index.name for index in workspace.indexes.list()]
        picked = [name for name in chosen or [] if name in names][:SIDE_BY_SIDE] or names[:1]
        hint = t("search.empty_hint" if dataset_names(workspace) else "search.no_data")
        job = newest(self.services, TASKS)
        return {
            **self.options.view(picked, second, second_other),
            self.examples: examples_html(self.services, picked),
            self.nothing: gr.HTML(value=empty(t("search.empty"), hint), visible=not names),
            self.asking: gr.Column(visible=bool(names)),
            self.building: gr.skip() if names else gr.Accordion(open=True),
            **self.build.view(dataset, model),
            **self.job.show(job_html(self.services, job), job),
            self.remove_box: gr.Column(visible=bool(names)),
            **self.indexes.view(outside),
            **self.by_picture.view(picked),
        }

    def lead_to(self, model: str, dataset: str | None = None) -> dict[Any, Any]:
        """The model's own index if it has one, else the way to one.

        A reranker or late-interaction model becomes the second stage of whatever is asked.
        """
        workspace = self.services.workspace
        if model in [one.name for one in workspace.models.list() if one.kind in scoring()]:
            return {self.options.second: model}
        made = [index.name for index in workspace.indexes.list() if index.model == model]
        if made:
            return {self.chosen: made[:1]}
        data = {} if dataset is None else {self.build.dataset: dataset}
        return {**data, self.build.model: model, self.building: gr.Accordion(open=True)}


def examples_html(services: Services, names: Sequence[str]) -> str:
    """A few questions of the first index's data set, its test queries first."""
    queries = _examples(services, names)
    if not queries:
        return EMPTY
    chips = join(pick(query, query if len(query) < 90 else query[:88] + "…") for query in queries)
    return Markup('<p class="rw-quiet rw-small">{}</p><div class="rw-chips">{}</div>').format(
        t("search.examples"), chips
    )


def _examples(services: Services, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    index = services.workspace.indexes.get(names[0])
    try:
        reader = services.workspace.datasets.read(index.dataset_id, index.version)
    except DatasetNotFound:
        return []
    rows = reader.page(0, EXAMPLES, split="test") or reader.page(0, EXAMPLES)
    return [row.query for row in rows]
