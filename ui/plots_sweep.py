"""The live chart of a sweep: a component whose value is the id of the sweep's first run.

It polls a route of ours and extends itself (``static/sweep.js``); Gradio redraws nothing.
"""

import gradio as gr

from ui.live import scripts, settings
from ui.plots import COLOURS
from ui.routes.assets import asset_url
from ui.services import Services
from ui.words import section, t


def sweep_chart(services: Services, elem_id: str, job: str = "") -> gr.HTML:
    """Each run's dev metric by step, growing; the baseline dashed. '' shows nothing."""
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
