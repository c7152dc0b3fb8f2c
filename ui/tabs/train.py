"""Train: a form drawn from the recipe, and beside it the run with its live chart."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr
from markupsafe import Markup

from ui import form
from ui.cards import job_badge, job_card, train_text
from ui.choices import PACKAGED, dataset_names, menu, model_menu, model_names, open_menu, update
from ui.feedback import QUICK, guarded, on
from ui.live import live_chart, live_log
from ui.markup import empty, heading, piece
from ui.services import Services
from ui.tabs.search import lead_to
from ui.words import t
from ui.words.amounts import ago
from workbench.errors import JobNotFound
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.records import Job, JobStatus

if TYPE_CHECKING:
    from ui.page import Page

TICK = 1.5
#: Runs in the menu, newest first.
LISTED = 50
FIRST_PRESET = "balanced"


@dataclass(frozen=True)
class Train:
    tab: gr.Tab
    timer: gr.Timer
    #: The id of the job that is shown.
    chosen: gr.BrowserState
    presets: gr.Radio
    form: form.Form
    no_data: gr.HTML
    to_data: gr.Button
    start: gr.Button
    run: gr.Dropdown
    card: gr.HTML
    box: gr.Column
    cancel: gr.Button
    resume: gr.Button
    to_compare: gr.Button
    to_search: gr.Button
    chart: gr.HTML
    log: gr.HTML
    refresh: Callable[..., Any]
    inputs: list[Any]
    outputs: list[Any]

    @property
    def dataset(self) -> Any:
        return self.form.components["dataset"]

    @property
    def model(self) -> Any:
        return self.form.components["model"]

    @property
    def shown(self) -> list[Any]:
        """What shows one run."""
        live = [self.chart, self.log]
        buttons = [self.cancel, self.resume, self.to_compare, self.to_search]
        return [self.card, self.box, *buttons, *live]


def render(services: Services) -> Train:
    with gr.Tab(t("tab.train"), id="train") as tab:
        timer = gr.Timer(TICK, active=False)
        chosen = gr.BrowserState("", storage_key="workbench-run", secret="workbench")
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=320):
                piece(heading(t("train.title"), t("train.about")))
                no_data = piece(visible=False)
                to_data = gr.Button(t("train.to_data"), visible=False)
                presets = gr.Radio(
                    _presets(),
                    value=FIRST_PRESET,
                    label=t("train.presets"),
                    info=t("train.presets_help"),
                    interactive=True,
                    elem_id="train-presets",
                )
                first = form.preset_values(TrainEmbeddingRecipe, FIRST_PRESET)
                drawn = form.render(TrainEmbeddingRecipe, skip=("dataset_version",), start=first)
                start = gr.Button(t("train.start"), variant="primary", elem_id="train-start")
            with gr.Column(scale=6, min_width=320):
                piece(heading(t("train.run_title")))
                run = open_menu(
                    label=t("train.run"),
                    visible=False,
                    elem_id="train-run",
                )
                card = piece(elem_id="train-job")
                with gr.Row(elem_classes="rw-actions"):
                    cancel = gr.Button(t("job.cancel"), size="sm", variant="stop", visible=False)
                    resume = gr.Button(t("job.resume"), size="sm", visible=False)
                    to_compare = gr.Button(t("train.to_compare"), visible=False)
                    to_search = gr.Button(t("train.to_search"), visible=False)
                # Hidden, not absent: Gradio loses a component's settings when it is first drawn
                # by the same update that gives it a value.
                with gr.Column(visible="hidden") as box:
                    chart = live_chart(services, elem_id="train-chart")
                    with gr.Accordion(t("train.log"), open=False):
                        log = live_log(services, elem_id="train-log")
    part = Train(
        tab=tab,
        timer=timer,
        chosen=chosen,
        presets=presets,
        form=drawn,
        no_data=no_data,
        to_data=to_data,
        start=start,
        run=run,
        card=card,
        box=box,
        cancel=cancel,
        resume=resume,
        to_compare=to_compare,
        to_search=to_search,
        chart=chart,
        log=log,
        refresh=lambda picked, dataset, model: fill(services, picked, dataset, model),
        inputs=[chosen, drawn.components["dataset"], drawn.components["model"]],
        outputs=[],
    )
    part.outputs.extend([no_data, to_data, part.dataset, part.model, run, *part.shown])
    return part


def listen(services: Services, page: "Page") -> None:
    train = page.train
    workspace = services.workspace

    def start(*raw: Any) -> list[Any]:
        job = workspace.jobs.submit(train.form.read(*raw))
        return [job.id, runs_menu(services, job.id), *view(job)]

    def show(id: str | None) -> list[Any]:
        return [id or "", *view(find(services, id))]

    def cancel(id: str) -> list[Any]:
        return view(workspace.jobs.cancel(id))

    def resume(id: str) -> list[Any]:
        return view(workspace.jobs.resume(id))

    def tick(id: str, card: str | None) -> Any:
        job = shown_job(services, id)
        if job is None or card_html(job) == (card or ""):
            return gr.skip()
        return [runs_menu(services, job.id), *view(job)]

    def compare(id: str) -> list[Any]:
        job = shown_job(services, id)
        assert job is not None  # the button shows beside a finished run only
        models = [job.recipe["model"], (job.result or {})["model"]]
        return [{"dataset": job.recipe["dataset"], "models": models}]

    def search(id: str) -> list[Any]:
        job = shown_job(services, id)
        assert job is not None
        return lead_to(services, (job.result or {})["model"], job.recipe["dataset"])

    form.listen_presets(train.form, train.presets)
    form.listen_depends(train.form)
    # Queued, because only then does a validator run; its messages stand beside the fields.
    train.start.click(
        guarded(start),
        train.form.inputs,
        [train.chosen, train.run, *train.shown],
        validator=train.form.check,
        **{**QUICK, "queue": True},
    )
    on(train.run.input, show, train.run, [train.chosen, *train.shown])
    on(train.cancel.click, cancel, train.chosen, train.shown)
    on(train.resume.click, resume, train.chosen, train.shown)
    on(train.timer.tick, tick, [train.chosen, train.card], [train.run, *train.shown])
    page.go(train.to_data.click, "data")
    page.go(train.to_compare.click, "compare", compare, train.chosen, [page.compare.chosen])
    page.go(train.to_search.click, "search", search, train.chosen, page.search.led_by)


def fill(services: Services, picked: str, dataset: str | None, model: str | None) -> list[Any]:
    """Menus and the chosen run, as they are now."""
    names = dataset_names(services.workspace)
    job = shown_job(services, picked)
    none = not names
    return [
        gr.HTML(value=empty(t("train.no_data"), t("train.no_data_hint")), visible=none),
        gr.Button(visible=none),
        menu(names, dataset),
        model_menu(model_names(services.workspace), model or PACKAGED),
        runs_menu(services, job.id if job else None),
        *view(job),
    ]


def view(job: Job | None) -> list[Any]:
    """Updates for ``Train.shown``."""
    hidden = gr.Button(visible=False)
    if job is None:
        nothing = empty(t("train.nothing"), t("train.nothing_hint"))
        return [nothing, gr.Column(visible="hidden"), hidden, hidden, hidden, hidden, "", ""]
    status = job.status
    done = status is JobStatus.SUCCEEDED
    return [
        card_html(job),
        gr.Column(visible=True),
        gr.Button(visible=not status.finished),
        gr.Button(visible=status.resumable),
        gr.Button(visible=done),
        gr.Button(visible=done),
        job.id,
        job.id,
    ]


def card_html(job: Job) -> str:
    """What the chart's own line does not say: the outcome. Progress is counted beside the chart."""
    if job.status is JobStatus.SUCCEEDED:
        return str(_verdict(job))
    if job.status is JobStatus.RUNNING and job.progress.get("unit") == "steps":
        return str(_running(job))
    return str(job_card(job))


def _running(job: Job) -> Markup:
    """Unchanging while it trains, so that nothing here is redrawn."""
    return Markup(
        '<article class="rw-card" data-job="{}"><header><h3>{}</h3>{}</header></article>'
    ).format(job.id, job.name, job_badge(job))


def _verdict(job: Job) -> Markup:
    result = job.result or {}
    return Markup(
        '<article class="rw-card" data-job="{}"><header><h3>{}</h3>{}</header>'
        '<p class="verdict">{}</p><p class="rw-quiet">{}</p></article>'
    ).format(
        job.id,
        result.get("model", job.name),
        job_badge(job),
        train_text(result),
        t("train.next_better" if result.get("beats_base") else "train.next_no_better"),
    )


def shown_job(services: Services, picked: str | None) -> Job | None:
    """The chosen run, or the newest one."""
    jobs = services.workspace.jobs
    return find(services, picked) or next(iter(jobs.list(task=_TASK, limit=1)), None)


def find(services: Services, id: str | None) -> Job | None:
    if not id:
        return None
    try:
        job = services.workspace.jobs.get(id)
    except JobNotFound:
        return None
    return job if job.task == _TASK else None


def runs_menu(services: Services, chosen: str | None) -> dict[str, Any]:
    """An update of the menu of runs."""
    jobs = services.workspace.jobs.list(task=_TASK, limit=LISTED)
    choices = [(_run_label(job), job.id) for job in jobs]
    ids = [id for _, id in choices]
    value = chosen if chosen in ids else None
    return update(choices, value, visible=len(choices) > 1)


def _run_label(job: Job) -> str:
    status = t(f"status.{job.status.value}")
    return t("train.run_one", name=job.name, status=status, when=ago(job.created_at))


def _presets() -> list[tuple[str, str]]:
    return [(t(f"preset.{name}"), name) for name in TrainEmbeddingRecipe.presets]


_TASK = TrainEmbeddingRecipe.task
