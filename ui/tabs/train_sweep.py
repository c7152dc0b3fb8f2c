"""A sweep: the shown run again with several values, and all of its runs in one table and chart."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr
from markupsafe import Markup

from ui.feedback import on
from ui.form import label
from ui.markup import EMPTY, badge, piece, table
from ui.plots_sweep import sweep_chart
from ui.services import Services
from ui.words import t
from workbench.comparison.names import label as metric_label
from workbench.recipes.describe import describe
from workbench.recipes.kinds import KINDS
from workbench.records import Job
from workbench.takeaway.sweeps import find_sweep, plan, recipe_of, results, start

if TYPE_CHECKING:
    from ui.tabs.train import Train

#: Fields that say what a run is, not how it trains.
_NOT_TRIED = ("name", "dataset", "dataset_version", "device", "metric")


@dataclass(frozen=True)
class SweepForm:
    """One or two fields with their values, and what came of the sweep."""

    field: gr.Dropdown
    values: gr.Textbox
    field_2: gr.Dropdown
    values_2: gr.Textbox
    start: gr.Button
    shown: gr.HTML
    chart: gr.HTML

    @property
    def result(self) -> list[Any]:
        return [self.shown, self.chart]


def render(services: Services) -> SweepForm:
    choices = [(label(name), name) for name in _fields()]
    with gr.Accordion(t("sweep.title"), open=False, elem_id="train-sweep"):
        gr.Markdown(t("sweep.about"), elem_classes="rw-quiet")
        first, values = _line(choices, "learning_rate", "sweep-1")
        second, more = _line([(t("sweep.none"), ""), *choices], "", "sweep-2")
        begin = gr.Button(t("sweep.start"), size="sm", elem_id="sweep-start")
    # Outside: a chart that is drawn inside something folded has no width.
    shown = piece(elem_id="sweep-table")
    chart = sweep_chart(services, elem_id="sweep-chart")
    return SweepForm(first, values, second, more, begin, shown, chart)


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


def listen(services: Services, train: "Train", show: Any) -> None:
    """``show(id)`` gives what the tab shows of a run by its id."""
    form, workspace = train.sweep, services.workspace

    def begin(id: str, *raw: str) -> list[Any]:
        pairs = zip(raw[::2], raw[1::2], strict=True)
        settings = [f"{field}={values}" for field, values in pairs if field and values.strip()]
        first = recipe_of(workspace, id, free_name=False)
        started = start(workspace, plan(workspace, first, settings))
        return [*show(started.jobs[0]), *view(services, started.jobs[0])]

    raw = [form.field, form.values, form.field_2, form.values_2]
    outputs = [train.chosen, train.run, *train.shown, *form.result]
    on(form.start.click, begin, [train.job.shown, *raw], outputs)


def changed(services: Services, form: SweepForm, job: Job | None, html: str) -> dict[Any, Any]:
    """What a look after the shown run's sweep changes; ``html`` is what stands in ``shown``."""
    found = view(services, job.id if job else "")
    return {} if str(found[0]) == html else dict(zip(form.result, found, strict=True))


def view(services: Services, id: str) -> list[Any]:
    """Updates for the table and the chart of the sweep that a run belongs to."""
    workspace = services.workspace
    started = find_sweep(workspace, id) if id else None
    if started is None:
        return [EMPTY, ""]
    # The chart is the same for all runs of the sweep, so that choosing another one keeps it.
    return [str(table_html(results(workspace, started))), started.jobs[0]]


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
