"""What has a tab look after its jobs: an unseen component whose ``look`` event says that something
in the workspace has changed since the last one. Only the open tab of a page in sight asks."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from ui.feedback import on
from ui.live import scripts, settings
from ui.services import Services


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


def listen(beat: gr.HTML, look: Callable[..., Any], inputs: Any, outputs: Any) -> None:
    """Call ``look`` at each event. One that comes while another is answered is not lost."""
    on(beat.look, look, inputs, outputs, trigger_mode="always_last")
