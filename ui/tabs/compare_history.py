"""Every number ever measured, and what two runs' recipes differ in."""

import time
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.choices import open_menu, update
from ui.feedback import on
from ui.markup import EMPTY, join, piece, table
from ui.services import Services
from ui.tabs.compare_past import find
from ui.tabs.compare_sections import Section
from ui.words import t
from ui.words.amounts import ago, count
from workbench.comparison.names import CORRELATIONS, HEADLINE, label
from workbench.comparison.recipes import recipe_differences, shown
from workbench.records import Job
from workbench.reports.history import Measurement, history

#: Rows on the page; the command line lists all.
ROWS = 100
#: Runs in the menus of the recipes' comparison.
RUNS = 100
#: What a row says of a measurement, where it has it.
SAID = (HEADLINE, "ndcg@10", "recall@100", *CORRELATIONS)


def section(services: Services) -> Section:
    with gr.Accordion(t("compare.history"), open=False, elem_id="compare-history") as box:
        with gr.Row():
            model = open_menu(label=t("compare.model"), elem_id="compare-history-model")
            dataset = open_menu(label=t("compare.dataset"), elem_id="compare-history-dataset")
        rows = piece(elem_id="compare-history-rows")
    with gr.Accordion(t("compare.diff"), open=False, elem_id="compare-diff") as runs:
        with gr.Row():
            first = open_menu(label=t("compare.diff_first"), elem_id="compare-diff-first")
            second = open_menu(label=t("compare.diff_second"), elem_id="compare-diff-second")
        differences = piece(elem_id="compare-diff-table")

    def fill(chosen_model: str | None, chosen_data: str | None) -> list[Any]:
        """Read when it is opened: most visits to the page never look."""
        everything = history(services.workspace)
        models = sorted({one.model for one in everything})
        names = sorted({one.dataset for one in everything})
        drawn = history_html(_kept(everything, chosen_model, chosen_data))
        return [_menu(models, chosen_model), _menu(names, chosen_data), drawn]

    def choose(chosen_model: str | None, chosen_data: str | None) -> str:
        return history_html(_kept(history(services.workspace), chosen_model, chosen_data))

    def offer(one: str | None, other: str | None) -> list[Any]:
        jobs = services.workspace.jobs.list()[:RUNS]
        choices = [(_run_words(job), job.id) for job in jobs]
        return [update(choices, one), update(choices, other)]

    def compare_runs(one: str | None, other: str | None) -> str:
        return diff_html(find(services, one), find(services, other))

    def wire(_compare: Any) -> None:
        on(box.expand, fill, [model, dataset], [model, dataset, rows])
        for menu in (model, dataset):
            on(menu.input, choose, [model, dataset], rows)
        on(runs.expand, offer, [first, second], [first, second])
        for menu in (first, second):
            on(menu.input, compare_runs, [first, second], differences)

    return Section([], lambda _job: [], wire)


def history_html(found: list[Measurement]) -> Markup:
    quiet = Markup('<p class="rw-quiet rw-small">{}</p>')
    if not found:
        return quiet.format(t("compare.history_none"))
    heads = [
        t("compare.history_model"),
        t("compare.history_data"),
        t("compare.history_measures"),
        t("compare.history_settings"),
    ]
    drawn = table(heads, map(_row, found[:ROWS]), caption=t("compare.history"))
    more = t("compare.history_more", shown=ROWS, all=count(len(found)))
    note = quiet.format(more) if len(found) > ROWS else EMPTY
    return join([quiet.format(t("compare.history_help")), drawn, note])


def diff_html(first: Job | None, second: Job | None) -> Markup:
    """The fields that differ; nothing until both runs are chosen."""
    if first is None or second is None:
        return EMPTY
    one, other = {"task": first.task, **first.recipe}, {"task": second.task, **second.recipe}
    found = recipe_differences(one, other)
    if not found:
        return Markup('<p class="rw-quiet">{}</p>').format(t("compare.diff_none"))
    rows = [[each.field, shown(each.first), shown(each.second)] for each in found]
    heads = [t("compare.diff_field"), first.name, second.name]
    return table(heads, rows, caption=t("compare.diff"))


def _kept(
    everything: list[Measurement], model: str | None, dataset: str | None
) -> list[Measurement]:
    return [
        one
        for one in everything
        if (not model or model in (one.model, *one.model.split(" + ")))
        and dataset in (None, "", one.dataset)
    ]


def _row(one: Measurement) -> list[str]:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.measured_at))
    asked = (
        t("compare.pairs", count=count(one.pairs))
        if one.pairs
        else t("compare.queries", count=count(one.queries))
    )
    data = Markup('{} v{}, {}<br><span class="rw-quiet rw-small">{}</span>').format(
        one.dataset, one.version, t(f"split.{one.split}"), asked
    )
    name = t("compare.cut", model=one.model, size=one.cut_to) if one.cut_to else one.model
    model = Markup('{}<br><span class="rw-quiet rw-small">{}</span>').format(name, when)
    measures = Markup("<br>").join(
        Markup("{} {:.3f}").format(label(name), one.metrics[name])
        for name in SAID
        if name in one.metrics
    )
    settings = ", ".join(f"{name}={shown(value)}" for name, value in one.settings.items())
    return [model, data, measures, settings]


def _menu(names: list[str], chosen: str | None) -> dict[str, Any]:
    choices = [(t("compare.history_all"), ""), *((name, name) for name in names)]
    return update(choices, chosen or "")


def _run_words(job: Job) -> str:
    return t(
        "compare.diff_one",
        name=job.name,
        task=t(f"task.{job.task}"),
        when=ago(job.created_at),
    )
