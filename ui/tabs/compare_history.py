"""Every number ever measured, and what two runs' recipes differ in."""

from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.cards import task_name
from ui.kit.choices import open_menu, update
from ui.kit.events import on
from ui.kit.job_slot import find
from ui.kit.markup import EMPTY, piece, table
from ui.services import Services
from ui.tabs.compare_sections import Section
from ui.tabs.history_rows import data_words, history_html, source_words
from ui.words import t
from ui.words.amounts import ago
from workbench.comparison.recipes import recipe_differences, shown
from workbench.records import Job
from workbench.reports.history import SOURCES, Measurement, history

#: Rows on a page.
ROWS = 50
#: Runs in the menus of the recipes' comparison.
RUNS = 100


def section(services: Services) -> Section:
    with gr.Accordion(t("compare.history"), open=False, elem_id="compare-history") as box:
        with gr.Row():
            model = _filter("model", t("compare.model"))
            dataset = _filter("dataset", t("compare.dataset"))
            source = _filter("source", t("history.source"))
        rows = piece(elem_id="compare-history-rows")
        with gr.Row(elem_classes="rw-actions"):
            newer = _button("newer", t("history.newer"))
            older = _button("older", t("history.older"))
        offset = gr.Number(0, visible=False, label=t("compare.history"))
    with gr.Accordion(t("compare.diff"), open=False, elem_id="compare-diff") as runs:
        with gr.Row():
            first = open_menu(label=t("compare.diff_first"), elem_id="compare-diff-first")
            second = open_menu(label=t("compare.diff_second"), elem_id="compare-diff-second")
        differences = piece(elem_id="compare-diff-table")
    filters = [model, dataset, source]
    page = [rows, newer, older, offset]

    def fill(start: float, *chosen: str | None) -> list[Any]:
        """Read when it is opened: most visits to the page never look."""
        everything = history(services.workspace)
        menus = filter_menus(everything, *chosen)
        return [*menus, *page_of(_kept(everything, *chosen), int(start))]

    def choose(*chosen: str | None) -> list[Any]:
        return page_of(_kept(history(services.workspace), *chosen), 0)

    def turn(step: int) -> Any:
        def turned(start: float, *chosen: str | None) -> list[Any]:
            return page_of(_kept(history(services.workspace), *chosen), int(start) + step)

        return turned

    def offer(one: str | None, other: str | None) -> list[Any]:
        jobs = services.workspace.jobs.list()[:RUNS]
        choices = [(_run_words(job), job.id) for job in jobs]
        return [update(choices, one), update(choices, other)]

    def compare_runs(one: str | None, other: str | None) -> str:
        return diff_html(find(services, one), find(services, other))

    def wire(_compare: Any) -> None:
        on(box.expand, fill, [offset, *filters], [*filters, *page])
        for menu in filters:
            on(menu.input, choose, filters, page)
        on(newer.click, turn(-ROWS), [offset, *filters], page)
        on(older.click, turn(ROWS), [offset, *filters], page)
        on(runs.expand, offer, [first, second], [first, second])
        for menu in (first, second):
            on(menu.input, compare_runs, [first, second], differences)

    return Section([], lambda _job: [], wire)


def _filter(name: str, label: str) -> gr.Dropdown:
    return open_menu(label=label, elem_id=f"compare-history-{name}", min_width=180)


def _button(name: str, words: str) -> gr.Button:
    return gr.Button(words, size="sm", visible=False, elem_id=f"compare-history-{name}")


def page_of(found: list[Measurement], start: int) -> list[Any]:
    """Updates of a page of rows from ``start`` on, with its buttons."""
    start = min(max(0, start), max(0, (len(found) - 1) // ROWS * ROWS))
    return [
        history_html(found[start : start + ROWS], start, len(found)),
        gr.Button(visible=start > 0),
        gr.Button(visible=start + ROWS < len(found)),
        start,
    ]


def filter_menus(
    everything: list[Measurement], model: str | None, dataset: str | None, source: str | None
) -> list[dict[str, Any]]:
    """The models, data sets and ways of measuring that there are numbers of."""
    models = sorted({one.model for one in everything})
    data = sorted({data_words(one) for one in everything})
    sources = {one.source for one in everything}
    return [
        _menu([(name, name) for name in models], model),
        _menu([(name, name) for name in data], dataset),
        _menu([(source_words(one), one) for one in SOURCES if one in sources], source),
    ]


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
    everything: list[Measurement], model: str | None, dataset: str | None, source: str | None
) -> list[Measurement]:
    return [
        one
        for one in everything
        if one.is_of(model or None, None, source or None)
        and (not dataset or dataset == data_words(one))
    ]


def _menu(choices: list[tuple[str, str]], chosen: str | None) -> dict[str, Any]:
    return update([(t("compare.history_all"), ""), *choices], chosen or "")


def _run_words(job: Job) -> str:
    return t(
        "compare.diff_one",
        name=job.name,
        task=task_name(job.task),
        when=ago(job.created_at),
    )
