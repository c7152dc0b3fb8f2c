"""What stands beside a comparison's table: sections in order, each in a file of its own.

A section is drawn once by ``section(services)``. Its ``show`` gives the updates of its ``outputs``
for the comparison that is shown (None: there is none), in the same answer as the table; ``wire``
connects what in it can be pressed. Another section is one more file and one more name below.

Buttons that copy a text, or save it as a file, without asking the server.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import gradio as gr

from ui.services import Services
from ui.words import t
from workbench.records import Job, JobStatus

if TYPE_CHECKING:
    from ui.tabs.compare.tab import Compare


@dataclass(frozen=True)
class Section:
    outputs: list[Any]
    show: Callable[[Job | None], list[Any]]
    wire: Callable[["Compare"], None]
    #: Where it has jobs of its own: what a look after them is given, the look, and what it may
    #: change. It is one event for the whole tab.
    watched: list[Any] = field(default_factory=list)
    look: Callable[..., dict[Any, Any]] = dict
    changes: list[Any] = field(default_factory=list)
    #: Where something is chosen in it: the updates for the comparison that it shows already.
    again: Callable[[Job | None], list[Any]] | None = None


def sections(services: Services) -> list[Section]:
    """Draw them, in the page's order."""
    from ui.tabs.compare import dimensions, explorer, history, matrix, published, slices

    order = (
        explorer,
        dimensions,
        slices,
        matrix,
        published,
        history,
    )
    return [one.section(services) for one in order]


def measured(job: Job | None) -> Job | None:
    """The job, if it is a comparison that was measured."""
    return job if job and job.status is JobStatus.SUCCEEDED and job.result else None


# Buttons that copy a text, or save it as a file, without asking the server.

_COPY = """
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


def copy_button(button: gr.Button, text: Any, words: str, quick: dict[str, Any]) -> None:
    """A click copies the text; the button says so, and has its own words again a moment later."""
    js = _COPY.replace("DONE", json.dumps(t("compare.copied")))
    back = f"() => new Promise((done) => setTimeout(() => done({json.dumps(words)}), 1500))"
    button.click(None, text, button, js=js, **quick).then(None, None, button, js=back, **quick)
