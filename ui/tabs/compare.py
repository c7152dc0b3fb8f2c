"""Compare models on the same queries: the table, what the differences are worth, and a chart.

An evaluation is a job and its result is kept: choosing an earlier one shows it, nothing is
measured again unless the button is pressed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import gradio as gr

from ui.kit import form
from ui.kit.choices import dataset_names, menu, model_names, models_menu, open_menu, splits, update
from ui.kit.events import QUICK, on, on_busy
from ui.kit.job_slot import JobSlot, card_html, find
from ui.kit.live import on_look, pulse
from ui.kit.markup import heading, piece
from ui.services import Services
from ui.tabs.compare_copy import SAVE_JS, copy_button
from ui.tabs.compare_past import newest, past_menu
from ui.tabs.compare_sections import Section, sections
from ui.tabs.compare_shown import short_table as short_table  # Start shows it too.
from ui.tabs.compare_shown import view as main_view
from ui.words import t
from workbench.comparison.table import EVALUATION_MODES
from workbench.model_kinds import scoring
from workbench.recipes.evaluate import EvaluateRecipe
from workbench.records import Job

#: A first stage that is no model; everybody has it.
BM25 = "bm25"
#: What the tab draws itself; the recipe's other fields are folded away below.
DRAWN = (
    "dataset",
    "split",
    "models",
    "rerankers",
    "evaluation_mode",
    "second_dataset",
    "dimensions",
)


@dataclass(frozen=True)
class Compare:
    services: Services
    tab: gr.Tab
    beat: gr.HTML
    #: {"job": id of the evaluate job shown, "dataset": the data set chosen, "models": to fill in}
    chosen: gr.BrowserState
    dataset: gr.Dropdown
    split: gr.Radio
    models: gr.Dropdown
    rerankers: gr.Dropdown
    evaluation_mode: gr.Dropdown
    second_dataset: gr.Dropdown
    dimensions: gr.Textbox
    settings: form.Form
    start: gr.Button
    past: gr.Dropdown
    #: The comparison that is shown, also where nobody chose it.
    job: JobSlot
    table: gr.HTML
    actions: gr.Row
    copy: gr.Button
    save: gr.Button
    plot: gr.Plot
    markdown: gr.Textbox
    csv: gr.Textbox
    beside: list[Section]
    refresh: Callable[..., Any]
    inputs: list[Any]
    outputs: list[Any]

    @property
    def result(self) -> list[Any]:
        """What shows one evaluation."""
        return [
            *(*self.job.outputs, self.table, self.actions),
            *(self.plot, self.markdown, self.csv),
            *(part for section in self.beside for part in section.outputs),
        ]

    def view(self, services: Services, job: Job | None) -> list[Any]:
        """Updates for ``result``."""
        return view(services, self.beside, job)

    def listen(self) -> None:
        listen(self.services, self)


def render(services: Services) -> Compare:
    with gr.Tab(t("tab.compare"), id="compare") as tab:
        beat = pulse(services)
        chosen = gr.BrowserState({}, storage_key="workbench-compare", secret="workbench")
        piece(heading(t("compare.title"), t("compare.about")))
        with gr.Row():
            dataset = open_menu(
                label=t("compare.dataset"),
                min_width=200,
                elem_id="compare-dataset",
            )
            split = gr.Radio(
                splits(),
                value="test",
                label=t("compare.split"),
                interactive=True,
                min_width=200,
                elem_id="compare-split",
            )
        models = open_menu(
            multiselect=True,
            max_choices=12,
            label=t("compare.models"),
            info=t("compare.models_help"),
            elem_id="compare-models",
        )
        rerankers = open_menu(
            multiselect=True,
            max_choices=6,
            label=t("compare.rerankers"),
            info=t("compare.rerankers_help"),
            elem_id="compare-rerankers",
        )
        evaluation_mode = gr.Dropdown(
            [(t(f"choice.evaluation_mode.{name}"), name) for name in ("auto", *EVALUATION_MODES)],
            value="auto",
            label=t("ways.label"),
            info=t("ways.label_help"),
            interactive=True,
            elem_id="compare-evaluation-mode",
        )
        with gr.Accordion(t("compare.beside"), open=False, elem_id="compare-beside"), gr.Row():
            second_dataset = open_menu(
                label=t("compare.second_dataset"),
                info=t("compare.second_dataset_help"),
                elem_id="compare-second-dataset",
            )
            dimensions = gr.Textbox(
                label=t("compare.dimensions"),
                info=t("compare.dimensions_help"),
                interactive=True,
                elem_id="compare-dimensions",
            )
        settings = form.render(EvaluateRecipe, skip=DRAWN, prefix="compare")
        with gr.Row(elem_classes="rw-actions"):
            start = gr.Button(t("compare.start"), variant="primary", elem_id="compare-start")
        past = open_menu(
            label=t("compare.past"),
            info=t("compare.past_help"),
            elem_id="compare-past",
        )
        job = JobSlot("compare-job")
        table = piece(elem_id="compare-table")
        with gr.Row(visible=False, elem_classes="rw-actions") as actions:
            copy = gr.Button(t("compare.copy"), size="sm", elem_id="compare-copy")
            save = gr.Button(t("compare.save"), size="sm", elem_id="compare-save")
        plot = gr.Plot(
            label=t("compare.chart"), visible=False, show_label=False, elem_id="compare-plot"
        )
        markdown = gr.Textbox(visible=False, label=t("compare.copy"))
        csv = gr.Textbox(visible=False, label=t("compare.save"))
        beside = sections(services)

    def refresh(
        state: dict[str, Any] | None,
        name: str | None,
        picked: list[str],
        second: list[str] | None,
        other: str | None,
        *on_page: Any,
    ) -> Any:
        state = state or {}
        filled = fill(services, state, name, picked, second or [], beside, on_page)
        # What another tab handed over is filled in once; then a person may choose other models.
        taken = {**state, "taken": True} if state.get("models") else gr.skip()
        return [*filled, taken, also_menu(services, other)]

    inside = [part for section in beside for part in section.outputs]
    result = [*job.outputs, table, actions, plot, markdown, csv, *inside]
    return Compare(
        services=services,
        tab=tab,
        beat=beat,
        chosen=chosen,
        dataset=dataset,
        split=split,
        models=models,
        rerankers=rerankers,
        evaluation_mode=evaluation_mode,
        second_dataset=second_dataset,
        dimensions=dimensions,
        settings=settings,
        start=start,
        past=past,
        job=job,
        table=table,
        actions=actions,
        copy=copy,
        save=save,
        plot=plot,
        markdown=markdown,
        csv=csv,
        beside=beside,
        refresh=refresh,
        inputs=[chosen, dataset, models, rerankers, second_dataset, job.shown, job.card],
        outputs=[dataset, models, rerankers, past, *result, chosen, second_dataset],
    )


def listen(services: Services, compare: Compare) -> None:
    workspace = services.workspace

    def start(
        dataset: str | None,
        split: str,
        models: list[str],
        rerankers: list[str] | None,
        second_dataset: str | None,
        dimensions: str | None,
        evaluation_mode: str | None,
        *raw: Any,
    ) -> list[Any]:
        chosen = {"dataset": dataset or "", "split": split, "models": models}
        beside = {
            "second_dataset": second_dataset or "",
            "dimensions": dimensions or "",
            "evaluation_mode": evaluation_mode or "auto",
        }
        values = {**chosen, "rerankers": rerankers or [], **beside, **compare.settings.values(raw)}

        def act() -> list[Any]:
            job = workspace.jobs.submit(EvaluateRecipe.read(values))
            state = {"job": job.id, "dataset": dataset}
            return [state, past_menu(services, dataset, job.id), *compare.view(services, job)]

        return compare.settings.told(act, len(started))

    def choose(dataset: str | None) -> list[Any]:
        job = newest(services, dataset)
        return show(job.id if job else "", dataset)

    def show(id: str | None, dataset: str | None) -> list[Any]:
        state = {"job": id or "", "dataset": dataset}
        past = past_menu(services, dataset, id)
        return [state, past, *compare.view(services, find(services, id))]

    def tick(state: dict[str, Any], card: str | None, dataset: str | None, *watched: Any) -> Any:
        found: dict[Any, Any] = {}
        job = shown_job(services, state or {}, dataset)
        if card_html(job) != (card or ""):
            found = {compare.past: past_menu(services, dataset, job.id if job else None)}
            found |= zip(compare.result, compare.view(services, job), strict=True)
        raw = iter(watched)
        for section in compare.beside:
            found |= section.look(*islice(raw, len(section.watched)))
        return found or gr.skip()

    started = [compare.chosen, compare.past, *compare.result]
    on_busy(
        compare.start,
        start,
        [
            *(compare.dataset, compare.split, compare.models, compare.rerankers),
            *(
                compare.second_dataset,
                compare.dimensions,
                compare.evaluation_mode,
                *compare.settings.inputs,
            ),
        ],
        [*started, *compare.settings.inputs],
        says=t("compare.starting"),
        then=t("compare.start"),
    )
    compare.job.listen(services, show, [compare.dataset], started)
    on(compare.dataset.input, choose, compare.dataset, started)
    on(compare.past.input, show, [compare.past, compare.dataset], started)
    on_look(
        compare.beat,
        tick,
        [
            *(compare.chosen, compare.job.card, compare.dataset),
            *(one for section in compare.beside for one in section.watched),
        ],
        [
            *(compare.past, *compare.result),
            *(one for section in compare.beside for one in section.changes),
        ],
    )
    copy_button(compare.copy, compare.markdown, t("compare.copy"), QUICK)
    compare.save.click(None, compare.csv, None, js=SAVE_JS, **QUICK)
    for section in compare.beside:
        section.wire(compare)


def fill(
    services: Services,
    state: dict[str, Any],
    name: str | None,
    picked: list[str],
    second: list[str],
    beside: Sequence[Section] = (),
    on_page: Sequence[Any] = (),
) -> Any:
    """Menus and the chosen evaluation, as they are now. ``on_page``: the id and the card of the
    one that is shown."""
    names = dataset_names(services.workspace)
    job = shown_job(services, state, name)
    dataset = state.get("dataset") or name
    dataset = dataset or (job.recipe["dataset"] if job else None)
    dataset = dataset if dataset in names else next(iter(names), None)
    known = model_names(services.workspace)
    handed = None if state.get("taken") and picked else state.get("models")
    models = handed or picked or (job.recipe["models"] if job else known[:2])
    if handed or not (picked or job):
        # The humble baseline is proposed with the rest; a person may take it out.
        models = list(dict.fromkeys([*models, BM25]))
    return [
        menu(names, dataset),
        models_menu([*known, BM25], models),
        models_menu(second_stages(services), second),
        past_menu(services, dataset, job.id if job else None),
        *view(services, beside, job, on_page),
    ]


def shown_job(services: Services, state: dict[str, Any], dataset: str | None) -> Job | None:
    """The chosen comparison, or the newest one of the data set and models that are chosen."""
    chosen = state.get("dataset") or dataset
    return find(services, state.get("job")) or newest(services, chosen, state.get("models") or ())


def view(
    services: Services, beside: Sequence[Section], job: Job | None, on_page: Sequence[Any] = ()
) -> list[Any]:
    """The comparison, and what stands beside it. What is chosen there stays where the same is
    ``on_page`` already, as it is now."""
    same = job is not None and list(on_page) == [job.id, str(card_html(job))]
    return [
        *main_view(services, job),
        *(one for section in beside for one in _beside(section, job, same)),
    ]


def _beside(section: Section, job: Job | None, same: bool) -> list[Any]:
    return section.again(job) if same and section.again else section.show(job)


def also_menu(services: Services, chosen: str | None) -> dict[str, Any]:
    """The second data set: none, unless one is chosen that is still there."""
    names = dataset_names(services.workspace)
    choices = [(t("compare.second_dataset_none"), ""), *((name, name) for name in names)]
    return update(choices, chosen if chosen in names else "")


def second_stages(services: Services) -> list[str]:
    """The workspace's rerankers and late-interaction models."""
    models = services.workspace.models.list()
    return [model.name for model in models if model.kind in scoring()]
