"""The models of the workspace: what they are, what they gained, what they take on disk."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr
from markupsafe import Markup

from ui import confirm
from ui.cards import job_card
from ui.choices import PACKAGED
from ui.feedback import on, on_busy
from ui.markup import EMPTY, badge, empty, facts, heading, pick, piece, table
from ui.routes.downloads import download_url
from ui.services import Services
from ui.tabs import models_blend, models_catalogue, models_merge, models_take
from ui.tabs.search import lead_to
from ui.words import known, t
from ui.words.amounts import ago, size
from workbench.comparison.names import HEADLINE, label
from workbench.errors import ModelNotFound
from workbench.recipes.data import AddModelRecipe
from workbench.records import Job, JobStatus, Model

if TYPE_CHECKING:
    from ui.page import Page

TICK = 2.0


@dataclass(frozen=True)
class Models:
    tab: gr.Tab
    timer: gr.Timer
    #: The name of the model that is shown.
    chosen: gr.BrowserState
    list: gr.HTML
    details: gr.HTML
    box: gr.Column
    to_train: gr.Button
    to_compare: gr.Button
    to_search: gr.Button
    download: gr.HTML
    take: models_take.Take
    merge: models_merge.Merge
    blend: gr.Plot
    remove: confirm.Confirm
    source: gr.Textbox
    name: gr.Textbox
    add: gr.Button
    cancel: gr.Button
    job: gr.HTML
    refresh: Callable[..., Any]
    inputs: list[Any]
    outputs: list[Any]


def render(services: Services) -> Models:
    with gr.Tab(t("tab.models"), id="models") as tab:
        timer = gr.Timer(TICK, active=False)
        chosen = gr.BrowserState("", storage_key="workbench-model", secret="workbench")
        piece(heading(t("models.title"), t("models.about")))
        listed = piece(elem_id="models-list", picks=True)
        with gr.Column(visible=False) as box:
            details = piece(elem_id="model-details")
            with gr.Row(elem_classes="rw-actions"):
                to_train = gr.Button(t("models.to_train"), size="sm")
                to_compare = gr.Button(t("models.to_compare"), size="sm")
                to_search = gr.Button(t("models.to_search"), size="sm")
            download = piece(elem_id="model-download")
            merge = models_merge.render()
            blend = models_blend.render()
            take = models_take.render()
            remove = confirm.render(t("models.remove"), t("models.remove_yes"))
        piece(heading(t("models.add_title"), t("models.add_about")))
        with gr.Row(equal_height=False):
            source = gr.Textbox(
                label=t("field.source"),
                placeholder=t("models.source_hint"),
                max_lines=1,
                interactive=True,
                min_width=220,
                elem_id="model-source",
            )
            name = gr.Textbox(
                label=t("models.name"),
                placeholder=t("models.name_hint"),
                max_lines=1,
                interactive=True,
                min_width=220,
                elem_id="model-name",
            )
        with gr.Row(elem_classes="rw-actions"):
            add = gr.Button(t("models.add"), variant="primary", elem_id="model-add")
            cancel = gr.Button(t("job.cancel"), variant="stop", visible=False)
        job = piece(elem_id="model-job")
        models_catalogue.render()
    return Models(
        tab=tab,
        timer=timer,
        chosen=chosen,
        list=listed,
        details=details,
        box=box,
        to_train=to_train,
        to_compare=to_compare,
        to_search=to_search,
        download=download,
        take=take,
        merge=merge,
        blend=blend,
        remove=remove,
        source=source,
        name=name,
        add=add,
        cancel=cancel,
        job=job,
        refresh=lambda picked: view(services, picked),
        inputs=[chosen],
        outputs=[
            listed,
            box,
            details,
            download,
            job,
            cancel,
            take.shown,
            merge.start,
            merge.shown,
            blend,
        ],
    )


def listen(services: Services, page: "Page") -> None:
    models = page.models
    workspace = services.workspace

    def show(event: gr.EventData) -> list[Any]:
        name = str(event.value)
        return [name, *view(services, name)]

    def add(source: str, name: str, picked: str) -> list[Any]:
        recipe = AddModelRecipe.read({"source": source.strip(), "name": name.strip()})
        workspace.jobs.submit(recipe)
        return ["", "", *view(services, picked)]

    def cancel(picked: str) -> list[Any]:
        job = newest_job(services)
        if job is not None and not job.status.finished:
            workspace.jobs.cancel(job.id)
        return view(services, picked)

    def tick(card: str | None, shown: str | None, picked: str) -> Any:
        html, found = job_html(newest_job(services)), list_html(services, picked)
        if html == (card or "") and found == (shown or ""):
            return gr.skip()
        return view(services, picked)

    def warn(picked: str) -> str:
        taken = size(workspace.models.bytes(picked))
        return confirm.sentence(t("models.remove_warning", name=picked, size=taken))

    def remove(picked: str) -> list[Any]:
        workspace.models.remove(picked)
        return ["", *view(services, "")]

    def compare(picked: str) -> list[Any]:
        model = workspace.models.get(picked)
        base = str(model.summary.get("base") or model.base or PACKAGED)
        pair = [base, picked] if base != picked else [picked]
        return [{"dataset": model.summary.get("dataset"), "models": pair}]

    everything = [models.chosen, *models.outputs]
    on(models.list.select, show, None, everything)
    on_busy(
        models.add,
        add,
        [models.source, models.name, models.chosen],
        [models.source, models.name, *models.outputs],
        says=t("models.adding"),
        then=t("models.add"),
    )
    on(models.cancel.click, cancel, models.chosen, models.outputs)
    on(models.timer.tick, tick, [models.job, models.list, models.chosen], models.outputs)
    confirm.listen(models.remove, warn, remove, [models.chosen], everything)
    models_take.listen(services, models.take, models.chosen)
    shown = lambda picked: view(services, picked)  # noqa: E731
    models_merge.listen(services, models.merge, models.chosen, models.outputs, shown)
    forms = page.train.forms
    menus = [one.model for one in forms.each]

    def base(picked: str) -> list[Any]:
        """The model is what each kind starts from; its own kind is chosen."""
        return [workspace.models.get(picked).kind, *([picked] * len(menus))]

    page.go(models.to_train.click, "train", base, models.chosen, [forms.kind, *menus])
    page.go(models.to_compare.click, "compare", compare, models.chosen, [page.compare.chosen])
    page.go(
        models.to_search.click,
        "search",
        lambda picked: lead_to(services, picked),
        models.chosen,
        page.search.led_by,
    )


def view(services: Services, picked: str | None) -> list[Any]:
    """Updates for ``Models.outputs``."""
    job = newest_job(services)
    model = find(services, picked)
    return [
        list_html(services, picked),
        gr.Column(visible=model is not None),
        details_html(services, model) if model else EMPTY,
        download_html(services, model) if model else EMPTY,
        job_html(job),
        gr.Button(visible=job is not None and not job.status.finished),
        models_take.html(services, model) if model else EMPTY,
        *models_merge.view(services, model),
        models_blend.view(services, model),
    ]


def download_html(services: Services, model: Model) -> Markup:
    """A link to the model's folder as a zip, made while it is sent."""
    return Markup('<p><a class="rw-link" href="{}" download>{}</a></p>').format(
        download_url(services, "models", model.name),
        t("models.download", size=size(services.workspace.models.bytes(model.id))),
    )


def find(services: Services, picked: str | None) -> Model | None:
    if not picked:
        return None
    try:
        return services.workspace.models.get(picked)
    except ModelNotFound:
        return None


def list_html(services: Services, picked: str | None) -> str:
    """All models as a table, the newest first."""
    models = services.workspace.models.list()
    if not models:
        return str(empty(t("models.empty"), t("models.empty_hint", model=PACKAGED)))
    heads = [t("models.col_name"), t("models.col_kind"), t("models.col_base")]
    heads += [t("models.col_before"), t("models.col_after"), t("models.col_verdict")]
    heads += [t("models.col_size"), t("models.col_made")]
    lines = [_line(services, model, model.name == picked) for model in models]
    names = [model.name for model in models]
    at = names.index(picked) if picked in names else None
    return str(table(heads, lines, caption=t("models.title"), numeric=[3, 4, 6], chosen=at))


def _line(services: Services, model: Model, chosen: bool) -> list[str]:
    return [
        pick(model.name, model.name, chosen),
        _kind(model),
        model.base or "–",
        _measure(model, "untrained", "baseline"),
        _measure(model, "best"),
        verdict(model),
        size(services.workspace.models.bytes(model.id)),
        ago(model.created_at),
    ]


def _kind(model: Model) -> str:
    key = f"kind.{model.kind}"
    return t(key) if known(key) else model.kind


def _measure(model: Model, *which: str) -> str:
    """The first of these that the model's record has."""
    found = (model.summary[one] for one in which if model.summary.get(one))
    values: dict[str, float] = next(found, {})
    value = values.get(model.summary.get("metric", HEADLINE))
    return "–" if value is None else f"{value:.3f}"


def verdict(model: Model) -> str:
    """'better', 'no better than the original', or nothing where nothing was trained."""
    if model.verdict:
        return badge(t(f"verdict.{model.verdict}"), "warn")
    if model.summary.get("best"):
        return badge(t("verdict.better"), "good")
    return "–"


def details_html(services: Services, model: Model) -> Markup:
    """The contract: what must be known to use the model as it was trained."""
    metric = label(str(model.summary.get("metric", HEADLINE)))
    measured = {
        t("models.before", metric=metric): _measure(model, "untrained", "baseline"),
        t("models.after", metric=metric): _measure(model, "best"),
    }
    folder = str(services.workspace.models.folder(model.id))
    return Markup(
        '{}<article class="rw-card">{}</article>'
        '<article class="rw-card"><h3>{}</h3><p class="rw-quiet">{}</p>{}'
        '<p class="rw-quiet rw-mono">{}</p></article>'
    ).format(
        heading(model.name, (model.base and t("models.from_base", base=model.base)) or ""),
        facts(measured | {t("models.trained_on"): str(model.summary.get("dataset") or "–")}),
        t("models.contract"),
        t("models.contract_about"),
        facts(_contract(model.contract)),
        folder,
    )


def _contract(contract: Mapping[str, Any]) -> dict[str, str]:
    return {t(f"contract.{key}"): _plain(contract.get(key)) for key in CONTRACT}


CONTRACT = (
    "pooling",
    "normalize",
    "causal",
    "dimensions",
    "query_prompt",
    "document_prompt",
    "query_max_len",
    "passage_max_len",
    "dtype",
)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return t("word.yes") if value else t("word.no")
    if value in (None, ""):
        return t("word.none")
    return str(value)


def newest_job(services: Services) -> Job | None:
    """The last job that was started here: a model added, or an adapter merged."""
    tasks = (AddModelRecipe.task, models_merge.TASK)
    found = [one for task in tasks for one in services.workspace.jobs.list(task=task, limit=1)]
    return max(found, key=lambda job: job.created_at, default=None)


def job_html(job: Job | None) -> str:
    if job is None or job.status is JobStatus.SUCCEEDED:
        return EMPTY
    return str(job_card(job))
