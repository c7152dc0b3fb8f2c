"""Blending: measure models between a fine-tuned one and its base, see the curve, keep a point."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup

from ui.kit import form
from ui.kit.charts import COLOURS, dress, plain
from ui.kit.choices import dataset_names, model_names, update
from ui.kit.events import on, told_at_fields
from ui.kit.markup import EMPTY, piece, quiet_lines
from ui.services import Services
from ui.tabs.models.details import find
from ui.words import t
from workbench.comparison.conditions import blended
from workbench.comparison.names import label
from workbench.merging.prepare import is_adapter
from workbench.recipes.merge import BlendRecipe
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
    figure.update_yaxes(title={"text": label(metric)})
    return figure


TASK = BlendRecipe.task
#: How many blends are looked through for one with the model.
RECENT = 50


@dataclass(frozen=True)
class Blend:
    """The button that opens the form, the form; the chart, and what keeps one of its points."""

    open: gr.Button
    box: gr.Column
    form: form.Form
    start: gr.Button
    close: gr.Button
    plot: gr.Plot
    #: The id of the blend whose curve is shown.
    curve: gr.Textbox
    kept: gr.Column
    point: gr.Dropdown
    name: gr.Textbox
    keep: gr.Button
    #: How the points were measured.
    said: gr.HTML

    @property
    def shown(self) -> list[Any]:
        """What a chosen model changes."""
        return [self.open, self.plot, self.kept, self.point, self.said, self.curve]


def render() -> Blend:
    """Draw it inside the current block."""
    begin = gr.Button(
        t("blend.open"), size="sm", visible=False, elem_id="blend-open", elem_classes="rw-fit"
    )
    with gr.Column(visible=False, elem_id="blend-box") as box:
        piece(Markup('<p class="rw-quiet">{}</p>').format(t("blend.about")))
        drawn = form.render(BlendRecipe, skip=("model", "keep", "name"), prefix="blend")
        with gr.Row(elem_classes="rw-actions"):
            start = gr.Button(t("blend.start"), variant="primary", elem_id="blend-start")
            close = gr.Button(t("blend.close"))
    plot = gr.Plot(show_label=False, visible=False, elem_id="model-blend")
    said = piece(elem_id="blend-said")
    curve = gr.Textbox("", visible=False, label=t("blend.open"))
    with gr.Column(visible=False, elem_id="blend-kept") as kept:
        point, name = _point()
        keep = gr.Button(t("blend.keep"), elem_id="blend-keep", elem_classes="rw-fit")
    return Blend(begin, box, drawn, start, close, plot, curve, kept, point, name, keep, said)


def _point() -> tuple[gr.Dropdown, gr.Textbox]:
    with gr.Row(equal_height=False):
        point = gr.Dropdown(
            [],
            label=t("blend.point"),
            info=t("blend.point_help"),
            allow_custom_value=True,
            interactive=True,
            min_width=220,
            elem_id="blend-point",
        )
        name = gr.Textbox(
            label=t("models.name"),
            info=t("blend.name_help"),
            max_lines=1,
            interactive=True,
            min_width=220,
            elem_id="blend-name",
        )
    return point, name


def listen(
    services: Services,
    blend: Blend,
    chosen: Any,
    outputs: list[Any],
    view: Callable[[str], list[Any]],
) -> None:
    """``chosen`` holds the shown model's name; ``view`` gives the updates of ``outputs``."""
    jobs = services.workspace.jobs
    helps = {spec.name: spec.help for spec in blend.form.specs}
    menus = [blend.form.components[name] for name in ("base", "dataset", "second_dataset")]

    def begin(picked: str) -> list[Any]:
        return [gr.Column(visible=True), *first_values(services, picked)]

    def recipe(picked: str, *raw: Any) -> BlendRecipe:
        return BlendRecipe.read({**blend.form.values(raw), "model": picked})

    def start(picked: str, *raw: Any) -> list[Any]:
        def act() -> list[Any]:
            jobs.submit(recipe(picked, *raw))
            return [gr.Column(visible=False), *view(picked)]

        return told_at_fields(act, helps, 1 + len(outputs))

    def keep(picked: str, curve: str, point: Any, name: str) -> list[Any]:
        jobs.submit(BlendRecipe.read(keeping(jobs.get(curve), point, name)))
        return ["", *view(picked)]

    on(blend.open.click, begin, chosen, [blend.box, *menus])
    on(blend.close.click, lambda: gr.Column(visible=False), None, blend.box)
    fields = blend.form.inputs
    on(blend.start.click, start, [chosen, *fields], [blend.box, *outputs, *fields])
    kept = [chosen, blend.curve, blend.point, blend.name]
    on(blend.keep.click, keep, kept, [blend.name, *outputs])


def first_values(services: Services, picked: str) -> list[Any]:
    """Updates for the menus: the model's base and data set, and another data set."""
    workspace = services.workspace
    model = find(services, picked)
    base = str(model.summary.get("base") or model.base or "") if model else ""
    trained = str(model.summary.get("dataset") or "") if model else ""
    sets = dataset_names(workspace)
    first = trained if trained in sets else next(iter(sets), None)
    second = next((one for one in sets if one != first), first)
    models = [name for name in model_names(workspace) if name != picked]
    pairs = [(one, one) for one in sets]
    return [
        update([(one, one) for one in models], base or None),
        update(pairs, first),
        update(pairs, second),
    ]


def keeping(job: Job, point: Any, name: str) -> dict[str, Any]:
    """The recipe of a job that keeps a point of a blend: it is measured once more, and saved."""
    return {
        **job.recipe,
        "ratios": str(point),
        "keep": str(point),
        "name": name.strip(),
    }


def view(services: Services, model: Model | None, curve: str = "") -> list[Any]:
    """Updates for ``Blend.shown``; the chart is hidden where no blend has the model in it.
    ``curve``: that of the page; where it is the one to be shown, the chosen point stays."""
    found = newest(services, model.name) if model else None
    button = gr.Button(visible=model is not None and may_blend(services, model))
    if found is None:
        nothing = [gr.Plot(value=None, visible=False), gr.Column(visible=False), gr.skip()]
        return [button, *nothing, EMPTY, ""]
    if found.id == curve:
        return [button, *[gr.skip()] * 5]
    result = found.result or {}
    return [
        button,
        gr.Plot(value=blend_chart(result), visible=True),
        gr.Column(visible=True),
        update(points(result), best_point(result)),
        quiet_lines(blended(result)),
        found.id,
    ]


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
                metric=label(metric),
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
        for job in services.workspace.jobs.list(task=TASK, limit=RECENT)
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
