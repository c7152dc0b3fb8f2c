"""The live chart and the live log: components whose value is the id of the job they show.

They ask routes of ours for what is new and draw only that (``static/live.js``); Gradio is not
involved while a run goes on, so no connection stays open and nothing is redrawn. To point one at
another job, return that job's id as its value; '' shows nothing.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import gradio as gr

from ui.kit.events import on
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


# What has a tab look after its jobs: an unseen component whose ``look`` event says that something
# in the workspace has changed since the last one. Only the open tab of a page in sight asks.


def pulse(services: Services) -> gr.HTML:
    """Draw it inside a tab; it takes no room."""
    return gr.HTML(
        html_template=settings({"base": services.root_path}),
        # Gradio looks for the quoted names of events: "look".
        js_on_load="/* 'look' */ window.Workbench.pulse(element, trigger)",
        head=scripts(services, "common.js", "pulse.js"),
        apply_default_css=False,
        elem_classes="rw-pulse",
    )


def on_look(beat: gr.HTML, look: Callable[..., Any], inputs: Any, outputs: Any) -> None:
    """Call ``look`` at each event. One that comes while another is answered is not lost."""
    on(beat.look, look, inputs, outputs, trigger_mode="always_last")


# A finished or failed job is noticed on any tab: a quiet toast, and the title of a hidden page.
#
# Put one on the page. Its events: ``select`` (a toast's *Show* was clicked; ``event._data`` holds
# ``{"value": job id}``) and ``change_of_jobs`` (some job's status changed: refresh what lists
# jobs).


def notices(services: Services, elem_id: str = "rw-notices") -> gr.HTML:
    """The place where notices appear; it takes no room in the layout."""
    return gr.HTML(
        html_template=settings({"base": services.root_path, "words": section("notice")}),
        # Gradio looks for the quoted names of events: "change_of_jobs".
        js_on_load="/* 'change_of_jobs' */ window.Workbench.notices(element, props, trigger)",
        head=scripts(services, "common.js", "notices.js"),
        elem_id=elem_id,
        apply_default_css=False,
    )
