"""A sweep: the shown run again with several values, and all of its runs in one table and chart."""

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.charts import COLOURS
from ui.kit.events import on
from ui.kit.form import label
from ui.kit.live import scripts, settings
from ui.kit.markup import EMPTY, badge, piece, table
from ui.routes.assets import asset_url
from ui.services import Services
from ui.words import section, t
from ui.words.sentences import metric_label
from workbench.recipes.describe import describe
from workbench.recipes.train import KINDS
from workbench.records import Job
from workbench.takeaway.sweeps import find_sweep, plan, recipe_of, results, start, swept


def sweep_chart(services: Services, elem_id: str, job: str = "") -> gr.HTML:
    """Each run's dev metric by step, growing; the baseline dashed. Its value is the id of the
    sweep's first run, '' shows nothing. It polls a route of ours and extends itself
    (``static/sweep.js``); Gradio redraws nothing."""
    words = {
        **{name: section("live")[name] for name in ("gone", "signed_out", "offline")},
        "title": t("sweep.chart", metric="{metric}"),
        "step": t("sweep.step"),
        "baseline": t("sweep.baseline"),
        "baseline_of": t("sweep.baseline_of", run="{run}"),
        "waiting": t("sweep.waiting"),
    }
    config: dict[str, object] = {
        "base": services.root_path,
        "plotly": asset_url(services, "plotly.min.js"),
        "colours": COLOURS[1:],
        "words": words,
    }
    return gr.HTML(
        value=job,
        html_template=settings(config),
        js_on_load="window.Workbench.sweepChart(element, props, watch)",
        head=scripts(services, "common.js", "panel.js", "live.js", "sweep.js"),
        elem_id=elem_id,
        apply_default_css=False,
    )


#: Fields that say what a run is, not how it trains.
_NOT_TRIED = ("name", "dataset", "dataset_version", "device", "metric")


class Sweep:
    """One or two fields with their values, and what came of the sweep of the run that is shown."""

    def __init__(self, services: Services) -> None:
        self.services = services
        choices = [(label(name), name) for name in _fields()]
        with gr.Accordion(t("sweep.title"), open=False, elem_id="train-sweep"):
            gr.Markdown(t("sweep.about"), elem_classes="rw-quiet")
            first = _line(choices, "learning_rate", "sweep-1")
            second = _line([(t("sweep.none"), ""), *choices], "", "sweep-2")
            self.start = gr.Button(t("sweep.start"), size="sm", elem_id="sweep-start")
        #: Each field and its values.
        self.inputs = [*first, *second]
        # Outside: a chart that is drawn inside something folded has no width.
        self.table = piece(elem_id="sweep-table")
        self.chart = sweep_chart(services, elem_id="sweep-chart")
        self.outputs = [self.table, self.chart]

    def listen(
        self, run: gr.Textbox, show: Callable[[str], dict[Any, Any]], outputs: Sequence[Any]
    ) -> None:
        """``run`` holds the id of the run that is shown; ``show(id)`` gives updates for
        ``outputs``, that show another."""
        workspace = self.services.workspace

        def begin(id: str, *raw: str) -> dict[Any, Any]:
            pairs = zip(raw[::2], raw[1::2], strict=True)
            settings = [f"{field}={values}" for field, values in pairs if field and values.strip()]
            first = recipe_of(workspace, id, free_name=False, given=swept(settings))
            started = start(workspace, plan(workspace, first, settings))
            return {**show(started.jobs[0]), **self.view(started.jobs[0])}

        on(self.start.click, begin, [run, *self.inputs], [*outputs, *self.outputs])

    def changed(self, job: Job | None, html: str) -> dict[Any, Any]:
        """What a look after the shown run's sweep changes; ``html`` is what stands in ``table``."""
        found = self.view(job.id if job else "")
        return {} if str(found[self.table]) == html else found

    def view(self, id: str) -> dict[Any, Any]:
        """The table and the chart of the sweep that a run belongs to."""
        workspace = self.services.workspace
        started = find_sweep(workspace, id) if id else None
        if started is None:
            return {self.table: EMPTY, self.chart: ""}
        # The chart is the same for all runs of the sweep: choosing another one keeps it.
        html = str(table_html(results(workspace, started)))
        return {self.table: html, self.chart: started.jobs[0]}


def _line(choices: list[tuple[str, str]], first: str, id: str) -> tuple[gr.Dropdown, gr.Textbox]:
    with gr.Row(equal_height=False):
        field = gr.Dropdown(
            choices,
            value=first,
            label=t("sweep.field"),
            interactive=True,
            min_width=180,
            elem_id=f"{id}-field",
        )
        values = gr.Textbox(
            label=t("sweep.values"),
            placeholder="1e-5, 5e-5, 1e-4" if first else "",
            max_lines=1,
            interactive=True,
            min_width=180,
            elem_id=f"{id}-values",
        )
    return field, values


def _fields() -> list[str]:
    """The fields of all kinds, each once; the run's own recipe refuses what it does not have."""
    names = [spec.name for recipe in KINDS.values() for spec in describe(recipe)]
    return [name for name in dict.fromkeys(names) if name not in _NOT_TRIED]


def table_html(found: dict[str, Any]) -> Markup:
    """A line per run: its values, the baseline, its best, and how it stands."""
    fields = found["fields"]
    metric = metric_label(found["runs"][0]["metric"])
    heads = [*map(label, fields), t("sweep.baseline"), t("sweep.best", metric=metric)]
    heads.append(t("sweep.status"))
    lines = []
    for run in found["runs"]:
        best = Markup("{}").format(_number(run["best"]))
        if run["job"] == found["best"]:
            best += Markup(" ") + Markup(badge(t("sweep.highest"), "good"))
        status = t(f"status.{run['status']}")
        values = [run["values"][field] for field in fields]
        lines.append([*values, _number(run["baseline"]), best, status])
    numeric = [len(fields), len(fields) + 1]
    return table(heads, lines, caption=t("sweep.title"), numeric=numeric)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
