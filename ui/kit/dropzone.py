"""A drop zone that sends files in pieces with a live percentage and goes on after a break.

Its value is '' or, once every chosen file is on the server, a JSON list of
``{"id", "name", "size"}``; then its ``upload`` event fires. Listen to that one with
``trigger_mode="always_last"``: files may follow while the first ones are still being looked at.
Return '' as its value to empty it. A folder is one of the list: its files of the kinds that are
read come with it, below their own paths.
"""

import json
from pathlib import Path

import gradio as gr

from ui.kit.live import scripts, settings
from ui.routes.uploads import uploads_of
from ui.services import Services
from ui.uploads import MOST_FILES, SLICE
from ui.words import section, t
from workbench.data.sources import readable
from workbench.errors import BadInput


def dropzone(
    services: Services,
    elem_id: str,
    label: str = "",
    hint: str = "",
    accept: str = "",
    *,
    single: bool = False,
) -> gr.HTML:
    """``label`` names the input, ``hint`` stands below the prompt, ``accept`` is the browser's.

    ``single``: one file is wanted, and no folder is offered.
    """
    config = {
        "base": services.root_path,
        "slice": SLICE,
        "label": label or t("drop.label"),
        "hint": hint,
        "accept": accept,
        "kinds": sorted(readable()),
        "most_files": MOST_FILES,
        "single": single,
        "words": section("drop"),
    }
    return gr.HTML(
        value="",
        html_template=settings(config),
        js_on_load="window.Workbench.dropZone(element, props, trigger, watch)",
        head=scripts(services, "common.js", "folders.js", "transfer.js", "dropzone.js"),
        elem_id=elem_id,
        apply_default_css=False,
    )


def staged_files(services: Services, value: str | None) -> list[Path]:
    """The paths of a drop zone's files and folders; raises :class:`BadInput` where one is gone.

    The value comes from the browser, so only ids count, and only ids of finished uploads.
    """
    uploads = uploads_of(services)
    try:
        ids = [str(one["id"]) for one in json.loads(value or "[]")]
    except (ValueError, TypeError, KeyError) as error:
        raise BadInput(t("upload.gone")) from error
    return [uploads.whole(id) for id in ids]
