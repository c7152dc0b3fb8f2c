"""Compare models on the same queries: the table, what the differences are worth, and a chart.

An evaluation is a job and its result is kept: choosing an earlier one shows it, nothing is
measured again unless the button is pressed.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr
from markupsafe import Markup

from ui.cards import job_card
from ui.choices import dataset_names, menu, model_names, models_menu, open_menu, splits, update
from ui.feedback import QUICK, on, on_busy
from ui.markup import EMPTY, badge, empty, heading, join, piece, table
from ui.plots import grouped_bars
from ui.services import Services
from ui.words import t
from ui.words.amounts import ago, count
from workbench.comparison.names import HEADLINE, label
from workbench.comparison.table import Row, Table, build_table, to_csv, to_markdown
from workbench.errors import JobNotFound
from workbench.recipes.evaluate import EvaluateRecipe
from workbench.records import Job, JobStatus

if TYPE_CHECKING:
    from ui.page import Page

TICK = 1.5
#: Past evaluations in the menu, newest first.
LISTED = 50

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

    def refresh(state: dict[str, Any] | None, name: str | None, picked: list[str]) -> Any:
        return fill(services, state or {}, name, picked)

    result = [card, cancel, shown, actions, plot, markdown, csv]
    return Compare(
        tab=tab,
        timer=timer,
        chosen=chosen,
        dataset=dataset,
        split=split,
        models=models,
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
        inputs=[chosen, dataset, models],
        outputs=[dataset, models, past, *result],
    )


def listen(services: Services, page: "Page") -> None:
    compare = page.compare
    workspace = services.workspace

    def start(dataset: str | None, split: str, models: list[str]) -> list[Any]:
        recipe = EvaluateRecipe.read({"dataset": dataset or "", "split": split, "models": models})
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
        [compare.dataset, compare.split, compare.models],
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


def fill(services: Services, state: dict[str, Any], name: str | None, picked: list[str]) -> Any:
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
        models_menu(known, models),
        past_menu(services, dataset, job.id if job else None),
        *view(services, job),
    ]


def view(services: Services, job: Job | None) -> list[Any]:
    """Updates for ``Compare.result``."""
    if job is None:
        hint = t("compare.empty_hint" if dataset_names(services.workspace) else "compare.no_data")
        nothing = empty(t("compare.empty"), hint)
        return [EMPTY, gr.Button(visible=False), nothing, *_no_result()]
    running = gr.Button(visible=not job.status.finished)
    if job.status is not JobStatus.SUCCEEDED or not job.result:
        return [card_html(job), running, EMPTY, *_no_result()]
    measured = build_table(job.result)
    return [
        card_html(job),
        running,
        table_html(measured, job.result),
        gr.Row(visible=True),
        gr.Plot(value=chart(measured), visible=True),
        to_markdown(measured),
        to_csv(measured),
    ]


def _no_result() -> list[Any]:
    return [gr.Row(visible=False), gr.Plot(value=None, visible=False), "", ""]


def card_html(job: Job) -> str:
    """The job while it runs or when it failed; a finished one is its table."""
    return EMPTY if job.status is JobStatus.SUCCEEDED else str(job_card(job))


def chart(measured: Table) -> Any:
    return grouped_bars(
        [row.model for row in measured.rows],
        measured.labels,
        [row.values for row in measured.rows],
        t("compare.chart_title", dataset=measured.dataset, split=t(f"split.{measured.split}")),
    )


def table_html(measured: Table, result: Mapping[str, Any]) -> Markup:
    """Models as rows, metrics as columns, and what each difference is worth."""
    documents = result.get("documents")
    queries = measured.rows[0].queries if measured.rows else 0
    about = t("compare.measured", split=t(f"split.{measured.split}"), queries=count(queries))
    if documents:
        about = t("compare.measured_over", about=about, documents=count(documents))
    heads = [t("compare.model"), *measured.labels, t("compare.difference"), t("compare.verdict")]
    numeric = range(1, len(measured.labels) + 1)
    rows = [_cells(row) for row in measured.rows]
    drawn = table(heads, rows, caption=t("compare.caption"), numeric=numeric)
    return join([heading(measured.dataset, about), drawn, _legend(measured)])


def short_table(result: Mapping[str, Any]) -> Markup:
    """The headline only: two models, one number each, and the verdict."""
    measured = build_table(result)
    at = measured.metrics.index(HEADLINE) if HEADLINE in measured.metrics else 0
    heads = [t("compare.model"), measured.labels[at], t("compare.difference"), t("compare.verdict")]
    rows = [[row.model, _value(row, at), *_difference(row)] for row in measured.rows]
    return table(heads, rows, caption=t("compare.caption"), numeric=[1])


def _cells(row: Row) -> list[str]:
    return [row.model, *(_value(row, at) for at in range(len(row.values))), *_difference(row)]


def _value(row: Row, at: int) -> Markup:
    shape = "<strong>{}</strong>" if row.best[at] else "{}"
    return Markup(shape).format(f"{row.values[at]:.3f}")


def _difference(row: Row) -> list[str]:
    one = row.comparison
    if one is None:
        return [t("compare.reference"), ""]
    tone = "" if one.p_value >= 0.05 else "good" if one.delta > 0 else "bad"
    return [
        Markup('<span class="rw-difference">{}</span>').format(one.text),
        badge(one.verdict, tone),
    ]


def _legend(measured: Table) -> Markup:
    one = next((row.comparison for row in measured.rows if row.comparison), None)
    if one is None:
        return EMPTY
    return Markup('<p class="rw-quiet rw-small">{}</p>').format(
        t("compare.legend", metric=label(one.metric), against=one.against)
    )


def find(services: Services, job: str | None) -> Job | None:
    """The evaluate job with that id, if it is still on record."""
    if not job:
        return None
    try:
        return services.workspace.jobs.get(job)
    except JobNotFound:
        return None


def evaluations(services: Services, dataset: str | None) -> Sequence[Job]:
    """This data set's evaluate jobs (all, if none is named), newest first."""
    jobs = services.workspace.jobs.list(task=EvaluateRecipe.task)
    return [job for job in jobs if dataset in (None, job.recipe.get("dataset"))][:LISTED]


def newest(services: Services, dataset: str | None, models: Collection[str] = ()) -> Job | None:
    """The newest evaluation on the data set in which all these models took part."""
    jobs = evaluations(services, dataset)
    return next((job for job in jobs if set(models) <= set(job.recipe["models"])), None)


def past_menu(services: Services, dataset: str | None, chosen: str | None) -> dict[str, Any]:
    """An update of the menu of past evaluations."""
    choices = [(_past_label(job), job.id) for job in evaluations(services, dataset)]
    ids = [id for _, id in choices]
    return update(choices, chosen if chosen in ids else None, visible=bool(choices))


def _past_label(job: Job) -> str:
    return t(
        "compare.past_one",
        models=", ".join(job.recipe["models"]),
        split=t(f"split.{job.recipe['split']}"),
        status=t(f"status.{job.status.value}"),
        when=ago(job.created_at),
    )
