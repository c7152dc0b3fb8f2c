"""How dropped files are read: what their columns hold, how texts are cut, and what comes of it.

The first rows and pieces are shown as they would be read, anew at every change.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui import choices, form
from ui.cards import set_aside_text
from ui.dropzone import staged_files
from ui.feedback import on
from ui.markup import EMPTY, badge, clipped, join, piece, table
from ui.services import Services
from ui.tabs import data_hub as hubs
from ui.words import sentences, t
from workbench.data.preview import Preview, PreviewRow
from workbench.data.preview_subprocess import preview_in_subprocess
from workbench.recipes.data import ImportRecipe

#: Every role a column may have, and its words; 'negative' may be several columns.
ROLES = {
    "query": "bring.role_query",
    "positive": "bring.role_positive",
    "negative": "bring.role_negative",
    "label": "bring.role_label",
    "left": "bring.role_left",
    "right": "bring.role_right",
    "id": "bring.role_id",
    "query_id": "bring.role_query_id",
    "document_id": "bring.role_document_id",
    "title": "bring.role_title",
    "text": "bring.role_text",
    "prompt": "bring.role_prompt",
    "picture": "bring.role_picture",
}
_KINDS = {
    "query": "bring.kind_query",
    "pair": "bring.kind_pair",
    "document": "bring.kind_document",
}
#: Warnings that a person can mend before the import.
_TOLD = (
    *("unknown-columns", "no-header", "unclear-header", "lines-above-header", "doubled-column"),
    *("missing-values", "other-sheets", "id-as-number"),
)
#: Columns that each menu offers; others can be typed. A page of a dozen menus with ten thousand
#: each would take seconds to arrive.
_OFFERED = 300
_SKIP = ("paths", "name", "strict", "mapping", "remove_after", "hub_subset", "hub_split")


@dataclass(frozen=True)
class Bring:
    hub: hubs.Hub
    shown: gr.HTML
    columns: gr.Accordion
    roles: tuple[gr.Dropdown, ...]
    form: form.Form

    @property
    def inputs(self) -> list[Any]:
        """What an import is read from, besides its files."""
        return [*self.hub.inputs, *self.roles, *self.form.inputs]

    @property
    def looked(self) -> list[Any]:
        """What a first look at new files fills."""
        return [self.shown, self.columns, *self.roles, self.form.components["piece_model"]]


def render() -> Bring:
    shown = piece(elem_id="data-preview")
    with gr.Accordion(t("bring.columns"), open=False) as columns:
        gr.Markdown(t("bring.columns_help"), elem_classes="rw-quiet")
        with gr.Row(equal_height=False):
            roles = tuple(
                choices.open_menu(
                    label=t(words),
                    multiselect=role == "negative",
                    min_width=180,
                    elem_id=f"data-role-{role}",
                )
                for role, words in ROLES.items()
            )
    hub = hubs.render()
    drawn = form.render(ImportRecipe, skip=_SKIP, prefix="import")
    return Bring(hub, shown, columns, roles, drawn)


def listen(services: Services, bring: Bring, drop: gr.HTML) -> None:
    def first(files: Any, *raw: Any) -> list[Any]:
        """New files: their columns are offered, and guessed where they are not known."""
        recipe = read(services, bring, files, "-", raw)
        if recipe is None:
            return cleared()
        found = preview_in_subprocess(services.workspace, recipe)
        if not found.known and found.guess and not recipe.mapping:
            guessed = [f"{role}={column}" for column, role in found.guess.items()]
            recipe = recipe.model_copy(update={"mapping": guessed})
            tried = preview_in_subprocess(services.workspace, recipe)
            html = preview_html(tried, guessed=True)
        else:
            html = preview_html(found)
        model = choices.model_menu(choices.model_names(services.workspace), recipe.piece_model)
        opened = gr.Accordion(open=not found.known)
        return [html, opened, *_menus(list(found.columns)[:_OFFERED], recipe.mapping), model]

    def again(files: Any, *raw: Any) -> str:
        recipe = read(services, bring, files, "-", raw)
        if recipe is None:
            return EMPTY
        return preview_html(preview_in_subprocess(services.workspace, recipe))

    def looked(files: Any, *raw: Any) -> list[Any]:
        """A look at a hub's data set is over: it is shown, as new files are."""
        id, subset, split, *rest = raw
        look = hubs.look_of(services, id, subset)
        if look is None:
            return [gr.skip()] * (2 + len(bring.looked))
        menus = hubs.menus(look, split)
        return [*menus, *first(files, id, menus[0]["value"], menus[1]["value"], *rest)]

    inputs = [drop, *bring.inputs]
    hubs.listen(services, bring.hub)
    on(
        bring.hub.job.card.change,
        looked,
        inputs,
        [bring.hub.subset, bring.hub.split, *bring.looked],
    )
    on(drop.upload, first, inputs, bring.looked, trigger_mode="always_last")
    # A number is looked at when it is written, a choice when it is made.
    made = [
        *bring.roles,
        bring.hub.subset,
        bring.hub.split,
        *(bring.form.components[name] for name in ("header", "scores", "pieces")),
    ]
    written = [bring.form.components[name] for name in ("piece_size", "piece_overlap", "encoding")]
    for listener in (*(one.input for one in made), *(one.blur for one in written)):
        on(listener, again, inputs, bring.shown, trigger_mode="always_last")
    on(bring.form.components["piece_model"].input, again, inputs, bring.shown)
    form.listen_depends(bring.form)


def read(
    services: Services, bring: Bring, files: Any, name: str, raw: Sequence[Any], **more: Any
) -> ImportRecipe | None:
    """The recipe that the files and the fields make; None where nothing is to be read."""
    hub, subset, split, *rest = raw
    roles, values = rest[: len(ROLES)], rest[len(ROLES) :]
    paths = [str(path) for path in staged_files(services, files)]
    paths += [path] if (path := hubs.path_of(hub)) else []
    if not paths:
        return None
    return ImportRecipe.read(
        {
            **bring.form.values(values),
            "paths": paths,
            "name": name,
            "mapping": _mapping(roles),
            **hubs.values(subset, split),
            **more,
        }
    )


def _mapping(roles: Sequence[Any]) -> list[str]:
    said = []
    for role, chosen in zip(ROLES, roles, strict=True):
        for column in chosen if isinstance(chosen, list) else [chosen]:
            if column:
                said.append(f"{role}={column}")
    return said


def _menus(columns: list[str], mapping: Sequence[str]) -> list[Any]:
    """The menus with the files' columns, and what is chosen in each."""
    named = [tuple(one.split("=", 1)) for one in mapping]
    menus: list[Any] = []
    for role in ROLES:
        chosen = [column for name, column in named if name == role]
        value = chosen if role == "negative" else next(iter(chosen), None)
        menus.append(choices.update([(column, column) for column in columns], value))
    return menus


def cleared() -> list[Any]:
    """Updates for ``Bring.looked`` once the files are gone."""
    return [EMPTY, gr.Accordion(open=False), *_menus([], []), gr.skip()]


def preview_html(found: Preview, guessed: bool = False) -> str:
    """The first rows as they would be read, or why they cannot be."""
    parts: list[str] = []
    if guessed:
        parts.append(Markup('<p class="rw-quiet">{}</p>').format(t("bring.guessed")))
    if found.format:
        caption = t("bring.first", format=found.format)
        parts.append(Markup('<p class="rw-quiet">{}</p>').format(caption))
    if found.rows:
        heads = [t("bring.as"), t("bring.holds"), t("bring.where")]
        parts.append(table(heads, [_cells(row) for row in found.rows], caption=caption))
    if aside := set_aside_text({"set_aside": found.set_aside}):
        parts.append(Markup('<p class="warning">{}</p>').format(aside))
    told = [one for one in found.problems if one["severity"] == "error" or one["code"] in _TOLD]
    problems = sorted(told, key=lambda one: one["severity"])[:3]
    said = [
        Markup("<li>{}: {}</li>").format(one["file"], sentences.said(one["message"]))
        for one in problems
    ]
    notes = [Markup("<li>{}</li>").format(sentences.said(note)) for note in found.notes[:3]]
    if said or notes:
        parts.append(Markup('<ul class="rw-notes">{}</ul>').format(join([*said, *notes])))
    return join(parts)


def _cells(row: PreviewRow) -> list[str]:
    where = Markup('<span class="rw-text short">{}:{}</span>').format(row.file, row.line)
    texts = (
        Markup("<p><em>{}</em> {}</p>").format(role, clipped(text)) for role, text in row.texts
    )
    return [badge(t(_KINDS[row.kind])), join(texts), where]
