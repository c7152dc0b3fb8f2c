"""Compare models on the same queries: the table, what the differences are worth, and a chart.

An evaluation is a job and its result is kept: choosing an earlier one shows it, nothing is
measured again unless the button is pressed.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from ui.choices import dataset_names, menu, model_names, models_menu, open_menu, splits
from ui.feedback import QUICK, on, on_busy
from ui.markup import heading, piece
from ui.services import Services
from ui.tabs.compare_past import find, newest, past_menu
from ui.tabs.compare_shown import card_html, view
from ui.tabs.compare_shown import short_table as short_table  # Start shows it too.
from ui.words import t
from workbench.recipes.evaluate import EvaluateRecipe

if TYPE_CHECKING:
    from ui.page import Page

TICK = 1.5
#: A first stage that is no model; everybody has it.
BM25 = "bm25"
SECOND_STAGES = ("reranker", "late-interaction")

COPY_JS = """
async (text) => {
  try { await navigator.clipboard.writeText(text); }
  catch (refused) {
    const area = document.createElement('textarea');
    area.value = text; document.body.append(area); area.select();
    document.execCommand('copy'); area.remove();
  }
  return DONE;
}
"""
SAVE_JS = """
(text) => {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], {type: 'text/csv;charset=utf-8'}));
  link.download = 'comparison.csv';
  document.body.append(link); link.click(); link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  return text;
}
"""


@dataclass(frozen=True)
class Compare:
    tab: gr.Tab
    timer: gr.Timer
    #: {"job": id of the evaluate job shown, "dataset": the data set chosen, "models": to fill in}
    chosen: gr.BrowserState
    dataset: gr.Dropdown
    split: gr.Radio
    models: gr.Dropdown
    rerankers: gr.Dropdown
    start: gr.Button
    cancel: gr.Button
    past: gr.Dropdown
    card: gr.HTML
    table: gr.HTML
    actions: gr.Row
    copy: gr.Button
    save: gr.Button
    plot: gr.Plot
    markdown: gr.Textbox
    csv: gr.Textbox
    refresh: Callable[..., Any]
    inputs: list[Any]
    outputs: list[Any]

    @property
    def result(self) -> list[Any]:
        """What shows one evaluation."""
        return [
            self.card,
            self.cancel,
            self.table,
            self.actions,
            self.plot,
            self.markdown,
            self.csv,
        ]


def render(services: Services) -> Compare:
    with gr.Tab(t("tab.compare"), id="compare") as tab:
        timer = gr.Timer(TICK, active=False)
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
        with gr.Row(elem_classes="rw-actions"):
            start = gr.Button(t("compare.start"), variant="primary", elem_id="compare-start")
            cancel = gr.Button(t("job.cancel"), variant="stop", visible=False)
        past = open_menu(
            label=t("compare.past"),
            info=t("compare.past_help"),
            elem_id="compare-past",
        )
        card = piece(elem_id="compare-job")
        shown = piece(elem_id="compare-table")
        with gr.Row(visible=False, elem_classes="rw-actions") as actions:
            copy = gr.Button(t("compare.copy"), size="sm", elem_id="compare-copy")
            save = gr.Button(t("compare.save"), size="sm", elem_id="compare-save")
        plot = gr.Plot(
            label=t("compare.chart"), visible=False, show_label=False, elem_id="compare-plot"
        )
        markdown = gr.Textbox(visible=False, label=t("compare.copy"))
        csv = gr.Textbox(visible=False, label=t("compare.save"))

    def refresh(
        state: dict[str, Any] | None,
        name: str | None,
        picked: list[str],
        second: list[str] | None,
    ) -> Any:
        return fill(services, state or {}, name, picked, second or [])

    result = [card, cancel, shown, actions, plot, markdown, csv]
    return Compare(
        tab=tab,
        timer=timer,
        chosen=chosen,
        dataset=dataset,
        split=split,
        models=models,
        rerankers=rerankers,
        start=start,
        cancel=cancel,
        past=past,
        card=card,
        table=shown,
        actions=actions,
        copy=copy,
        save=save,
        plot=plot,
        markdown=markdown,
        csv=csv,
        refresh=refresh,
        inputs=[chosen, dataset, models, rerankers],
        outputs=[dataset, models, rerankers, past, *result],
    )


def listen(services: Services, page: "Page") -> None:
    compare = page.compare
    workspace = services.workspace

    def start(
        dataset: str | None, split: str, models: list[str], rerankers: list[str] | None
    ) -> list[Any]:
        chosen = {"dataset": dataset or "", "split": split, "models": models}
        recipe = EvaluateRecipe.read({**chosen, "rerankers": rerankers or []})
        job = workspace.jobs.submit(recipe)
        state = {"job": job.id, "dataset": dataset}
        return [state, past_menu(services, dataset, job.id), *view(services, job)]

    def cancel(state: dict[str, Any]) -> list[Any]:
        return view(services, workspace.jobs.cancel(state["job"]))

    def choose(dataset: str | None) -> list[Any]:
        job = newest(services, dataset)
        state = {"job": job.id if job else "", "dataset": dataset}
        return [state, past_menu(services, dataset, state["job"]), *view(services, job)]

    def show(job: str | None, dataset: str | None) -> list[Any]:
        return [{"job": job or "", "dataset": dataset}, *view(services, find(services, job))]

    def tick(state: dict[str, Any], card: str | None, dataset: str | None) -> Any:
        job = find(services, (state or {}).get("job"))
        if job is None or card_html(job) == (card or ""):
            return gr.skip()
        return [past_menu(services, dataset, job.id), *view(services, job)]

    on_busy(
        compare.start,
        start,
        [compare.dataset, compare.split, compare.models, compare.rerankers],
        [compare.chosen, compare.past, *compare.result],
        says=t("compare.starting"),
        then=t("compare.start"),
    )
    on(compare.cancel.click, cancel, compare.chosen, compare.result)
    on(
        compare.dataset.input,
        choose,
        compare.dataset,
        [compare.chosen, compare.past, *compare.result],
    )
    on(
        compare.past.input,
        show,
        [compare.past, compare.dataset],
        [compare.chosen, *compare.result],
    )
    on(
        compare.timer.tick,
        tick,
        [compare.chosen, compare.card, compare.dataset],
        [compare.past, *compare.result],
    )
    copied = compare.copy.click(None, compare.markdown, compare.copy, js=_copy_js(), **QUICK)
    copied.then(None, None, compare.copy, js=_back_js(), **QUICK)
    compare.save.click(None, compare.csv, None, js=SAVE_JS, **QUICK)


def _copy_js() -> str:
    return COPY_JS.replace("DONE", json.dumps(t("compare.copied")))


def _back_js() -> str:
    """The button's own words again, a moment later."""
    words = json.dumps(t("compare.copy"))
    return f"() => new Promise((done) => setTimeout(() => done({words}), 1500))"


def fill(
    services: Services,
    state: dict[str, Any],
    name: str | None,
    picked: list[str],
    second: list[str],
) -> Any:
    """Menus and the chosen evaluation, as they are now."""
    names = dataset_names(services.workspace)
    job = find(services, state.get("job"))
    dataset = state.get("dataset") or name
    job = job or newest(services, dataset, state.get("models") or ())
    dataset = dataset or (job.recipe["dataset"] if job else None)
    dataset = dataset if dataset in names else next(iter(names), None)
    known = model_names(services.workspace)
    models = state.get("models") or picked or (job.recipe["models"] if job else known[:2])
    return [
        menu(names, dataset),
        models_menu([*known, BM25], models),
        models_menu(second_stages(services), second),
        past_menu(services, dataset, job.id if job else None),
        *view(services, job),
    ]


def second_stages(services: Services) -> list[str]:
    """The workspace's rerankers and late-interaction models."""
    models = services.workspace.models.list()
    return [model.name for model in models if model.kind in SECOND_STAGES]
