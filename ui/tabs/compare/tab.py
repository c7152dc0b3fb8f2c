"""Compare models on the same queries: the table, what the differences are worth, and a chart.

An evaluation is a job and its result is kept: choosing an earlier one shows it, nothing is
measured again unless the button is pressed.
"""

from collections.abc import Collection, Sequence
from itertools import islice
from typing import Any, TypeVar

import gradio as gr
from markupsafe import Markup

from ui.kit import form
from ui.kit.choices import dataset_names, menu, model_names, models_menu, open_menu, splits, update
from ui.kit.events import QUICK, on, on_busy
from ui.kit.job_slot import JobSlot, card_html, find, succeeded
from ui.kit.live import on_look, pulse
from ui.kit.markup import EMPTY, empty, heading, join, piece
from ui.kit.results import chart, results_html
from ui.services import Services
from ui.tabs.compare.curve import CurveSection, ForgettingSection
from ui.tabs.compare.dimensions import DimensionsSection
from ui.tabs.compare.explorer import ExplorerSection
from ui.tabs.compare.history import HistorySection, RecipesSection
from ui.tabs.compare.matrix import MatrixSection
from ui.tabs.compare.published import PublishedSection
from ui.tabs.compare.section import (
    LISTED,
    CopyButton,
    Section,
    Shown,
    downloads_html,
    second_stages,
)
from ui.tabs.compare.slices import SlicesSection
from ui.words import t
from ui.words.amounts import ago
from workbench.comparison.table import EVALUATION_MODES, to_csv, to_markdown
from workbench.comparison.text import tables
from workbench.evaluation.named import BM25
from workbench.evaluation.same_length import offers
from workbench.recipes.evaluate import EvaluateRecipe
from workbench.records import Job

T = TypeVar("T")
#: What is drawn below the comparison's table, in this order. One more is a class and its name here.
SECTIONS: tuple[type[Section], ...] = (
    ExplorerSection,
    DimensionsSection,
    SlicesSection,
    MatrixSection,
    PublishedSection,
    ForgettingSection,
    CurveSection,
    HistorySection,
    RecipesSection,
)
#: What the tab draws itself; the recipe's other fields are folded away below.
DRAWN = (
    "dataset",
    "split",
    "models",
    "rerankers",
    "second_dataset",
    "dimensions",
    "evaluation_mode",
    # The button of a row.
    "bases_at_length_of",
)
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


class CompareTab:
    """What to compare, and one comparison with everything that is known of it."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.workspace = services.workspace
        with gr.Tab(t("tab.compare"), id="compare") as self.tab:
            self.beat = pulse(services)
            #: {"job": id of the evaluate job shown, "dataset": the data set chosen, "models": to
            #: fill in, "taken": they were}
            self.chosen = gr.BrowserState({}, storage_key="workbench-compare", secret="workbench")
            self._draw_form()
            self._draw_result()
            shown = Shown(services, self.dataset, self.split, self.job.shown)
            self.sections = [section(shown) for section in SECTIONS]
        #: What shows one comparison.
        self.result = [
            *(*self.job.outputs, self.table, self.actions, self.plot, self.copy.text, self.csv),
            *(one for section in self.sections for one in section.outputs),
        ]
        self.inputs = [
            *(self.chosen, self.dataset, self.models, self.rerankers, self.second_dataset),
            *(self.job.shown, self.job.card),
        ]
        self.outputs = [
            *(self.dataset, self.models, self.rerankers, self.second_dataset, self.past),
            *(self.chosen, *self.result),
        ]

    def _draw_form(self) -> None:
        piece(heading(t("compare.title"), t("compare.about")))
        with gr.Row():
            self.dataset = open_menu(
                label=t("compare.dataset"), min_width=200, elem_id="compare-dataset"
            )
            self.split = gr.Radio(
                splits(),
                value="test",
                label=t("compare.split"),
                interactive=True,
                min_width=200,
                elem_id="compare-split",
            )
        self.models = open_menu(
            multiselect=True,
            max_choices=12,
            label=t("compare.models"),
            info=t("compare.models_help"),
            elem_id="compare-models",
        )
        self.rerankers = open_menu(
            multiselect=True,
            max_choices=6,
            label=t("compare.rerankers"),
            info=t("compare.rerankers_help"),
            elem_id="compare-rerankers",
        )
        self.evaluation_mode = gr.Dropdown(
            [(t(f"choice.evaluation_mode.{name}"), name) for name in ("auto", *EVALUATION_MODES)],
            value="auto",
            label=t("ways.label"),
            info=t("ways.label_help"),
            interactive=True,
            elem_id="compare-evaluation-mode",
        )
        with gr.Accordion(t("compare.beside"), open=False, elem_id="compare-beside"), gr.Row():
            self.second_dataset = open_menu(
                label=t("compare.second_dataset"),
                info=t("compare.second_dataset_help"),
                elem_id="compare-second-dataset",
            )
            self.dimensions = gr.Textbox(
                label=t("compare.dimensions"),
                info=t("compare.dimensions_help"),
                interactive=True,
                elem_id="compare-dimensions",
            )
        self.form = form.render(EvaluateRecipe, skip=DRAWN, prefix="compare")
        with gr.Row(elem_classes="rw-actions"):
            self.start = gr.Button(t("compare.start"), variant="primary", elem_id="compare-start")

    def _draw_result(self) -> None:
        self.past = open_menu(
            label=t("compare.past"), info=t("compare.past_help"), elem_id="compare-past"
        )
        self.job = JobSlot("compare-job")
        #: A row's button measures the row's base at its lengths.
        self.table = piece(elem_id="compare-table", picks=True)
        with gr.Row(visible=False, elem_classes="rw-actions") as self.actions:
            self.copy = CopyButton(t("compare.copy"), "compare-copy")
            self.save = gr.Button(t("compare.save"), size="sm", elem_id="compare-save")
        self.plot = gr.Plot(
            label=t("compare.chart"), visible=False, show_label=False, elem_id="compare-plot"
        )
        self.csv = gr.Textbox(visible=False, label=t("compare.save"))

    def section(self, kind: type[T]) -> T:
        """The section of that class."""
        return next(one for one in self.sections if isinstance(one, kind))

    def listen(self) -> None:
        chosen = [self.chosen, self.past, *self.result]
        on_busy(
            self.start,
            self._start,
            [
                *(self.dataset, self.split, self.models, self.rerankers, self.second_dataset),
                *(self.dimensions, self.evaluation_mode, *self.form.inputs),
            ],
            [*chosen, *self.form.inputs],
            says=t("compare.starting"),
            then=t("compare.start"),
        )
        self.job.listen(self.services, self._show, [self.dataset], chosen)
        on(self.dataset.input, self._show_newest, self.dataset, chosen)
        on(self.past.input, self._show, [self.past, self.dataset], chosen)
        # Queued, like a click: it may be refused.
        shown = [self.job.shown, self.dataset]
        on(self.table.select, self._add_base, shown, chosen, queue=True)
        on_look(
            self.beat,
            self._look,
            [
                *(self.chosen, self.job.card, self.dataset),
                *(one for section in self.sections for one in section.watched),
            ],
            [
                *(self.past, *self.result),
                *(one for section in self.sections for one in section.changes),
            ],
        )
        self.copy.listen()
        self.save.click(None, self.csv, None, js=SAVE_JS, **QUICK)
        for section in self.sections:
            section.listen()

    def _start(
        self,
        dataset: str | None,
        split: str,
        models: list[str] | None,
        rerankers: list[str] | None,
        second_dataset: str | None,
        dimensions: str | None,
        evaluation_mode: str | None,
        *raw: Any,
    ) -> dict[Any, Any]:
        values = {
            **self.form.values(raw),
            "dataset": dataset or "",
            "split": split,
            "models": models or [],
            "rerankers": rerankers or [],
            "second_dataset": second_dataset or "",
            "dimensions": dimensions or "",
            "evaluation_mode": evaluation_mode or "auto",
        }

        def act() -> dict[Any, Any]:
            job = self.workspace.jobs.submit(EvaluateRecipe.read(values))
            return self._show(job.id, dataset)

        return self.form.answer(act)

    def _add_base(self, id: str, dataset: str | None, event: gr.EventData) -> dict[Any, Any]:
        """The comparison shown once more, with the base of the row that was clicked at its lengths:
        what was encoded before is read again."""
        recipe = self.workspace.jobs.recipe(id)
        assert isinstance(recipe, EvaluateRecipe)  # the card shows no other job
        trained = [*recipe.bases_at_length_of, str(event.value)]
        again = recipe.model_copy(update={"bases_at_length_of": trained})
        return self._show(self.workspace.jobs.submit(again).id, dataset)

    def _show_newest(self, dataset: str | None) -> dict[Any, Any]:
        job = newest(self.services, dataset)
        return self._show(job.id if job else "", dataset)

    def _show(self, id: str | None, dataset: str | None) -> dict[Any, Any]:
        return {
            self.chosen: {"job": id or "", "dataset": dataset},
            self.past: past_menu(self.services, dataset, id),
            **self.view(find(self.services, id)),
        }

    def _look(
        self, state: dict[str, Any], card: str | None, dataset: str | None, *watched: Any
    ) -> Any:
        found: dict[Any, Any] = {}
        job = shown_job(self.services, state or {}, dataset)
        if card_html(job) != (card or ""):
            past = past_menu(self.services, dataset, job.id if job else None)
            found = {self.past: past, **self.view(job)}
        raw = iter(watched)
        for section in self.sections:
            found |= section.look(*islice(raw, len(section.watched)))
        return found or gr.skip()

    def refresh(
        self,
        state: dict[str, Any] | None,
        name: str | None,
        picked: list[str],
        second: list[str] | None,
        other: str | None,
        shown: str = "",
        card: str | None = None,
    ) -> dict[Any, Any]:
        """``shown``, ``card``: the id and the card of the comparison that is on the page."""
        state = state or {}
        job = shown_job(self.services, state, name)
        names = dataset_names(self.workspace)
        dataset = state.get("dataset") or name or (job.recipe["dataset"] if job else None)
        dataset = dataset if dataset in names else next(iter(names), None)
        known = model_names(self.workspace)
        handed = None if state.get("taken") and picked else state.get("models")
        models = handed or picked or (job.recipe["models"] if job else known[:2])
        if handed or not (picked or job):
            # The humble baseline is proposed with the rest; a person may take it out.
            models = list(dict.fromkeys([*models, BM25]))
        others = [(t("compare.second_dataset_none"), ""), *((one, one) for one in names)]
        found = {
            self.dataset: menu(names, dataset),
            self.models: models_menu([*known, BM25], models),
            self.rerankers: models_menu(second_stages(self.services), second),
            self.second_dataset: update(others, other if other in names else ""),
            self.past: past_menu(self.services, dataset, job.id if job else None),
            **self.view(job, job is not None and (shown, card) == (job.id, card_html(job))),
        }
        if state.get("models"):
            # What another tab handed over is filled in once; then others may be chosen.
            found[self.chosen] = {**state, "taken": True}
        return found

    def view(self, job: Job | None, stays: bool = False) -> dict[Any, Any]:
        """One comparison, in the table and in every section. ``stays``: it is on the page already,
        and what is chosen in the sections stays."""
        found = {**self.job.show(card_html(job), job), **self._view_table(job)}
        for section in self.sections:
            found |= section.view(succeeded(job), stays)
        return found

    def _view_table(self, job: Job | None) -> dict[Any, Any]:
        done = succeeded(job)
        if done is None:
            return {
                self.table: EMPTY if job else self._nothing(),
                self.actions: gr.Row(visible=False),
                self.plot: gr.Plot(value=None, visible=False),
                self.copy.text: "",
                self.csv: "",
            }
        result = done.result or {}
        found = tables(result)
        return {
            self.table: join([self._results(result), downloads_html(self.services, done)]),
            self.actions: gr.Row(visible=True),
            self.plot: gr.Plot(value=chart(found[0]), visible=True),
            self.copy.text: "\n".join(to_markdown(one) for one in found),
            # One table is a CSV file; where there are two, the first decides.
            self.csv: to_csv(found[0]),
        }

    def _results(self, result: dict[str, Any]) -> Markup:
        """The tables, with a button where a base could be measured at a row's lengths."""
        beside = {
            row: t("compare.same_length", name=name)
            for row, name in offers(self.workspace, result).items()
        }
        return results_html(result, beside)

    def _nothing(self) -> str:
        hint = "compare.empty_hint" if dataset_names(self.workspace) else "compare.no_data"
        return empty(t("compare.empty"), t(hint))


def shown_job(services: Services, state: dict[str, Any], dataset: str | None) -> Job | None:
    """The chosen comparison, or the newest one of the data set and models that are chosen."""
    chosen = state.get("dataset") or dataset
    return find(services, state.get("job")) or newest(services, chosen, state.get("models") or ())


def evaluations(services: Services, dataset: str | None) -> Sequence[Job]:
    """This data set's evaluate jobs (all, if none is named), newest first."""
    workspace = services.workspace
    if dataset is None:
        return workspace.jobs.list(task=EvaluateRecipe.task, limit=LISTED)
    return workspace.jobs.about(dataset, EvaluateRecipe.task)[:LISTED]


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
    second = job.recipe.get("rerankers", ())
    return t(
        "compare.past_one",
        models=", ".join([*job.recipe["models"], *(f"+ {one}" for one in second)]),
        split=t(f"split.{job.recipe['split']}"),
        status=t(f"status.{job.status.value}"),
        when=ago(job.created_at),
    )
