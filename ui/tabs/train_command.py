"""Import a training command: a pasted command line or YAML fills in the form."""

from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.feedback import on
from ui.markup import piece
from ui.tabs import train_form
from ui.words import sentences, t
from workbench.commands import Imported, read_command


@dataclass(frozen=True)
class OldCommand:
    text: gr.Textbox
    read: gr.Button
    said: gr.HTML


def render() -> OldCommand:
    with gr.Accordion(t("command.title"), open=False):
        text = gr.Textbox(
            label=t("command.text"),
            info=t("command.help"),
            lines=5,
            max_lines=12,
            interactive=True,
            elem_id="train-command",
        )
        read = gr.Button(t("command.read"), size="sm", elem_id="train-command-read")
        said = piece(elem_id="train-command-said")
    return OldCommand(text, read, said)


def listen(command: OldCommand, forms: train_form.Forms) -> None:
    def read(text: str, dataset: str | None) -> list[Any]:
        found = read_command(text)
        # The data set stays the chosen one: the command names files, not data sets.
        values = {**found.values, "dataset": dataset}
        return [shown(found), *train_form.fill_in(forms, found.kind, values)]

    inputs = [command.text, forms.each[0].dataset]
    on(command.read.click, read, inputs, [command.said, *forms.filled])


def shown(found: Imported) -> str:
    """What was taken over, what was not, and what to do about the data."""
    lines = [t("command.taken", tool=found.tool, fields=str(len(found.values)))]
    files = [*found.data.train, *found.data.dev]
    if files:
        lines.append(t("command.data", files=", ".join(files)))
    notes = [*found.notes, *(t("command.unknown", word=word) for word in found.unknown)]
    items = Markup("").join(
        Markup("<li>{}</li>").format(note) for note in map(sentences.said, notes)
    )
    paragraphs = Markup("").join(Markup("<p>{}</p>").format(line) for line in lines)
    return str(paragraphs + (Markup("<ul>{}</ul>").format(items) if notes else Markup("")))
