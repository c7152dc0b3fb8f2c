"""The form of a contract: of a model that is here, or of one that is being added."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.events import at_fields, on, told_at_fields
from ui.kit.form import is_prompt, label
from ui.kit.markup import EMPTY, join, piece
from ui.services import Services
from ui.tabs.models.details import separators
from ui.words import known, sentences, t
from workbench.models.contract import Contract
from workbench.models.jobs import Edited, edit, rules_of
from workbench.recipes.base import ContractRecipe
from workbench.recipes.describe import FieldSpec, describe

SPECS = tuple(describe(ContractRecipe))
NAMES = tuple(spec.name for spec in SPECS)
HELPS = {spec.name: spec.help for spec in SPECS}
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


@dataclass(frozen=True)
class Fields:
    """A component for each field of a contract, in the recipe's order."""

    components: Mapping[str, Any]

    @property
    def inputs(self) -> list[Any]:
        return [self.components[name] for name in NAMES]


@dataclass(frozen=True)
class Editor:
    """The button that opens the form, the form, and what came of saving it."""

    open: gr.Button
    box: gr.Column
    fields: Fields
    save: gr.Button
    close: gr.Button
    said: gr.HTML


def draw(prefix: str, blank: str) -> Fields:
    """All fields inside the current block; ``blank`` is what an empty one means."""
    specs = {spec.name: spec for spec in SPECS}
    found: dict[str, Any] = {}
    for row in _ROWS:
        with gr.Row(equal_height=False):
            for name in row:
                found[name] = _component(specs[name], prefix, blank)
    return Fields(found)


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


def shown(contract: Contract, kinds: Sequence[str] | None = None) -> list[Any]:
    """Updates of the fields to what a contract says; ``kinds`` it could be used as."""
    return [_update(spec, contract, kinds) for spec in SPECS]


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


def _with_help(values: Sequence[Any]) -> list[Any]:
    """Updates of the fields that also take back what was said against them."""
    return [{**value, **help} for value, help in zip(values, at_fields(HELPS), strict=True)]


def listen_kind(fields: Fields) -> None:
    """Fields of other kinds are hidden while a kind is chosen."""

    def show(kind: str) -> list[Any]:
        return [gr.update(visible=_matters(spec, kind, "")) for spec in SPECS if spec.depends_on]

    kind = fields.components["kind"]
    hidden = [fields.components[spec.name] for spec in SPECS if spec.depends_on]
    on(kind.input, show, kind, hidden)


def render() -> Editor:
    begin = gr.Button(t("contract.edit"), size="sm", elem_id="contract-edit", elem_classes="rw-fit")
    with gr.Column(visible=False, elem_id="contract-box") as box:
        piece(Markup('<p class="rw-quiet">{}</p>').format(t("contract.edit_about")))
        fields = draw("contract", t("word.none"))
        with gr.Row(elem_classes="rw-actions"):
            save = gr.Button(t("contract.save"), variant="primary", elem_id="contract-save")
            close = gr.Button(t("contract.close"), elem_id="contract-close")
    return Editor(begin, box, fields, save, close, piece(elem_id="contract-said"))


def listen(
    services: Services,
    editor: Editor,
    chosen: Any,
    outputs: list[Any],
    view: Callable[[str], list[Any]],
) -> None:
    """``chosen`` holds the shown model's name; ``view`` gives the updates of ``outputs``."""
    workspace = services.workspace
    inputs = editor.fields.inputs

    def begin(picked: str) -> list[Any]:
        rules = rules_of(workspace, workspace.models.get(picked))
        values = shown(rules.contract, rules.kinds())
        return [gr.Column(visible=True), EMPTY, *_with_help(values)]

    def other_kind(picked: str, kind: str) -> list[Any]:
        rules = rules_of(workspace, workspace.models.get(picked))
        new = rules.apply(ContractRecipe.read({"kind": kind}))
        return _with_help(shown(new, rules.kinds()))

    def save(picked: str, *raw: Any) -> list[Any]:
        def act() -> list[Any]:
            wanted = ContractRecipe.read(read(raw, blank_is_own=False))
            done = edit(workspace, picked, wanted)
            return [gr.Column(visible=False), said_html(done), *view(picked)]

        return told_at_fields(act, HELPS, 2 + len(outputs))

    on(editor.open.click, begin, chosen, [editor.box, editor.said, *inputs])
    on(editor.close.click, lambda: gr.Column(visible=False), None, editor.box)
    kind = editor.fields.components["kind"]
    on(kind.input, other_kind, [chosen, kind], inputs)
    shown_then = [editor.box, editor.said, *outputs, *inputs]
    on(editor.save.click, save, [chosen, *inputs], shown_then)


def closed() -> list[Any]:
    """Updates of the box and of what was said, for another model."""
    return [gr.Column(visible=False), EMPTY]


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
