"""Weights combined: models between a fine-tuned one and its base, measured and kept, and an adapter
merged into its base.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr
import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup

from ui.kit import form
from ui.kit.charts import COLOURS, dress, plain
from ui.kit.choices import dataset_names, model_names, update
from ui.kit.events import on, on_busy
from ui.kit.markup import EMPTY, facts, piece, quiet_lines
from ui.services import Services
from ui.tabs.models.details import find
from ui.words import t
from ui.words.sentences import metric_label
from workbench.comparison.table import blended
from workbench.models.resolve import is_adapter
from workbench.recipes.base import Recipe
from workbench.recipes.merge import BlendRecipe, MergeRecipe
from workbench.records import Job, JobStatus, Model

# What is measured between a base and its fine-tuned model, in one chart that is drawn once.


def blend_chart(result: Mapping[str, Any]) -> go.Figure:
    """A line per data set: the metric against the ratio, from a blend job's result."""
    metric, tuned = str(result["metric"]), plain(str(result["tuned"]))
    figure = go.Figure()
    names = list(dict.fromkeys(row["dataset"] for row in result["rows"]))
    for at, name in enumerate(names):
        rows = [row for row in result["rows"] if row["dataset"] == name]
        line = t("blend.line", dataset=plain(str(name)), split=rows[0]["split"])
        figure.add_scatter(
            x=np.asarray([row["ratio"] for row in rows], dtype=np.float32),
            y=np.asarray([row[metric] for row in rows], dtype=np.float32),
            name=line,
            mode="lines+markers",
            # The data set that was trained on has the accent.
            line={"color": COLOURS[(at + 1) % len(COLOURS)]},
            hovertemplate="%{x}: %{y:.3f}<extra>" + line + "</extra>",
        )
    dress(figure, t("blend.title", base=plain(str(result["base"])), tuned=tuned))
    figure.update_layout(height=340, showlegend=True)
    figure.update_xaxes(title={"text": t("blend.ratio", tuned=tuned), "standoff": 12})
    figure.update_yaxes(title={"text": metric_label(metric)})
    return figure


#: How many blends are looked through for one with the model.
RECENT = 50


class Blend:
    """The button that opens the form, the form; the chart, and what keeps one of its points."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.open = gr.Button(
            t("blend.open"), size="sm", visible=False, elem_id="blend-open", elem_classes="rw-fit"
        )
        with gr.Column(visible=False, elem_id="blend-box") as self.box:
            piece(Markup('<p class="rw-quiet">{}</p>').format(t("blend.about")))
            self.form = form.render(BlendRecipe, skip=("model", "keep", "name"), prefix="blend")
            with gr.Row(elem_classes="rw-actions"):
                self.start = gr.Button(t("blend.start"), variant="primary", elem_id="blend-start")
                self.close = gr.Button(t("blend.close"))
        self.plot = gr.Plot(show_label=False, visible=False, elem_id="model-blend")
        #: How the points were measured.
        self.said = piece(elem_id="blend-said")
        #: The id of the blend whose curve is shown.
        self.curve = gr.Textbox("", visible=False, label=t("blend.open"))
        with gr.Column(visible=False, elem_id="blend-kept") as self.kept:
            self._draw_point()
            self.keep = gr.Button(t("blend.keep"), elem_id="blend-keep", elem_classes="rw-fit")
        self.outputs = [self.open, self.plot, self.kept, self.point, self.said, self.curve]

    def _draw_point(self) -> None:
        with gr.Row(equal_height=False):
            self.point = gr.Dropdown(
                [],
                label=t("blend.point"),
                info=t("blend.point_help"),
                allow_custom_value=True,
                interactive=True,
                min_width=220,
                elem_id="blend-point",
            )
            self.name = gr.Textbox(
                label=t("models.name"),
                info=t("blend.name_help"),
                max_lines=1,
                interactive=True,
                min_width=220,
                elem_id="blend-name",
            )

    def listen(
        self, chosen: Any, show: Callable[[str], dict[Any, Any]], outputs: Sequence[Any]
    ) -> None:
        """``chosen`` holds the shown model's name; ``show(name)`` gives updates for ``outputs``."""
        jobs = self.services.workspace.jobs

        def start(picked: str, *raw: Any) -> dict[Any, Any]:
            def act() -> dict[Any, Any]:
                jobs.submit(BlendRecipe.read({**self.form.values(raw), "model": picked}))
                return self.closed() | show(picked)

            return self.form.answer(act)

        def keep(picked: str, curve: str, point: Any, name: str) -> dict[Any, Any]:
            jobs.submit(BlendRecipe.read(keeping(jobs.recipe(curve), point, name)))
            return {self.name: "", **show(picked)}

        fields = self.form.inputs
        on(self.open.click, self._open, chosen, [self.box, *fields])
        on(self.close.click, self.closed, None, self.box)
        on(self.start.click, start, [chosen, *fields], [self.box, *outputs, *fields])
        given = [chosen, self.curve, self.point, self.name]
        on(self.keep.click, keep, given, [self.name, *outputs])

    def _open(self, picked: str) -> dict[Any, Any]:
        return {self.box: gr.Column(visible=True), **self.first_values(picked)}

    def closed(self) -> dict[Any, Any]:
        """The form is folded away."""
        return {self.box: gr.Column(visible=False)}

    def first_values(self, picked: str) -> dict[Any, Any]:
        """Of the menus: the model's base and data set, and another data set."""
        workspace = self.services.workspace
        model = find(self.services, picked)
        base = str(model.summary.get("base") or model.base or "") if model else ""
        trained = str(model.summary.get("dataset") or "") if model else ""
        sets = dataset_names(workspace)
        first = trained if trained in sets else next(iter(sets), None)
        models = [name for name in model_names(workspace) if name != picked]
        menus = {
            "base": (models, base or None),
            "dataset": (sets, first),
            "second_dataset": (sets, next((one for one in sets if one != first), first)),
        }
        return {
            self.form.components[name]: update([(one, one) for one in choices], value)
            for name, (choices, value) in menus.items()
        }

    def view(self, model: Model | None, curve: str = "") -> dict[Any, Any]:
        """What a chosen model changes; the chart is hidden where no blend has the model in it.
        ``curve``: that of the page; where it is the one to be shown, the chosen point stays."""
        may = model is not None and may_blend(self.services, model)
        button = {self.open: gr.Button(visible=may)}
        found = newest(self.services, model.name) if model else None
        if found is None:
            hidden = {
                self.plot: gr.Plot(value=None, visible=False),
                self.kept: gr.Column(visible=False),
            }
            return {**button, **hidden, self.said: EMPTY, self.curve: ""}
        if found.id == curve:
            return button
        result = found.result or {}
        return {
            **button,
            self.plot: gr.Plot(value=blend_chart(result), visible=True),
            self.kept: gr.Column(visible=True),
            self.point: update(points(result), best_point(result)),
            self.said: quiet_lines(blended(result)),
            self.curve: found.id,
        }


def keeping(recipe: Recipe, point: Any, name: str) -> dict[str, Any]:
    """The recipe of a job that keeps a point of a blend: it is measured once more, and saved."""
    return {
        **recipe.model_dump(mode="json"),
        "ratios": str(point),
        "keep": str(point),
        "name": name.strip(),
    }


def may_blend(services: Services, model: Model) -> bool:
    """Whether the model has weights of its own and was made from another one."""
    if not model.base and not model.summary.get("base"):
        return False
    return not is_adapter(services.workspace.models.folder(model.id))


def points(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The measured points, each with its values."""
    metric = str(result["metric"])
    return [
        (
            t(
                "blend.point_one",
                ratio=f"{ratio:g}",
                values=", ".join(
                    f"{row[metric]:.3f}" for row in result["rows"] if row["ratio"] == ratio
                ),
                metric=metric_label(metric),
            ),
            f"{ratio:g}",
        )
        for ratio in dict.fromkeys(row["ratio"] for row in result["rows"])
    ]


def best_point(result: Mapping[str, Any]) -> str | None:
    """The point that is best over all data sets alike; of equals the one most between the two.
    None by test queries, which blends of before were measured by: nothing is chosen by these."""
    metric = str(result["metric"])
    if any(row.get("split") == "test" for row in result["rows"]):
        return None
    sums: dict[float, float] = {}
    for row in result["rows"]:
        sums[row["ratio"]] = sums.get(row["ratio"], 0.0) + row[metric]
    return f"{max(sums, key=lambda ratio: (sums[ratio], -abs(ratio - 0.5))):g}"


def newest(services: Services, name: str) -> Job | None:
    """The last blend of the model, with it as its base, or that it was kept from.

    A job that only kept a point measured that one: the blend it came from is the curve.
    """
    done = [
        job
        for job in services.workspace.jobs.list(task=BlendRecipe.task, limit=RECENT)
        if job.status is JobStatus.SUCCEEDED and job.result
    ]
    for job in done:
        result = job.result or {}
        if name in (result.get("tuned"), result.get("base"), result.get("model")):
            alike = [one for one in done if _ends(one) == _ends(job)]
            return next((one for one in alike if len(_ratios(one)) > 1), job)
    return None


def _ends(job: Job) -> tuple[Any, Any]:
    result = job.result or {}
    return result.get("tuned"), result.get("base")


def _ratios(job: Job) -> set[float]:
    return {row["ratio"] for row in (job.result or {})["rows"]}


# Merging an adapter into its base at a click, and what the check of a merged model found.


class Merge:
    """The button and the new model's name, for adapters only, and the facts of a merged model."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.name = gr.Textbox(
            label=t("field.name"),
            info=t("merge.name"),
            max_lines=1,
            visible=False,
            elem_id="model-merge-name",
        )
        self.start = gr.Button(
            t("merge.start"), size="sm", visible=False, elem_id="model-merge", elem_classes="rw-fit"
        )
        self.facts = piece(elem_id="model-merged")
        self.outputs = [self.name, self.start, self.facts]

    def listen(
        self, chosen: Any, show: Callable[[str], dict[Any, Any]], outputs: Sequence[Any]
    ) -> None:
        """``chosen`` holds the shown model's name; ``show(name)`` gives updates for ``outputs``."""

        def start(picked: str, name: str) -> dict[Any, Any]:
            recipe = MergeRecipe.read({"model": picked, "name": name.strip()})
            self.services.workspace.jobs.submit(recipe)
            return show(picked)

        on_busy(
            *(self.start, start, [chosen, self.name], outputs),
            says=t("merge.starting"),
            then=t("merge.start"),
        )

    def view(self, model: Model | None) -> dict[Any, Any]:
        """What a chosen model changes."""
        adapter = model is not None and is_adapter(self.services.workspace.models.folder(model.id))
        return {
            self.name: gr.Textbox(visible=adapter),
            self.start: gr.Button(visible=adapter),
            self.facts: html(model) if model else EMPTY,
        }


def html(model: Model) -> Markup:
    """How far a merged model is from its adapter, and its values on dev; nothing for others."""
    said = model.summary
    if said.get("origin") != "merged":
        return EMPTY
    return Markup(
        '<article class="rw-card"><h3>{}</h3><p class="rw-quiet">{}</p>{}</article>'
    ).format(t("merge.title"), t("merge.about"), facts(_facts(said)))


def _facts(said: Mapping[str, Any]) -> dict[str, str]:
    parity, drift, measured = said["parity"], said.get("drift"), said.get("metrics")
    found = {
        t("merge.adapter"): str(said.get("adapter")),
        t("merge.parity"): t(
            "merge.apart",
            texts=parity["texts"],
            largest=f"{parity['largest_difference']:.1e}",
            allowed=f"{parity['allowed']:g}",
        ),
    }
    if drift:
        found[t("merge.drift", against=drift["against"])] = _drift(drift)
    if measured:
        name = str(measured["metric"])
        before = measured["trained"].get(name)
        found[t("merge.measured", metric=metric_label(name))] = t(
            "merge.values",
            trained="–" if before is None else f"{before:.3f}",
            merged=f"{measured['merged'][name]:.3f}",
        )
    return found


def _drift(drift: Mapping[str, Any]) -> str:
    largest = drift.get("largest_difference")
    if largest is None:
        return t("merge.not_measured")
    return t("merge.largest", largest=f"{largest:.1e}", mean=f"{drift['mean_difference']:.1e}")
