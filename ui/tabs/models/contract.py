"""The form of a contract, of a model that is here or of one that is being added."""

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.events import answered, on
from ui.kit.form import is_prompt, label
from ui.kit.job_slot import JobSlot
from ui.kit.markup import EMPTY, heading, join, piece
from ui.services import Services
from ui.tabs.models.details import separators
from ui.words import known, sentences, t
from workbench.models.contract import Contract
from workbench.models.jobs import Edited, edit, rules_of
from workbench.models.rules import Rules
from workbench.recipes.base import ContractRecipe
from workbench.recipes.data import AddModelRecipe
from workbench.recipes.describe import FieldSpec, describe

SPECS = tuple(describe(ContractRecipe))
NAMES = tuple(spec.name for spec in SPECS)
#: What only a language model that reranks has.
_ANSWERS = ("yes_token", "no_token", "instruction", "prompt_template")
_ROWS = (
    ("kind", "pooling", "normalize", "causal"),
    ("query_max_len", "passage_max_len", "title_separator"),
    ("query_prompt", "document_prompt"),
    ("yes_token", "no_token"),
    ("instruction",),
    ("prompt_template",),
)


class Fields:
    """All fields inside the current block; ``blank`` is what an empty one means."""

    def __init__(self, prefix: str, blank: str) -> None:
        specs = {spec.name: spec for spec in SPECS}
        drawn: dict[str, Any] = {}
        for row in _ROWS:
            with gr.Row(equal_height=False):
                for name in row:
                    drawn[name] = _component(specs[name], prefix, blank)
        #: By the field's name, in the recipe's order.
        self.components = {name: drawn[name] for name in NAMES}
        self.inputs = list(self.components.values())
        self.kind = self.components["kind"]

    def listen(self) -> None:
        """Fields of other kinds are hidden while a kind is chosen."""
        hidden = {spec: self.components[spec.name] for spec in SPECS if spec.depends_on}

        def show(kind: str) -> dict[Any, Any]:
            return {
                one: gr.update(visible=_matters(spec, kind, "")) for spec, one in hidden.items()
            }

        on(self.kind.input, show, self.kind, list(hidden.values()))

    def view(self, contract: Contract, kinds: Sequence[str] | None = None) -> dict[Any, Any]:
        """What a contract says, and nothing against it; ``kinds`` it could be used as."""
        return {
            self.components[spec.name]: {
                **_update(spec, contract, kinds),
                **gr.update(info=sentences.said(spec.help), elem_classes=[]),
            }
            for spec in SPECS
        }


def _component(spec: FieldSpec, prefix: str, blank: str) -> Any:
    common: dict[str, Any] = {
        "label": label(spec.name),
        "info": sentences.said(spec.help),
        "interactive": True,
        "min_width": 200,
        "visible": _matters(spec, "auto", ""),
        "elem_id": f"{prefix}-{spec.name}",
    }
    if spec.name == "title_separator":
        # A typed one is taken too.
        return gr.Dropdown(separators(), value=None, allow_custom_value=True, **common)
    if spec.kind == "choice":
        return gr.Dropdown(_choices(spec.name, spec.choices), filterable=False, **common)
    # In a field of two lines, the Enter key breaks a line.
    lines = 6 if spec.name == "prompt_template" else 2 if is_prompt(spec) else 1
    return gr.Textbox(lines=lines, max_lines=lines, placeholder=blank, **common)


def _choices(name: str, choices: Sequence[str]) -> list[tuple[str, str]]:
    return [(_choice(name, one), one) for one in choices]


def _choice(name: str, choice: str) -> str:
    if choice == "auto":
        return t("contract.own")
    if choice in ("yes", "no"):
        return t(f"word.{choice}")
    key = f"choice.{name}.{choice}"
    return t(key) if known(key) else choice


def _matters(spec: FieldSpec, kind: str, architecture: str) -> bool:
    if spec.name in _ANSWERS and architecture == "cross-encoder":
        return False
    return spec.depends_on is None or kind in spec.depends_on[1]


def read(raw: Sequence[Any], *, blank_is_own: bool) -> dict[str, Any]:
    """The recipe's input. Blank text means 'as its own files say', or an empty prompt.

    Fields that do not matter for the chosen kind are not seen, and left out.
    """
    held = dict(zip(NAMES, raw, strict=True))
    found: dict[str, Any] = {}
    for spec in SPECS:
        value = held[spec.name]
        if not _matters(spec, str(held["kind"]), "") or value is None:
            continue
        if spec.kind == "int":
            value = str(value).strip()
        elif spec.name in ("yes_token", "no_token", "instruction"):
            value = value.strip()
        if value == "" and (blank_is_own or spec.kind == "int"):
            continue
        found[spec.name] = int(value) if spec.kind == "int" and value.isdigit() else value
    return found


def _update(spec: FieldSpec, contract: Contract, kinds: Sequence[str] | None) -> Any:
    value = getattr(contract, spec.name)
    visible = _matters(spec, contract.kind, contract.architecture)
    if spec.name == "title_separator":
        known_ones = {sign for _, sign in separators()}
        value = value if value in known_ones else value.replace("\n", "\\n").replace("\t", "\\t")
        return gr.update(value=value, visible=visible)
    if spec.kind != "choice":
        return gr.update(value=str(value), visible=visible)
    if isinstance(value, bool):
        value = "yes" if value else "no"
    choices = [one for one in spec.choices if one != "auto"]
    if spec.name == "kind":
        choices = list(kinds or [value])
    elif value not in choices:
        # Several poolings in one are no choice, but may stay.
        choices, value = ["auto", *choices], "auto"
    return gr.update(choices=_choices(spec.name, choices), value=value, visible=visible)


class ContractEditor:
    """The button that opens the form, the form, and what came of saving it."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.open = gr.Button(
            t("contract.edit"), size="sm", elem_id="contract-edit", elem_classes="rw-fit"
        )
        with gr.Column(visible=False, elem_id="contract-box") as self.box:
            piece(Markup('<p class="rw-quiet">{}</p>').format(t("contract.edit_about")))
            self.fields = Fields("contract", t("word.none"))
            with gr.Row(elem_classes="rw-actions"):
                self.save = gr.Button(
                    t("contract.save"), variant="primary", elem_id="contract-save"
                )
                self.close = gr.Button(t("contract.close"), elem_id="contract-close")
        self.said = piece(elem_id="contract-said")

    def listen(
        self, chosen: Any, show: Callable[[str], dict[Any, Any]], outputs: Sequence[Any]
    ) -> None:
        """``chosen`` holds the shown model's name; ``show(name)`` gives updates for ``outputs``."""
        workspace = self.services.workspace

        def save(picked: str, *raw: Any) -> dict[Any, Any]:
            def act() -> dict[Any, Any]:
                wanted = ContractRecipe.read(read(raw, blank_is_own=False))
                said = said_html(edit(workspace, picked, wanted))
                return {**self.closed(), self.said: said, **show(picked)}

            return answered(act, self.fields.components)

        inputs = self.fields.inputs
        own = [self.box, self.said]
        on(self.open.click, self._open, chosen, [*own, *inputs])
        on(self.close.click, lambda: gr.Column(visible=False), None, self.box)
        on(self.fields.kind.input, self._other_kind, [chosen, self.fields.kind], inputs)
        on(self.save.click, save, [chosen, *inputs], [*own, *outputs, *inputs])

    def _open(self, picked: str) -> dict[Any, Any]:
        rules = self._rules(picked)
        shown = self.fields.view(rules.contract, rules.kinds())
        return {self.box: gr.Column(visible=True), self.said: EMPTY, **shown}

    def _other_kind(self, picked: str, kind: str) -> dict[Any, Any]:
        rules = self._rules(picked)
        new = rules.apply(ContractRecipe.read({"kind": kind}))
        return self.fields.view(new, rules.kinds())

    def _rules(self, picked: str) -> Rules:
        workspace = self.services.workspace
        return rules_of(workspace, workspace.models.get(picked))

    def closed(self) -> dict[Any, Any]:
        """Folded away, with nothing said of what was saved."""
        return {self.box: gr.Column(visible=False), self.said: EMPTY}


def said_html(done: Edited) -> Markup:
    """What was changed, and what goes on with the old contract."""
    if not done.changed:
        return Markup('<p class="rw-quiet">{}</p>').format(t("contract.unchanged"))
    names = ", ".join(t(f"contract.{name}") for name in done.changed if known(f"contract.{name}"))
    notes = join(Markup("<li>{}</li>").format(sentences.said(note)) for note in done.notes)
    return Markup(
        '<article class="rw-card" role="status"><p class="verdict">{}</p>{}</article>'
    ).format(
        t("contract.saved", fields=names),
        Markup('<ul class="rw-notes">{}</ul>').format(notes) if notes else EMPTY,
    )


# Adding a model: where it is, what it is called, how it is used; and the job that does it.


class Add:
    """The form of a new model, and the job that adds it."""

    def __init__(self, services: Services) -> None:
        self.services = services
        piece(heading(t("models.add_title"), t("models.add_about")))
        with gr.Row(equal_height=False):
            self.source = _line(t("field.source"), t("models.source_hint"), "model-source")
            self.name = _line(t("models.name"), t("models.name_hint"), "model-name")
        with gr.Row(equal_height=False):
            about = sentences.said(str(AddModelRecipe.model_fields["pictures_by"].description))
            self.pictures = _line(
                t("models.pictures_by"), t("models.pictures_hint"), "model-pictures", about
            )
        with gr.Accordion(t("models.add_contract"), open=False, elem_id="model-contract"):
            gr.Markdown(t("models.add_contract_about"), elem_classes="rw-quiet")
            self.fields = Fields("add", t("contract.own"))
        with gr.Row(elem_classes="rw-actions"):
            self.start = gr.Button(t("models.add"), variant="primary", elem_id="model-add")
        self.job = JobSlot("model-job")
        self.named = {"source": self.source, "name": self.name, "pictures_by": self.pictures}

    def listen(
        self, chosen: Any, show: Callable[[str], dict[Any, Any]], outputs: Sequence[Any]
    ) -> None:
        """``chosen`` holds the shown model's name; ``show(name)`` gives updates for ``outputs``."""
        fields = {**self.named, **self.fields.components}

        def start(picked: str, *raw: Any) -> dict[Any, Any]:
            def act() -> dict[Any, Any]:
                self.services.workspace.jobs.submit(self._recipe(raw))
                return show(picked) | dict.fromkeys(self.named.values(), "")

            return answered(act, fields)

        self.fields.listen()
        on(self.start.click, start, [chosen, *fields.values()], [*outputs, *fields.values()])

    def _recipe(self, raw: Sequence[Any]) -> AddModelRecipe:
        typed = zip(self.named, raw, strict=False)
        given = {name: text.strip() for name, text in typed}
        return AddModelRecipe.read(given | read(raw[len(given) :], blank_is_own=True))


def _line(label: str, hint: str, id: str, info: str = "") -> gr.Textbox:
    return gr.Textbox(
        label=label,
        info=info or None,
        placeholder=hint,
        max_lines=1,
        interactive=True,
        min_width=220,
        elem_id=id,
    )
