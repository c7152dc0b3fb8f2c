"""Bring data in, look at it by page, see what was wrong with it, let it go.

Adding is one half of the tab (dropped files become an import job), looking the other: what is
shown of a data set is read a page at a time, so a million rows open as quickly as ten.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui import confirm
from ui import pulse as pulses
from ui.choices import shown_dataset
from ui.dropzone import dropzone
from ui.feedback import on, on_busy
from ui.job_slot import JobSlot, card_html, newest, updates
from ui.markup import EMPTY, empty, heading, pick, piece, table
from ui.pulse import pulse
from ui.services import Services
from ui.tabs import data_bring as brings
from ui.tabs import data_change as changes
from ui.tabs import data_doctor as doctors
from ui.tabs import data_hub as hubs
from ui.tabs import data_mine as mining
from ui.tabs import data_rows as rows
from ui.tabs import data_synthesize as synthesis
from ui.tabs import data_versions as history
from ui.words import t
from ui.words.amounts import ago, count, size
from workbench.data.formats import known
from workbench.errors import BadInput
from workbench.pictures.sample import drawn
from workbench.recipes.base import DrawPicturesRecipe
from workbench.recipes.data import ImportRecipe, SampleRecipe
from workbench.records import Dataset, Job, JobStatus

#: Where nobody has been yet: no version looked into, nothing to merge with, no name, no page.
_BEGINNING = (0, None, "", False, 0)
TASKS = (ImportRecipe.task, SampleRecipe.task, DrawPicturesRecipe.task, *changes.TASKS)


@dataclass(frozen=True)
class Data:
    services: Services
    tab: gr.Tab
    beat: gr.HTML
    #: The name of the data set that was chosen; it may be one that is still being made.
    chosen: gr.BrowserState
    #: The id of the one that is shown: what is done on the tab is done to this one.
    shown: gr.Textbox
    drop: gr.HTML
    bring: brings.Bring
    name: gr.Textbox
    strict: gr.Checkbox
    start: gr.Button
    sample: gr.Button
    draw: gr.Button
    job: JobSlot
    sets: gr.HTML
    rows: rows.Rows
    versions: history.Versions
    change: changes.Change
    mine: mining.Mine
    synth: synthesis.Synthesize
    doctor: doctors.Doctor
    train: gr.Button
    remove: confirm.Confirm
    refresh: Callable[..., Any]
    inputs: list[Any]
    outputs: list[Any]

    def listen(self) -> None:
        listen(self.services, self)


def render(services: Services) -> Data:
    with gr.Tab(t("tab.data"), id="data") as tab:
        beat = pulse(services)
        chosen = gr.BrowserState("", storage_key="workbench-dataset", secret="workbench")
        on_page = gr.Textbox("", visible=False, label=t("data.sets"))
        about = t("data.add_about", rows=known.named(texts=False), texts=known.named(texts=True))
        piece(heading(t("data.add"), about))
        drop = dropzone(services, elem_id="data-drop", hint=t("bring.hint"))
        bring = brings.render()
        name = gr.Textbox(
            label=t("data.name"),
            info=t("data.name_help"),
            max_lines=1,
            interactive=True,
            elem_id="data-name",
        )
        strict = gr.Checkbox(
            label=t("field.strict"),
            info=t("data.strict_help"),
            interactive=True,
            elem_id="data-strict",
        )
        with gr.Row(elem_classes="rw-actions"):
            start = gr.Button(t("data.start"), variant="primary", elem_id="data-start")
            sample = gr.Button(t("data.sample"), elem_id="data-sample")
            draw = gr.Button(t("pictures.draw"), elem_id="data-draw")
        job = JobSlot("data-job")
        piece(heading(t("data.sets")))
        sets = piece(elem_id="data-sets", picks=True)
        summary = piece(elem_id="data-summary")
        train = gr.Button(
            t("data.train"), elem_id="data-train", visible=False, elem_classes="rw-fit"
        )
        shown = rows.render(summary)
        versions = history.render()
        change = changes.render()
        synth = synthesis.render(services)
        doctor = doctors.render()
        mine = mining.render()
        with gr.Column(visible=False) as remove_box:
            remove = confirm.render(t("data.remove"), t("data.remove_yes"))

    place = [*shown.place, versions.picked, change.others, change.name, mine.above, mine.offset]

    def refresh(*now: Any) -> Any:
        return view(services, *now)

    return Data(
        services=services,
        tab=tab,
        beat=beat,
        chosen=chosen,
        shown=on_page,
        drop=drop,
        bring=bring,
        name=name,
        strict=strict,
        start=start,
        sample=sample,
        draw=draw,
        job=job,
        sets=sets,
        rows=shown,
        versions=versions,
        change=change,
        mine=mine,
        synth=synth,
        doctor=doctor,
        train=train,
        remove=remove,
        refresh=refresh,
        inputs=[chosen, on_page, *place],
        outputs=[
            *(chosen, *job.outputs, sets, train, remove_box, on_page),
            *(*shown.outputs, *versions.outputs, *change.outputs, *mine.outputs),
            *(*synth.outputs, *doctor.outputs, *bring.hub.job.outputs),
        ],
    )


def listen(services: Services, data: Data) -> None:
    workspace = services.workspace

    def start(files: Any, name: str, strict: bool, *raw: Any) -> list[Any]:
        more = {"strict": strict, "remove_after": True}
        recipe = brings.read(services, data.bring, files, name.strip() or "-", raw, **more)
        if recipe is None:
            raise BadInput(t("data.no_files"), t("data.no_files_hint"))
        wanted = name.strip() or workspace.datasets.free_name(rows.name_from(recipe.paths))
        workspace.jobs.submit(recipe.model_copy(update={"name": wanted}))
        return ["", "", "", None, [], *brings.cleared(), wanted]

    def sample() -> str:
        name = workspace.datasets.free_name("stdlib-code")
        workspace.jobs.submit(SampleRecipe(name=name))
        return name

    def draw() -> str:
        recipe = drawn(workspace)
        workspace.jobs.submit(recipe)
        return recipe.name

    def show(event: gr.EventData) -> list[Any]:
        return [*view(services, str(event.value)), *confirm.closed()]

    def tick(*raw: Any) -> Any:
        now, cards = raw[: len(data.inputs)], raw[len(data.inputs) :]
        return look(services, data, now, [card or "" for card in cards])

    def warn(shown: str) -> tuple[list[Dataset], str]:
        dataset = workspace.datasets.get(shown_dataset(workspace, shown))
        taken = size(workspace.datasets.bytes(dataset.id))
        said = t("data.remove_warning", name=dataset.name, size=taken)
        lost = changes.warning(workspace.datasets.dependents(dataset.id))
        return [dataset], f"{said} {lost}".strip()

    def remove(found: list[Dataset]) -> list[Any]:
        for dataset in found:
            workspace.datasets.remove(dataset.id)
        return view(services, "")

    def again(done: Any) -> None:
        on(done.success, data.refresh, data.inputs, data.outputs)

    begun = on_busy(
        data.start,
        start,
        [data.drop, data.name, data.strict, *data.bring.inputs],
        [data.drop, data.name, *data.bring.hub.inputs, *data.bring.looked, data.chosen],
        says=t("data.starting"),
        then=t("data.start"),
    )
    again(begun)
    again(on(data.sample.click, sample, None, data.chosen))
    again(on(data.draw.click, draw, None, data.chosen))
    on(data.sets.select, show, None, [*data.outputs, *data.remove.outputs])
    stopped = lambda _job, *now: view(services, *now)  # noqa: E731
    data.job.listen(services, stopped, data.inputs, data.outputs)
    slots = [data.job, data.synth.job, data.doctor.job, data.mine.job, data.bring.hub.job]
    cards = [slot.card for slot in slots]
    pulses.listen(data.beat, tick, [*data.inputs, *cards], data.outputs)
    get = workspace.datasets.get
    confirm.listen(data.remove, warn, remove, get, [data.shown], data.outputs)
    brings.listen(services, data.bring, data.drop)
    history.listen(services, data.versions, data.shown, again)
    picked = data.versions.picked
    changes.listen(services, data.change, data.chosen, data.shown, picked, again)
    synthesis.listen(services, data.synth, data.shown)
    mining.listen(services, data.mine, data.shown, again)
    doctors.listen(services, data.doctor, data.shown)
    rows.listen(services, data.rows, data.shown)


def look(services: Services, data: Data, now: Sequence[Any], cards: Sequence[str]) -> Any:
    """A look after every job of the tab, one event for all of them: what changed since ``cards``
    (the import's, the synthesis', the doctor's, the mining's, the hub's) were drawn. ``now``: the
    values of ``Data.inputs``."""
    mine, synth, doctor, mined, hub = cards
    parts = [changed(services, data, mine), hubs.changed(services, data.bring.hub, hub)]
    datasets = services.workspace.datasets.list()
    shown = next((one.name for one in datasets if one.id == now[1]), None)
    if shown is not None:
        above = now[data.inputs.index(data.mine.above)]
        parts += [
            synthesis.changed(services, data.synth, shown, synth),
            doctors.changed(services, data.doctor, shown, doctor),
            mining.changed(services, data.mine, shown, above, mined),
        ]
    elif datasets or now[1]:
        parts.append(None)  # What is shown is gone, or something to be shown has come.
    found: dict[Any, Any] = {}
    for part in parts:
        if part is None:
            return view(services, *now)
        found |= part
    return found or gr.skip()


def changed(services: Services, data: Data, card: str) -> dict[Any, Any] | None:
    """What a look after the import changes; None: the whole tab, since it ended."""
    job = newest(services, TASKS)
    if job is not None and not job.status.finished:
        return data.job.changed(card, job_html(job), job)
    return {} if job_html(job) == card else None


def view(services: Services, picked: str | None, on_page: str = "", *place: Any) -> list[Any]:
    """Updates for ``Data.outputs``. ``picked`` and what follows: the values of ``Data.inputs``.

    Where a person is in the data set that is on the page, they stay while it is shown. Without
    these values, or for another data set, everything is shown from its beginning.
    """
    workspace = services.workspace
    datasets = workspace.datasets.list()
    by_name = {dataset.name: dataset for dataset in datasets}
    before = next((one for one in datasets if one.id == on_page), None)
    shown = by_name.get(picked or "") or before or (datasets[0] if datasets else None)
    stays = bool(place) and shown is not None and shown == before
    *where, version, others, name, above, offset = place if stays else _BEGINNING
    renamed = stays and shown is not None and name == picked != shown.name
    job = newest(services, TASKS)
    running = job is not None and not job.status.finished
    awaited = running and job is not None and job.recipe.get("name") == picked
    return [
        # A data set that is still being made stays chosen, and is shown once it is there.
        picked if picked in by_name or awaited else (shown.name if shown else ""),
        *updates(job_html(job), job),
        sets_html(datasets, shown),
        gr.Button(visible=shown is not None and _trains(shown)),
        gr.Column(visible=shown is not None),
        shown.id if shown else "",
        *rows.view(services, shown, rows.Place(*where) if stays else None),
        *history.view(services, shown, int(version or 0)),
        *changes.view(services, shown, others, not stays or renamed),
        *mining.view(services, shown, above, offset),
        *synthesis.view(services, shown, not stays),
        *doctors.view(services, shown),
        *hubs.view(services),
    ]


def _trains(dataset: Dataset) -> bool:
    """Whether there is something to train on: documents alone can only be searched."""
    return bool(dataset.summary.get("queries") or dataset.summary.get("pairs"))


def job_html(job: Job | None) -> str:
    """An import on its way or failed, with the rows that it refused."""
    refused = job is not None and job.status is not JobStatus.SUCCEEDED
    return str(card_html(job) + (rows.refused_html(job) if refused and job else EMPTY))


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
