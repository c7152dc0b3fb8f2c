"""The live chart and the live log: components whose value is the id of the job they show.

They ask routes of ours for what is new and draw only that (``static/live.js``); Gradio is not
involved while a run goes on, so no connection stays open and nothing is redrawn. To point one at
another job, return that job's id as its value; '' shows nothing.
"""

import json
from collections.abc import Mapping
from urllib.parse import quote

import gradio as gr

from ui.routes.assets import asset_url
from ui.services import Services
from ui.words import section


def live_chart(services: Services, elem_id: str, job: str = "") -> gr.HTML:
    """Badges, and for a training run loss, dev metric, learning rate and gradient norm."""
    config: dict[str, object] = {
        "base": services.root_path,
        "plotly": asset_url(services, "plotly.min.js"),
        "words": section("live"),
    }
    return _component(services, "liveChart", elem_id, job, config)


def live_log(services: Services, elem_id: str, job: str = "") -> gr.HTML:
    """The end of a job's log, growing; it scrolls along while its end is in view."""
    config: dict[str, object] = {"base": services.root_path, "words": section("live")}
    return _component(services, "liveLog", elem_id, job, config)


def _component(
    services: Services, start: str, elem_id: str, job: str, config: dict[str, object]
) -> gr.HTML:
    return gr.HTML(
        value=job,
        html_template=settings(config),
        js_on_load=f"window.Workbench.{start}(element, props, watch)",
        head=scripts(services, "common.js", "panel.js", "live.js"),
        elem_id=elem_id,
        apply_default_css=False,
    )


def settings(config: Mapping[str, object]) -> str:
    """A component's template that carries what its script is told (``tools.settings``).

    Not as a property of the component: where a hidden part of the page is shown and filled by one
    event, its script may run before its properties are there.
    """
    return f'<div data-settings="{quote(json.dumps(config))}"></div>'


def scripts(services: Services, *names: str) -> str:
    """What a component needs in the page's head: our style sheet, and scripts in this order."""
    style = f'<link rel="stylesheet" href="{asset_url(services, "live.css")}">'
    return style + "".join(f'<script src="{asset_url(services, name)}"></script>' for name in names)
