"""The forms of Train: one for each kind of model, of which one is seen.

Clone: a run's recipe fills in the form, to be started again with one change.

Import a training command: a pasted command line or YAML fills in the form.
"""

from collections.abc import Mapping
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit import form
from ui.kit.events import on
from ui.kit.markup import piece
from ui.services import Services
from ui.words import sentences, t
from ui.words.sentences import about_kind, kind_name
from workbench.checks import run_facts
from workbench.commands import Imported, read_command
from workbench.recipes.decided import AUTO
from workbench.recipes.train import KINDS, TrainRecipe
from workbench.takeaway.sweeps import recipe_of


def first_preset(recipe: type[TrainRecipe]) -> str:
    """The preset that is chosen when the page opens."""
    return AUTO if AUTO in recipe.presets else "balanced"


def first_kind() -> str:
    """The kind that is chosen when the page opens."""
    return next(iter(KINDS))


class KindForm:
    """What a person fills in to train one kind of model."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        recipe = KINDS[kind]
        first_shown = kind == first_kind()
        # The first kind's ids are the short ones: links and tests know them.
        prefix = "field" if first_shown else f"field-{kind}"
        name = "train" if first_shown else f"train-{kind}"
        chosen = first_preset(recipe)
        with gr.Column(visible=first_shown) as self.box:
            self.presets = gr.Radio(
                [(t(f"preset.{one}"), one) for one in recipe.presets],
                value=chosen,
                label=t("train.presets"),
                info=form.about_preset(chosen),
                interactive=True,
                elem_id=f"{name}-presets",
            )
            self.form = form.render(
                recipe,
                skip=("dataset_version",),
                start=form.preset_values(recipe, chosen),
                prefix=prefix,
                presets=self.presets,
            )
            self.start = gr.Button(t("train.start"), variant="primary", elem_id=f"{name}-start")
            with gr.Row(elem_classes="rw-actions"):
                self.check = gr.Button(t("check.button"), size="sm", elem_id=f"{name}-check")
                self.measure = gr.Button(t("check.measure"), size="sm", elem_id=f"{name}-measure")
        self.dataset = self.form.components["dataset"]
        self.model = self.form.components["model"]
        #: The general data set, of kinds that are measured on one.
        self.general = self.form.components.get("general")

    def listen(self, services: Services) -> None:
        """Presets fill in its fields, and the data set decides which objectives are offered."""
        form.listen_presets(self.form, self.presets)
        form.listen_depends(self.form)
        objective = self.form.components.get("objective")
        if objective is None:
            return
        spec = next(one for one in self.form.specs if one.name == "objective")

        def offer(dataset: str | None, chosen: str) -> Any:
            if not dataset or not services.workspace.datasets.exists(dataset):
                return gr.skip()
            found = run_facts.objectives(services.workspace.datasets.read(dataset), spec.choices)
            choices = [(form.choice_label(spec, name), name) for name in found]
            return gr.Dropdown(choices=choices, value=chosen if chosen in found else found[0])

        on(self.dataset.change, offer, [self.dataset, objective], objective)


class Forms:
    """The choice of a kind and a form for each, of which the chosen one's is seen."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.kind = gr.Radio(
            [(kind_name(name), name) for name in KINDS],
            value=first_kind(),
            label=t("train.kind"),
            interactive=True,
            elem_id="train-kind",
        )
        self.about = gr.Markdown(about_kind(first_kind()), elem_classes="rw-quiet")
        self.each = [KindForm(name) for name in KINDS]
        #: Data set and model menu of each form, in turn.
        self.menus = [menu for one in self.each for menu in (one.dataset, one.model)]
        #: What :meth:`fill_in` may change.
        self.filled = [
            self.kind,
            *(one.presets for one in self.each),
            *(one.form.filled for one in self.each if one.form.filled),
            *(field for one in self.each for field in one.form.components.values()),
        ]

    def listen(self) -> None:
        def show(kind: str) -> dict[Any, Any]:
            boxes = {one.box: gr.Column(visible=one.kind == kind) for one in self.each}
            return {self.about: about_kind(kind), **boxes}

        on(self.kind.change, show, self.kind, [self.about, *(one.box for one in self.each)])
        for one in self.each:
            one.listen(self.services)

    def fill_in(self, kind: str, values: Mapping[str, Any]) -> dict[Any, Any]:
        """The form of ``kind`` shows a recipe's values, and the defaults of fields that ``values``
        leaves out: no preset's any more. The other forms stay as they are."""
        one = next(one for one in self.each if one.kind == kind)
        shown = form.filled_in(one.form, values, [spec.name for spec in one.form.specs])
        if one.form.filled:
            shown[one.form.filled] = one.form.as_filled(values)
        return {self.kind: kind, one.presets: None, **shown}

    def clone(self, id: str) -> dict[Any, Any]:
        """Everything as it was in that run, under a free name. What has been removed since is to
        be chosen anew: another thing may have its name."""
        removed = self.services.workspace.jobs.removed(id)
        recipe = recipe_of(self.services.workspace, id, given=removed)
        values = {**recipe.model_dump(mode="json"), **dict.fromkeys(removed)}
        return self.fill_in(recipe.kind, values)


class Command:
    """A pasted command line or YAML, which fills in the form."""

    def __init__(self) -> None:
        with gr.Accordion(t("command.title"), open=False):
            self.text = gr.Textbox(
                label=t("command.text"),
                info=t("command.help"),
                lines=5,
                max_lines=12,
                interactive=True,
                elem_id="train-command",
            )
            self.read = gr.Button(t("command.read"), size="sm", elem_id="train-command-read")
            self.said = piece(elem_id="train-command-said")

    def listen(self, forms: Forms) -> None:
        def read(text: str, dataset: str | None) -> dict[Any, Any]:
            found = read_command(text)
            # The data set stays the chosen one: the command names files, not data sets.
            values = {**found.values, "dataset": dataset}
            return {self.said: imported_html(found), **forms.fill_in(found.kind, values)}

        inputs = [self.text, forms.each[0].dataset]
        on(self.read.click, read, inputs, [self.said, *forms.filled])


def imported_html(found: Imported) -> str:
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
