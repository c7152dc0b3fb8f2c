"""A section of the Compare tab: it stands below the table and shows more of the comparison that is
shown, or measures something of its own. With it, what several sections use."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.events import QUICK
from ui.routes.downloads import download_url
from ui.services import Services
from ui.words import t
from workbench.evaluation.registry import ranked_ids
from workbench.model_kinds import scoring
from workbench.records import Job

#: Jobs in the menus of earlier ones, newest first.
LISTED = 50


@dataclass(frozen=True)
class Shown:
    """What the tab gives each of its sections."""

    services: Services
    #: The name of the data set that is chosen, and the split.
    dataset: gr.Dropdown
    split: gr.Radio
    #: The id of the comparison that is shown, also where nobody chose it.
    id: gr.Textbox


class Section(ABC):
    """Drawn by its class, inside the tab. A subclass draws in ``__init__``."""

    #: What ``view`` may change.
    outputs: Sequence[Any] = ()
    #: Where it has jobs of its own: what ``look`` is given the values of, and what it may change.
    watched: Sequence[Any] = ()
    changes: Sequence[Any] = ()

    def __init__(self, shown: Shown) -> None:
        self.shown = shown
        self.services = shown.services
        self.workspace = shown.services.workspace

    def view(self, _job: Job | None, _stays: bool) -> dict[Any, Any]:
        """Updates by component, in the same answer as the table. ``_job``: the comparison, if it
        was measured; ``_stays``: it is on the page already, and what is chosen here stays."""
        return {}

    def look(self, *_watched: Any) -> dict[Any, Any]:
        """What a look after the section's own jobs changes; one event for the whole tab."""
        return {}

    @abstractmethod
    def listen(self) -> None:
        """Wire it."""


# -- what can be taken away ------------------------------------------------------------------

_COPY_JS = """
async (text) => {
  try { await navigator.clipboard.writeText(text); }
  catch (refused) {
    const area = document.createElement('textarea');
    area.value = text; document.body.append(area); area.select();
    document.execCommand('copy'); area.remove();
  }
  return DONE;
}
"""


class CopyButton:
    """Copies a text without asking the server, and says so for a moment."""

    def __init__(self, words: str, elem_id: str) -> None:
        self.button = gr.Button(words, size="sm", elem_id=elem_id)
        #: What is copied.
        self.text = gr.Textbox(visible=False, label=words)

    def listen(self) -> None:
        words = json.dumps(self.button.value)
        js = _COPY_JS.replace("DONE", json.dumps(t("compare.copied")))
        back = f"() => new Promise((done) => setTimeout(() => done({words}), 1500))"
        copied = self.button.click(None, self.text, self.button, js=js, **QUICK)
        copied.then(None, None, self.button, js=back, **QUICK)


def downloads_html(services: Services, job: Job) -> Markup:
    """The report in three forms and the rankings as TREC, of a comparison or a pipeline matrix that
    was measured (those from before evaluations had ids have no rankings to take)."""
    link = Markup('<a class="rw-link" href="{}" download>{}</a>')
    words = {
        "html": t("compare.report_html"),
        "md": t("compare.report_md"),
        "tex": t("compare.report_tex"),
    }
    reports = (
        link.format(download_url(services, "comparisons", job.id, f"report.{form}"), text)
        for form, text in words.items()
    )
    parts = [Markup("{} {}").format(t("compare.report"), Markup(" · ").join(reports))]
    ids = ",".join(ranked_ids(job.result or {}))
    if ids:
        address = f"{services.url('/api/download/evaluations.trec.zip')}?id={ids}"
        parts.append(link.format(address, t("compare.trec")))
    return Markup('<p class="rw-small rw-takeaway">{}</p>').format(Markup("<br>").join(parts))


# -- what the menus offer --------------------------------------------------------------------


def second_stages(services: Services) -> list[str]:
    """The workspace's rerankers and late-interaction models."""
    models = services.workspace.models.list()
    return [model.name for model in models if model.kind in scoring()]
