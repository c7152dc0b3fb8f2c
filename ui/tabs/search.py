"""Search: build an index, ask, and see what one or two models find, side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui.kit import confirm
from ui.kit.choices import PACKAGED, dataset_names, menu, model_menu, open_menu, update
from ui.kit.events import on, on_busy
from ui.kit.job_slot import JobSlot, newest, updates
from ui.kit.live import on_look, pulse
from ui.kit.markup import empty, heading, piece
from ui.services import Services
from ui.tabs import (
    search_amounts,
    search_answers,
    search_blind,
    search_build,
    search_filter,
    search_indexes,
    search_outside,
    search_pictures,
    search_upload,
)
from ui.tabs.search_build import TASKS, job_html
from ui.tabs.search_hits import ask_html
from ui.tabs.search_menus import encoders, examples_html, index_label, second_menu
from ui.tabs.search_tiles import gallery_piece
from ui.words import t
from ui.words.amounts import size
from workbench.errors import BadInput
from workbench.model_kinds import scoring
from workbench.records import Index, JobStatus

#: Results stand side by side for at most this many indexes.
SIDE_BY_SIDE = 2


@dataclass(frozen=True)
class Search:
    services: Services
    tab: gr.Tab
    beat: gr.HTML
    #: The names of the indexes that are asked, left and right.
    chosen: gr.BrowserState
    #: The left side's index, and its second stage: a reranker or late-interaction model, or ''.
    indexes: gr.Dropdown
    second: gr.Dropdown
    #: The right side's, or '' for no right side.
    other: gr.Dropdown
    second_other: gr.Dropdown
    filter: search_filter.Filter
    amounts: search_amounts.Amounts
    blind: search_blind.Blind
    answers: search_answers.Answers
    listed: search_indexes.Indexes
    outside: search_outside.Outside
    query: gr.Textbox
    ask: gr.Button
    examples: gr.HTML
    results: gr.HTML
    by_picture: search_pictures.ByPicture
    nothing: gr.HTML
    asking: gr.Column
    building: gr.Accordion
    form: search_build.Build
    upload: search_upload.Upload
    build: gr.Button
    job: JobSlot
    remove: confirm.Confirm
    refresh: Callable[..., Any]
    inputs: list[Any]
    outputs: list[Any]

    @property
    def led_by(self) -> list[Any]:
        """What another tab fills in to have its model searched with."""
        return [self.chosen, self.form.dataset, self.form.model, self.building, self.second]

    def listen(self) -> None:
        listen(self.services, self)


def render(services: Services) -> Search:
    with gr.Tab(t("tab.search"), id="search") as tab:
        beat = pulse(services)
        chosen = gr.BrowserState([], storage_key="workbench-indexes", secret="workbench")
        piece(heading(t("search.title"), t("search.about")))
        nothing = piece(visible=False)
        with gr.Column(visible=False) as asking:
            with gr.Row(equal_height=False):
                with gr.Column(min_width=260):
                    indexes = open_menu(
                        label=t("search.left_index"),
                        info=t("search.left_help"),
                        elem_id="search-indexes",
                    )
                    second = open_menu(
                        visible=False,
                        label=t("search.second"),
                        info=t("search.second_help"),
                        elem_id="search-second",
                    )
                with gr.Column(min_width=260):
                    other = open_menu(
                        label=t("search.other"),
                        info=t("search.other_help"),
                        elem_id="search-other",
                    )
                    second_other = open_menu(
                        visible=False,
                        label=t("search.second_other"),
                        info=t("search.second_help"),
                        elem_id="search-second-other",
                    )
            filter = search_filter.render()
            amounts = search_amounts.render()
            query = gr.Textbox(
                label=t("search.query"),
                placeholder=t("search.query_hint"),
                max_lines=4,
                interactive=True,
                elem_id="search-query",
            )
            with gr.Row(elem_classes="rw-actions"):
                ask = gr.Button(t("search.ask"), variant="primary", elem_id="search-ask")
            examples = piece(elem_id="search-examples", picks=True)
            by_picture = search_pictures.render(services)
            results = gallery_piece(services, "search-results")
            answers = search_answers.render(services)
            blind = search_blind.render(services)
        with gr.Accordion(t("search.build_title"), open=False) as building:
            form = search_build.render()
            build = gr.Button(t("search.build"), elem_id="index-build", elem_classes="rw-fit")
            upload = search_upload.render(services)
            with gr.Column(visible=False) as remove_box:
                remove = confirm.render(t("search.remove"), t("search.remove_yes"))
        job = JobSlot("index-job")
        listed = search_indexes.render()
        outside = search_outside.render()
    outputs = [indexes, second, examples, nothing, asking, building]
    outputs += [form.dataset, form.model, *job.outputs]
    return Search(
        services=services,
        tab=tab,
        beat=beat,
        chosen=chosen,
        indexes=indexes,
        second=second,
        other=other,
        second_other=second_other,
        filter=filter,
        amounts=amounts,
        blind=blind,
        answers=answers,
        listed=listed,
        outside=outside,
        query=query,
        ask=ask,
        examples=examples,
        results=results,
        by_picture=by_picture,
        nothing=nothing,
        asking=asking,
        building=building,
        form=form,
        upload=upload,
        build=build,
        job=job,
        remove=remove,
        refresh=lambda *now: fill(services, *now),
        inputs=[chosen, second, form.dataset, form.model, second_other, outside.index],
        outputs=[
            *[*outputs, remove_box, other, second_other, listed.listed],
            *[outside.box, outside.index, by_picture.box],
        ],
    )


def listen(services: Services, search: Search) -> None:
    workspace = services.workspace

    def ask(
        query: str | None,
        where: str | None,
        hits: float | None,
        candidates: float | None,
        *sides: str | None,
    ) -> str:
        more = (sides[2:], where, hits, candidates)
        return ask_html(services, sides[:2], query or "", *more)

    def example(
        where: str | None,
        hits: float | None,
        candidates: float | None,
        left: str | None,
        right: str | None,
        second: str | None,
        second_right: str | None,
        event: gr.EventData,
    ) -> list[Any]:
        query = str(event.value)
        sides = (left, right, second, second_right)
        return [query, query, ask(query, where, hits, candidates, *sides)]

    def pick_indexes(left: str | None, right: str | None) -> list[Any]:
        names = [name for name in (left, right) if name]
        warm(services, names)
        box = search_pictures.box_update(services, names)
        return [names, examples_html(services, names), box, *confirm.closed()]

    def build(*raw: Any) -> list[Any]:
        job = workspace.jobs.submit(search.form.read(raw))
        return ["", *shown(job.id)]

    def index_files(files: str | None, *raw: Any) -> list[Any]:
        job = search_upload.begin(services, search.form, files, raw)
        return ["", "", *shown(job.id)]

    def bring(event: gr.EventData) -> list[Any]:
        return shown(search_indexes.update(services, str(event.value)).id)

    def leave_out(*raw: Any) -> list[Any]:
        job = search_outside.begin(services, *raw)
        return ["", "", False, *shown(job.id)]

    def shown(id: str) -> list[Any]:
        job = workspace.jobs.get(id)
        return updates(job_html(services, job), job)

    def tick(card: str | None, names: list[str], *now: Any) -> Any:
        job = newest(services, TASKS)
        changed = search.job.changed(card, job_html(services, job), job)
        if not changed or (job is not None and not job.status.finished):
            return changed or gr.skip()
        made = str((job.recipe if job else {}).get("name", ""))
        if card and made and job is not None and job.status is JobStatus.SUCCEEDED:
            # What was just built is what one wants to ask, beside what was asked before.
            names = [*[name for name in names or [] if name != made][:1], made]
        return [names, *fill(services, names, *now)]

    def warn(*picked: str | None) -> tuple[list[Index], str]:
        found = [workspace.indexes.get(name) for name in dict.fromkeys(picked) if name]
        if not found:
            raise BadInput(t("search.no_index"), t("search.no_index_hint"))
        names = ", ".join(f"“{one.name}”" for one in found)
        taken = size(sum(workspace.indexes.bytes(one.id) for one in found))
        return found, t("search.remove_warning", names=names, size=taken)

    def remove(found: list[Index], chosen: list[str], *now: Any) -> list[Any]:
        workspace.indexes.remove(*(one.id for one in found))
        gone = {one.name for one in found}
        left = [one for one in chosen or [] if one not in gone]
        return [left, *fill(services, left, *now)]

    sides = [search.indexes, search.other, search.second, search.second_other]
    where = search.filter.where
    amounts = search.amounts.inputs
    asked = [search.query, where, *amounts, *sides]
    busy: dict[str, Any] = {"says": t("search.asking"), "then": t("search.ask")}
    on_busy(search.ask, ask, asked, search.results, **busy)
    on_busy(search.ask, ask, asked, search.results, listener=search.query.submit, **busy)
    on_busy(search.ask, ask, asked, search.results, listener=where.submit, **busy)
    on(search.tab.select, lambda names: warm(services, names), search.chosen)
    on(
        search.examples.select,
        example,
        [where, *amounts, *sides],
        [search.query, search.blind.query, search.results],
    )
    for index, second in ((search.indexes, search.second), (search.other, search.second_other)):
        on(second.input, lambda name, model: warm(services, [name], model), [index, second])
        on(
            index.input,
            pick_indexes,
            sides[:2],
            [search.chosen, search.examples, search.by_picture.box, *search.remove.outputs],
        )
    on_busy(
        search.build,
        build,
        search.form.inputs,
        [search.form.name, *search.job.outputs],
        says=t("search.building"),
        then=t("search.build"),
    )
    on_busy(
        search.upload.start,
        index_files,
        [search.upload.drop, *search.form.inputs],
        [search.upload.drop, search.form.name, *search.job.outputs],
        says=t("upload_index.starting"),
        then=t("upload_index.start"),
    )
    search_build.listen(services, search.form)
    search.job.listen(services, shown, [], search.job.outputs)
    on(search.listed.listed.select, bring, None, search.job.outputs, queue=True)
    outside = search.outside
    on_busy(
        outside.start,
        leave_out,
        [outside.index, *outside.fields],
        [*outside.fields, *search.job.outputs],
        says=t("outside.starting"),
        then=t("outside.start"),
    )
    search_filter.listen(services, search.filter, search.indexes)
    search_pictures.listen(
        services, search.by_picture, search.results, [*sides[:2], where, amounts[0]]
    )
    search_blind.listen(services, search.blind, [*sides, where, *amounts], search.results)
    search_answers.listen(services, search.answers, [search.indexes, search.second, where])
    everything = [search.chosen, *search.outputs]
    now = search.inputs[1:]
    on_look(search.beat, tick, [search.job.card, search.chosen, *now], everything)
    get = workspace.indexes.get
    here = [search.chosen, *now]
    confirm.listen(search.remove, warn, remove, get, sides[:2], everything, here)


def fill(
    services: Services,
    chosen: Sequence[str] | None,
    second: str | None,
    dataset: str | None,
    model: str | None,
    second_other: str | None = "",
    outside: str | None = "",
) -> list[Any]:
    """Updates for ``Search.outputs``: menus, examples and the build in progress."""
    indexes = services.workspace.indexes.list()
    names = [index.name for index in indexes]
    picked = [name for name in chosen or [] if name in names][:SIDE_BY_SIDE] or names[:1]
    datasets = dataset_names(services.workspace)
    hint = t("search.empty_hint" if datasets else "search.no_data")
    job = newest(services, TASKS)
    choices = [(index_label(one), one.name) for one in indexes]
    left, right = [*picked, "", ""][:2]
    return [
        update(choices, left or None),
        second_menu(services, second),
        examples_html(services, picked),
        gr.HTML(value=empty(t("search.empty"), hint), visible=not names),
        gr.Column(visible=bool(names)),
        gr.skip() if names else gr.Accordion(open=True),
        menu(datasets, dataset),
        model_menu(encoders(services), model or PACKAGED),
        *updates(job_html(services, job), job),
        gr.Column(visible=bool(names)),
        update([(t("search.other_none"), ""), *choices], right),
        second_menu(services, second_other),
        search_indexes.list_html(services),
        gr.Accordion(visible=bool(names)),
        menu(names, outside),
        search_pictures.box_update(services, picked),
    ]


def lead_to(services: Services, model: str, dataset: str | None = None) -> list[Any]:
    """Updates for ``Search.led_by``: the model's own index if it has one, else the way to one.

    A reranker or late-interaction model becomes the second stage of whatever is asked.
    """
    if model in [one.name for one in services.workspace.models.list() if one.kind in scoring()]:
        return [gr.skip()] * 4 + [model]
    made = [index.name for index in services.workspace.indexes.list() if index.model == model]
    if made:
        return [made[:1]] + [gr.skip()] * 4
    data = gr.skip() if dataset is None else dataset
    return [gr.skip(), data, model, gr.Accordion(open=True), gr.skip()]


def warm(services: Services, names: Sequence[str], second: str | None = None) -> None:
    """Let the search worker load what will be asked, while the question is being typed."""
    if services.search is not None and names:
        services.search.warm(list(names), reranker=second or None)
