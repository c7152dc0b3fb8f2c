"""Bring data in, look at it by page, see what was wrong with it, let it go.

Adding is one half of the tab (dropped files become an import job), looking the other: what is
shown of a data set is read a page at a time, so a million rows open as quickly as ten.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
from workbench.recipes.data import ImportRecipe, SampleRecipe
from workbench.recipes.draw import DrawPicturesRecipe
from workbench.records import Dataset, Job, JobStatus

if TYPE_CHECKING:
    from ui.page import Page

TASKS = (ImportRecipe.task, SampleRecipe.task, DrawPicturesRecipe.task, *changes.TASKS)


@dataclass(frozen=True)
class Data:
    tab: gr.Tab
    beat: gr.HTML
    #: The name of the data set that is shown.
    chosen: gr.BrowserState
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


def render(services: Services) -> Data:
    with gr.Tab(t("tab.data"), id="data") as tab:
        beat = pulse(services)
        chosen = gr.BrowserState("", storage_key="workbench-dataset", secret="workbench")
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

    def refresh(picked: str | None) -> Any:
        return view(services, picked)

    return Data(
        tab=tab,
        beat=beat,
        chosen=chosen,
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
        inputs=[chosen],
        outputs=[
            *(chosen, *job.outputs, sets, train, remove_box),
            *(*shown.outputs, *versions.outputs, *change.outputs, *mine.outputs),
            *(*synth.outputs, *doctor.outputs, *bring.hub.job.outputs),
        ],
    )


def listen(services: Services, page: "Page") -> None:
    data = page.data
    workspace = services.workspace

    def start(files: Any, name: str, strict: bool, *raw: Any) -> list[Any]:
        more = {"strict": strict, "remove_after": True}
        recipe = brings.read(services, data.bring, files, name.strip() or "-", raw, **more)
        if recipe is None:
            raise BadInput(t("data.no_files"), t("data.no_files_hint"))
        wanted = name.strip() or workspace.datasets.free_name(rows.name_from(recipe.paths))
        workspace.jobs.submit(recipe.model_copy(update={"name": wanted}))
        return ["", "", "", None, [], *brings.cleared(), *view(services, wanted)]

    def sample() -> list[Any]:
        name = workspace.datasets.free_name("stdlib-code")
        workspace.jobs.submit(SampleRecipe(name=name))
        return view(services, name)

    def draw() -> list[Any]:
        recipe = drawn(workspace)
        workspace.jobs.submit(recipe)
        return view(services, recipe.name)

    def show(event: gr.EventData) -> list[Any]:
        return view(services, str(event.value))

    def tick(picked: str, above: bool, *cards: str | None) -> Any:
        return look(services, data, picked, above, [card or "" for card in cards])

    def warn(picked: str) -> str:
        name = shown_dataset(workspace, picked)
        taken = size(workspace.datasets.bytes(name))
        said = t("data.remove_warning", name=name, size=taken)
        return f"{said} {changes.warning(workspace.datasets.dependents(name))}".strip()

    def remove(picked: str) -> list[Any]:
        # The one that was warned of, and never another that has become the newest since.
        workspace.datasets.remove(picked)
        return view(services, "")

    on_busy(
        data.start,
        start,
        [data.drop, data.name, data.strict, *data.bring.inputs],
        [data.drop, data.name, *data.bring.hub.inputs, *data.bring.looked, *data.outputs],
        says=t("data.starting"),
        then=t("data.start"),
    )
    on(data.sample.click, sample, None, data.outputs)
    on(data.draw.click, draw, None, data.outputs)
    on(data.sets.select, show, None, data.outputs)
    stopped = lambda _job, name: view(services, name)  # noqa: E731
    data.job.listen(services, stopped, [data.chosen], data.outputs)
    slots = [data.job, data.synth.job, data.doctor.job, data.mine.job, data.bring.hub.job]
    cards = [slot.card for slot in slots]
    pulses.listen(data.beat, tick, [data.chosen, data.mine.above, *cards], data.outputs)
    confirm.listen(
        data.remove,
        lambda picked: confirm.sentence(warn(picked)),
        remove,
        [data.chosen],
        data.outputs,
    )
    brings.listen(services, data.bring, data.drop)
    again = lambda name: view(services, name)  # noqa: E731
    history.listen(services, data.versions, data.chosen, data.outputs, again)
    picked = data.versions.picked
    changes.listen(services, data.change, data.chosen, picked, data.outputs, again)
    synthesis.listen(services, data.synth, data.chosen)
    mining.listen(services, data.mine, data.chosen, data.outputs, again)
    doctors.listen(services, data.doctor, data.chosen)
    forms = page.train.forms.each
    chosen = [one.dataset for one in forms]
    named = lambda picked: [shown_dataset(workspace, picked)] * len(chosen)  # noqa: E731
    page.go(data.train.click, "train", named, data.chosen, chosen)
    rows.listen(services, data.rows, data.chosen)


def look(services: Services, data: Data, picked: str, above: bool, cards: Sequence[str]) -> Any:
    """A look after every job of the tab, one event for all of them: what changed since ``cards``
    (the import's, the synthesis', the doctor's, the mining's, the hub's) were drawn."""
    mine, synth, doctor, mined, hub = cards
    parts = [changed(services, data, mine), hubs.changed(services, data.bring.hub, hub)]
    if services.workspace.datasets.list():
        name = shown_dataset(services.workspace, picked)
        parts += [
            synthesis.changed(services, data.synth, name, synth),
            doctors.changed(services, data.doctor, name, doctor),
            mining.changed(services, data.mine, name, above, mined),
        ]
    found: dict[Any, Any] = {}
    for part in parts:
        if part is None:
            return view(services, picked)
        found |= part
    return found or gr.skip()


def changed(services: Services, data: Data, card: str) -> dict[Any, Any] | None:
    """What a look after the import changes; None: the whole tab, since it ended."""
    job = newest(services, TASKS)
    if job is not None and not job.status.finished:
        return data.job.changed(card, job_html(job), job)
    return {} if job_html(job) == card else None


def view(services: Services, picked: str | None) -> list[Any]:
    """Updates for ``Data.outputs``."""
    workspace = services.workspace
    datasets = workspace.datasets.list()
    by_name = {dataset.name: dataset for dataset in datasets}
    shown = by_name.get(picked or "") or (datasets[0] if datasets else None)
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
        *rows.view(services, shown),
        *history.view(services, shown),
        *changes.view(services, shown),
        *mining.view(services, shown),
        *synthesis.view(services, shown),
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
