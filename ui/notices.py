"""A finished or failed job is noticed on any tab: a quiet toast, and the title of a hidden page.

Put one on the page. Its events: ``select`` (a toast's *Show* was clicked; ``event._data`` holds
``{"value": job id}``) and ``change_of_jobs`` (some job's status changed: refresh what lists jobs).
"""

import gradio as gr

from ui.live import scripts, settings
from ui.services import Services
from ui.words import section


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
