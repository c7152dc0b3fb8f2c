"""Every number ever measured, and what two runs' recipes differ in.

Lines of the history: which model, on what, when, and every number of it.
"""

import time
from collections.abc import Mapping
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.choices import open_menu, update
from ui.kit.events import on
from ui.kit.job_slot import find
from ui.kit.markup import EMPTY, join, piece, table
from ui.services import Services
from ui.tabs.compare.section import Section
from ui.words import t
from ui.words.amounts import ago, count
from ui.words.metrics import label
from workbench.comparison.recipes import recipe_differences, shown
from workbench.records import Job
from workbench.reports.history import SOURCES, Measurement, headline_metrics, history

# Lines of the history: which model, on what, when, and every number of it.

_QUIET = Markup('<span class="rw-quiet rw-small">{}</span>')


def history_html(found: list[Measurement], start: int, all: int) -> Markup:
    """``found``: the rows from ``start`` on, of ``all``."""
    quiet = Markup('<p class="rw-quiet rw-small">{}</p>')
    if not found:
        return quiet.format(t("compare.history_none"))
    heads = [
        t("compare.history_model"),
        t("compare.history_data"),
        t("compare.history_settings"),
        t("compare.history_measures"),
    ]
    drawn = table(heads, map(_row, found), caption=t("compare.history"), stacked=True)
    place = t("explore.page", first=start + 1, last=start + len(found), all=count(all))
    return join([quiet.format(t("compare.history_help")), drawn, quiet.format(place)])


def source_words(source: str) -> str:
    words = {
        "comparison": t("history.comparison"),
        "matrix": t("history.matrix"),
        "training": t("history.training"),
        "quantization": t("history.quantization"),
        "blend": t("history.blend"),
    }
    return words[source]


def data_words(one: Measurement) -> str:
    """The data set's name; of one that was removed it says so."""
    return t("history.removed", name=one.dataset) if one.removed else one.dataset


def _row(one: Measurement) -> list[str]:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.measured_at))
    by = t("history.by", source=source_words(one.source), when=when)
    settings = ", ".join(f"{name}={shown(value)}" for name, value in one.settings.items())
    return [_two(_model(one), by), _two(_data(one), _asked(one)), settings, _measures(one)]


def _two(first: str, second: str) -> Markup:
    return Markup("{}<br>{}").format(first, _QUIET.format(second))


def _model(one: Measurement) -> str:
    if one.step is not None:
        return t("history.at_step", model=one.model, step=count(one.step))
    return t("compare.cut", model=one.model, size=one.cut_to) if one.cut_to else one.model


def _data(one: Measurement) -> str:
    split = t(f"split.{one.split}")
    if one.version is None:
        return t("history.unversioned", data=data_words(one), split=split)
    return t("history.data", data=data_words(one), version=one.version, split=split)


def _asked(one: Measurement) -> str:
    if one.pairs:
        return t("compare.pairs", count=count(one.pairs))
    return t("compare.queries", count=count(one.queries)) if one.queries else ""


def _measures(one: Measurement) -> Markup:
    """The headlines, and all others to be opened."""
    heads = headline_metrics(one.metrics)
    shown = _lines({name: one.metrics[name] for name in heads})
    if one.milliseconds is not None:
        took = t("history.took", ms=f"{one.milliseconds:,.1f}")
        shown = Markup("{}<br>{}").format(shown, took)
    others = {name: value for name, value in one.metrics.items() if name not in heads}
    if not others:
        return shown
    more = Markup('<details class="rw-small"><summary>{}</summary>{}</details>')
    return shown + more.format(t("history.others", count=count(len(others))), _lines(others))


def _lines(metrics: Mapping[str, float]) -> Markup:
    return Markup("<br>").join(
        Markup("{} {:.3f}").format(label(name), value) for name, value in metrics.items()
    )


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
        task=t(f"task.{job.task}"),
        when=ago(job.created_at),
    )
