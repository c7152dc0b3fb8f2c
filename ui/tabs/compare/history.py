"""Every number ever measured, and what two runs' recipes differ in."""

import time
from collections.abc import Mapping
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.cards import task_name
from ui.kit.choices import open_menu, update
from ui.kit.events import on
from ui.kit.job_slot import find
from ui.kit.markup import EMPTY, join, piece, table
from ui.kit.pager import Pager, last_start, place_html
from ui.tabs.compare.section import Section, Shown
from ui.words import t
from ui.words.amounts import ago, count
from ui.words.sentences import metric_label
from workbench.records import Job
from workbench.reports.history import (
    SOURCES,
    Measurement,
    headline_metrics,
    history,
    recipe_differences,
    value_text,
)

#: Rows on a page.
ROWS = 50
#: Runs in the menus of the recipes' comparison.
RUNS = 100


class HistorySection(Section):
    """Every number, newest first; read when it is opened, since most visits never look."""

    def __init__(self, shown: Shown) -> None:
        super().__init__(shown)
        with gr.Accordion(t("compare.history"), open=False, elem_id="compare-history") as self.box:
            with gr.Row():
                self.model = _filter("model", t("compare.model"))
                self.dataset = _filter("dataset", t("compare.dataset"))
                self.source = _filter("source", t("history.source"))
            self.rows = piece(elem_id="compare-history-rows")
            self.pager = Pager(ROWS, "compare-history")

    def listen(self) -> None:
        filters = [self.model, self.dataset, self.source]
        page = [self.rows, *self.pager.outputs]
        on(self.box.expand, self._open, [*filters, self.pager.start], [*filters, *page])
        for menu in filters:
            on(menu.input, self._page, filters, page)
        self.pager.listen(self._page, filters, page)

    def _open(
        self, model: str | None, dataset: str | None, source: str | None, start: float
    ) -> dict[Any, Any]:
        everything = history(self.workspace)
        found = self.page(filtered(everything, model, dataset, source), int(start))
        return found | self.menus(everything, model, dataset, source)

    def _page(
        self, model: str | None, dataset: str | None, source: str | None, start: int = 0
    ) -> dict[Any, Any]:
        return self.page(filtered(history(self.workspace), model, dataset, source), start)

    def page(self, found: list[Measurement], start: int) -> dict[Any, Any]:
        """A page of these rows, with its buttons."""
        start = last_start(start, ROWS, len(found))
        return {
            self.rows: history_html(found[start : start + ROWS], start, len(found)),
            **self.pager.at(start, start + ROWS < len(found)),
        }

    def menus(
        self,
        everything: list[Measurement],
        model: str | None,
        dataset: str | None,
        source: str | None,
    ) -> dict[Any, Any]:
        """The models, data sets and ways of measuring that there are numbers of."""
        models = sorted({one.model for one in everything})
        data = sorted({data_words(one) for one in everything})
        sources = {one.source for one in everything}
        return {
            self.model: _menu([(name, name) for name in models], model),
            self.dataset: _menu([(name, name) for name in data], dataset),
            self.source: _menu(
                [(source_words(one), one) for one in SOURCES if one in sources], source
            ),
        }


class RecipesSection(Section):
    """What the recipes of two runs differ in."""

    def __init__(self, shown: Shown) -> None:
        super().__init__(shown)
        with gr.Accordion(t("compare.diff"), open=False, elem_id="compare-diff") as self.box:
            with gr.Row():
                self.first = open_menu(label=t("compare.diff_first"), elem_id="compare-diff-first")
                self.second = open_menu(
                    label=t("compare.diff_second"), elem_id="compare-diff-second"
                )
            self.differences = piece(elem_id="compare-diff-table")

    def listen(self) -> None:
        pair = [self.first, self.second]
        on(self.box.expand, self._offer, pair, pair)
        for menu in pair:
            on(menu.input, self._compare, pair, self.differences)

    def _offer(self, first: str | None, second: str | None) -> dict[Any, Any]:
        jobs = self.workspace.jobs.list()[:RUNS]
        choices = [(_run_words(job), job.id) for job in jobs]
        return {self.first: update(choices, first), self.second: update(choices, second)}

    def _compare(self, first: str | None, second: str | None) -> str:
        return diff_html(find(self.services, first), find(self.services, second))


def _filter(name: str, label: str) -> gr.Dropdown:
    return open_menu(label=label, elem_id=f"compare-history-{name}", min_width=180)


def _menu(choices: list[tuple[str, str]], chosen: str | None) -> dict[str, Any]:
    return update([(t("compare.history_all"), ""), *choices], chosen or "")


def filtered(
    everything: list[Measurement], model: str | None, dataset: str | None, source: str | None
) -> list[Measurement]:
    return [
        one
        for one in everything
        if one.is_of(model or None, None, source or None)
        and (not dataset or dataset == data_words(one))
    ]


# -- what is shown ---------------------------------------------------------------------------

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
    place = place_html(start, len(found), all)
    return join([quiet.format(t("compare.history_help")), drawn, place])


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
    settings = ", ".join(f"{name}={value_text(value)}" for name, value in one.settings.items())
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
        Markup("{} {:.3f}").format(metric_label(name), value) for name, value in metrics.items()
    )


def diff_html(first: Job | None, second: Job | None) -> Markup:
    """The fields that differ; nothing until both runs are chosen."""
    if first is None or second is None:
        return EMPTY
    one, other = {"task": first.task, **first.recipe}, {"task": second.task, **second.recipe}
    found = recipe_differences(one, other)
    if not found:
        return Markup('<p class="rw-quiet">{}</p>').format(t("compare.diff_none"))
    rows = [[each.field, value_text(each.first), value_text(each.second)] for each in found]
    heads = [t("compare.diff_field"), first.name, second.name]
    return table(heads, rows, caption=t("compare.diff"))


def _run_words(job: Job) -> str:
    return t(
        "compare.diff_one",
        name=job.name,
        task=task_name(job.task),
        when=ago(job.created_at),
    )
