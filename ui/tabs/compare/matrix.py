"""The pipeline matrix: retrievers x rerankers x top k, as one table and one chart."""

from collections.abc import Mapping
from typing import Any

import gradio as gr
import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup

from ui.kit import form
from ui.kit.charts import COLOURS, dress, plain
from ui.kit.choices import model_names, models_menu, open_menu, update
from ui.kit.events import on, on_busy
from ui.kit.job_slot import JobSlot, card_html, find, succeeded
from ui.kit.markup import EMPTY, empty, heading, join, piece, quiet_lines, table
from ui.services import Services
from ui.tabs.compare.explorer import Explorer
from ui.tabs.compare.section import (
    LISTED,
    CopyButton,
    Section,
    Shown,
    downloads_html,
    second_stages,
)
from ui.words import t
from ui.words.amounts import ago, count
from ui.words.sentences import metric_label
from workbench.comparison.matrix import (
    MEASURED,
    PUBLISHED,
    best_at,
    notes,
    pipeline_name,
    pipeline_rows,
    to_markdown,
    to_published,
    value_at,
)
from workbench.evaluation.named import BM25
from workbench.model_kinds import first_stages
from workbench.recipes.evaluate import MatrixRecipe
from workbench.records import Job

#: Instead of a top k: the table as rerankers are published.
AS_PUBLISHED = 0
_KNOWN = ("dataset", "split", "dataset_version")
#: Of the chart's lines, one a reranker.
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


class MatrixSection(Section):
    """Matrices of the data set that is chosen, whatever comparison is shown."""

    def __init__(self, shown: Shown) -> None:
        super().__init__(shown)
        with gr.Accordion(t("matrix.title"), open=False, elem_id="compare-matrix") as self.box:
            piece(Markup('<p class="rw-quiet">{}</p>').format(t("matrix.about")))
            self.form = form.render(MatrixRecipe, skip=_KNOWN, prefix="matrix")
            self.start = gr.Button(t("matrix.start"), elem_id="matrix-start", elem_classes="rw-fit")
            self.past = open_menu(
                label=t("matrix.past"),
                info=t("matrix.past_help"),
                elem_id="matrix-past",
                visible=False,
            )
            self.job = JobSlot("matrix-job")
            self._draw_result()
            self.explorer = Explorer(self.services, "matrix-explore", "matrix-explorer")
        self.retrievers = self.form.components["retrievers"]
        self.rerankers = self.form.components["rerankers"]
        #: What shows one matrix.
        self.result = [
            *(*self.job.outputs, self.choose, self.at, self.table, self.takeaway, self.actions),
            *(self.plot, self.copy.text, self.metric, *self.explorer.outputs),
        ]
        self.watched = [self.job.shown, self.job.card]
        self.changes = [self.past, *self.result]

    def _draw_result(self) -> None:
        with gr.Row(visible=False, equal_height=False) as self.choose:
            self.at = gr.Dropdown(
                [], label=t("matrix.show"), interactive=True, elem_id="matrix-at", min_width=180
            )
            self.metric = gr.Dropdown(
                [(metric_label(name), name) for name in MEASURED],
                value=MEASURED[0],
                label=t("matrix.chart_metric"),
                interactive=True,
                min_width=180,
                elem_id="matrix-metric",
            )
        self.table = piece(elem_id="matrix-table")
        self.takeaway = piece(elem_id="matrix-takeaway")
        with gr.Row(visible=False, elem_classes="rw-actions") as self.actions:
            self.copy = CopyButton(t("matrix.copy"), "matrix-copy")
        self.plot = gr.Plot(
            label=t("matrix.title"), visible=False, show_label=False, elem_id="matrix-plot"
        )

    def listen(self) -> None:
        menus = [self.retrievers, self.rerankers]
        inputs = [self.shown.dataset, *menus, *self.watched]
        for listener in (self.box.expand, self.shown.dataset.input):
            on(listener, self._fill, inputs, [*menus, *self.changes])
        on_busy(
            self.start,
            self._start,
            [self.shown.dataset, self.shown.split, *self.form.inputs],
            [*self.changes, *self.form.inputs],
            says=t("matrix.starting"),
            then=t("matrix.start"),
        )
        self.job.listen(self.services, self._show, [], self.result)
        on(self.past.input, self._show, self.past, self.result)
        on(self.at.input, self._pick, [self.job.shown, self.at], [self.table, self.copy.text])
        on(self.metric.input, self._draw_chart, [self.job.shown, self.metric], self.plot)
        self.copy.listen()
        self.explorer.listen(self.job.shown)

    def _fill(
        self,
        dataset: str | None,
        first: list[str],
        second: list[str],
        shown: str | None,
        card: str | None,
    ) -> dict[Any, Any]:
        found = chosen(self.services, dataset, shown)
        # Unfolded again: what is chosen in it stays.
        same = found is not None and (found.id, str(card_html(found))) == (shown, card)
        return {
            **self.menus(first, second),
            self.past: past_menu(self.services, dataset, found.id if found else None),
            **({} if same else self.show(found)),
        }

    def menus(self, first: list[str], second: list[str]) -> dict[Any, Any]:
        """BM25 is always offered, and chosen at first."""
        kinds = {model.name: model.kind for model in self.workspace.models.list()}
        names = [
            name
            for name in model_names(self.workspace)
            if kinds.get(name, "") in first_stages() or name not in kinds
        ]
        return {
            self.retrievers: models_menu([BM25, *names], first or [BM25, *names[:2]]),
            self.rerankers: models_menu(second_stages(self.services), second),
        }

    def _start(self, dataset: str | None, split: str, *raw: Any) -> dict[Any, Any]:
        values = {**self.form.values(raw), "dataset": dataset or "", "split": split}

        def act() -> dict[Any, Any]:
            job = self.workspace.jobs.submit(MatrixRecipe.read(values))
            return {self.past: past_menu(self.services, dataset, job.id), **self.show(job)}

        return self.form.answer(act)

    def _show(self, id: str | None) -> dict[Any, Any]:
        return self.show(find(self.services, id))

    def show(self, job: Job | None) -> dict[Any, Any]:
        """One matrix: the job while it runs, then the table and the chart."""
        done = succeeded(job)
        found = {
            **self.job.show(card_html(job), job),
            **self._show_result(done),
            self.metric: MEASURED[0],
            **self.explorer.show(done),
        }
        if job is None:
            found[self.table] = empty(t("matrix.empty"), t("matrix.empty_hint"))
        return found

    def _show_result(self, job: Job | None) -> dict[Any, Any]:
        if job is None:
            return {
                self.choose: gr.Row(visible=False),
                self.table: EMPTY,
                self.takeaway: EMPTY,
                self.actions: gr.Row(visible=False),
                self.plot: gr.Plot(value=None, visible=False),
                self.copy.text: "",
            }
        result = job.result or {}
        deepest = max(result["top_k"])
        choices: list[Any] = [(t("matrix.at", k=k), k) for k in result["top_k"]]
        choices.append((t("matrix.published", k=deepest), AS_PUBLISHED))
        return {
            self.choose: gr.Row(visible=True),
            self.at: update(choices, deepest),
            self.table: table_html(result, deepest),
            self.takeaway: downloads_html(self.services, job),
            self.actions: gr.Row(visible=True),
            self.plot: gr.Plot(value=matrix_chart(result, MEASURED[0]), visible=True),
            self.copy.text: markdown_at(result, deepest),
        }

    def _measured(self, id: str | None) -> Mapping[str, Any] | None:
        job = succeeded(find(self.services, id))
        return job.result if job else None

    def _pick(self, id: str, k: int) -> dict[Any, Any]:
        found = self._measured(id)
        return {
            self.table: table_html(found, k) if found else EMPTY,
            self.copy.text: markdown_at(found, k) if found else "",
        }

    def _draw_chart(self, id: str, metric: str) -> Any:
        found = self._measured(id)
        return matrix_chart(found, metric) if found else None

    def look(self, id: str | None, card: str | None) -> dict[Any, Any]:
        job = find(self.services, id)
        if job is None or card_html(job) == (card or ""):
            return {}
        past = past_menu(self.services, str(job.recipe["dataset"]), job.id)
        return {self.past: past, **self.show(job)}


def matrices(services: Services, dataset: str | None) -> list[Job]:
    """The data set's matrices, newest first."""
    return services.workspace.jobs.about(dataset or "", MatrixRecipe.task)[:LISTED]


def chosen(services: Services, dataset: str | None, shown: str | None) -> Job | None:
    """The matrix that is shown, if it is about the data set; else its newest: one under way, or
    the last that was measured."""
    found = matrices(services, dataset)
    return next((job for job in found if job.id == shown), next(iter(found), None))


def past_menu(services: Services, dataset: str | None, shown: str | None) -> dict[str, Any]:
    """An update of the menu of earlier matrices."""
    choices = [(_past_words(job), job.id) for job in matrices(services, dataset)]
    return update(choices, shown, visible=bool(choices))


def _past_words(job: Job) -> str:
    second = ", ".join(job.recipe.get("rerankers") or ())
    places = {
        "retrievers": ", ".join(job.recipe["retrievers"]),
        "split": t(f"split.{job.recipe['split']}"),
        "status": t(f"status.{job.status.value}"),
        "when": ago(job.created_at),
    }
    if second:
        return t("matrix.past_one", rerankers=second, **places)
    return t("matrix.past_alone", **places)


# -- what is shown ---------------------------------------------------------------------------


def markdown_at(result: Mapping[str, Any], k: int) -> str:
    return to_published(result) if int(k) == AS_PUBLISHED else to_markdown(result, int(k))


def table_html(result: Mapping[str, Any], k: int) -> Markup:
    """One top k, or all as published."""
    about = t(
        "matrix.measured",
        queries=count(result["queries"]),
        split=t(f"split.{result['split']}"),
        documents=count(result["documents"]),
        candidates=count(result["candidates"]),
    )
    drawn = _published(result) if int(k) == AS_PUBLISHED else _at(result, int(k))
    return join([heading(str(result["dataset"]), about), drawn, quiet_lines(notes(result))])


def _at(result: Mapping[str, Any], k: int) -> Markup:
    heads = [t("matrix.retriever"), t("matrix.reranker")]
    heads += [metric_label(f"{metric}@{k}") for metric in MEASURED] + [t("matrix.took")]
    rows = []
    for row in result["rows"]:
        values = (_value(value_at(row, name, k), best_at(result, name, k)) for name in MEASURED)
        rows.append([*_names(row), *values, _took(row["milliseconds"])])
    numeric = range(2, len(heads))
    return table(heads, rows, caption=t("matrix.caption"), numeric=numeric, stacked=True)


def _published(result: Mapping[str, Any]) -> Markup:
    tops = [f"top_{k}" for k in result["top_k"]]
    heads = [t("matrix.retriever"), t("matrix.reranker"), t("matrix.metric"), *tops]
    rows = [
        [*_names(row), name, *(f"{value_at(row, name, k):.4f}" for k in result["top_k"])]
        for row in pipeline_rows(result)
        for name in PUBLISHED
    ]
    return table(heads, rows, caption=t("matrix.caption"), numeric=range(3, len(heads)))


def _names(row: Mapping[str, Any]) -> list[str]:
    return [str(row["retriever"]), str(row["reranker"] or t("matrix.none"))]


def _value(value: float, best: float) -> Markup:
    shape = "<strong>{}</strong>" if round(value, 3) == best else "{}"
    return Markup(shape).format(f"{value:.3f}")


def _took(milliseconds: Mapping[str, float]) -> Markup:
    words = {
        "encode": t("matrix.encode", ms=_ms(milliseconds.get("encode", 0.0))),
        "search": t("matrix.search", ms=_ms(milliseconds.get("search", 0.0))),
        "rerank": t("matrix.rerank", ms=_ms(milliseconds.get("rerank", 0.0))),
    }
    parts = [text for stage, text in words.items() if stage in milliseconds]
    whole = _ms(milliseconds["total"])
    if len(parts) < 2:
        return Markup("{}").format(whole)
    quiet = Markup('{}<br><span class="rw-quiet rw-small">{}</span>')
    return quiet.format(whole, Markup("<br>").join(parts))


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.1f}" if milliseconds < 100 else f"{milliseconds:,.0f}"


def matrix_chart(result: Mapping[str, Any], metric: str) -> go.Figure:
    """A line per pipeline: a metric by top k. A colour per retriever, a dash per reranker."""
    figure = go.Figure()
    retrievers = list(dict.fromkeys(row["retriever"] for row in result["rows"]))
    rerankers = list(dict.fromkeys(row["reranker"] for row in result["rows"]))
    for row in result["rows"]:
        name = plain(pipeline_name(row))
        figure.add_scatter(
            x=np.asarray(result["top_k"], dtype=np.int32),
            y=np.asarray([value_at(row, metric, k) for k in result["top_k"]], dtype=np.float32),
            name=name,
            mode="lines+markers",
            line={
                "color": COLOURS[retrievers.index(row["retriever"]) % len(COLOURS)],
                "dash": _DASHES[rerankers.index(row["reranker"]) % len(_DASHES)],
            },
            hovertemplate="top %{x}: %{y:.3f}<extra>" + name + "</extra>",
        )
    dress(figure, t("matrix.chart_title", metric=metric_label(metric)))
    figure.update_layout(height=380, showlegend=True, legend={"y": -0.24})
    figure.update_xaxes(title={"text": t("matrix.chart_k"), "standoff": 8}, tickformat="d", dtick=1)
    return figure
