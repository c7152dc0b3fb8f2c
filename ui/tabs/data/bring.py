"""How dropped files are read: what their columns hold, how texts are cut, and what comes of it.

The first rows and pieces are shown as they would be read, anew at every change.

A hub's data set, before it is imported: a job looks at it, then it is shown as files are.

The menus of its subsets and splits are filled once the look is over. Nothing on the page waits for
the network.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit import choices, form
from ui.kit.cards import set_aside_text
from ui.kit.dropzone import dropzone, staged_files
from ui.kit.events import QUICK, on, on_busy
from ui.kit.job_slot import JobSlot, card_html, newest
from ui.kit.markup import EMPTY, badge, clipped, join, piece, table
from ui.services import Services
from ui.words import sentences, t
from workbench.data.hub import PREFIX, Look, look_at
from workbench.data.preview import Preview, PreviewRow, preview_in_subprocess
from workbench.errors import BadInput
from workbench.pictures.sample import drawn
from workbench.recipes.data import HubLookRecipe, ImportRecipe, SampleRecipe

LOOKS = (HubLookRecipe.task,)
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
#: Warnings that a person can fix before the import.
_TOLD = (
    *("unknown-columns", "no-header", "unclear-header", "lines-above-header", "doubled-column"),
    *("missing-values", "other-sheets", "id-as-number"),
)
#: Columns that each menu offers; others can be typed. A page of a dozen menus with ten thousand
#: each would take seconds to arrive.
_OFFERED = 300
_SKIP = ("paths", "name", "strict", "mapping", "remove_after", "hub_subset", "hub_split")


class Bring:
    """What a data set is imported from, under which name, and the buttons that begin it."""

    def __init__(self, services: Services, chosen: gr.BrowserState) -> None:
        """``chosen`` is given the name of a data set that is on its way."""
        self.services = services
        self.chosen = chosen
        self.drop = dropzone(services, elem_id="data-drop", hint=t("bring.hint"))
        self.preview = piece(elem_id="data-preview")
        with gr.Accordion(t("bring.columns"), open=False) as self.columns:
            gr.Markdown(t("bring.columns_help"), elem_classes="rw-quiet")
            with gr.Row(equal_height=False):
                self.roles = [_menu(role, words) for role, words in ROLES.items()]
        self.hub = Hub(services)
        self.form = form.render(ImportRecipe, skip=_SKIP, prefix="import")
        self.name = gr.Textbox(
            label=t("data.name"),
            info=t("data.name_help"),
            max_lines=1,
            interactive=True,
            elem_id="data-name",
        )
        self.strict = gr.Checkbox(
            label=t("field.strict"),
            info=t("data.strict_help"),
            interactive=True,
            elem_id="data-strict",
        )
        with gr.Row(elem_classes="rw-actions"):
            self.start = gr.Button(t("data.start"), variant="primary", elem_id="data-start")
            self.sample = gr.Button(t("data.sample"), elem_id="data-sample")
            self.draw = gr.Button(t("pictures.draw"), elem_id="data-draw")
        #: What an import is read from.
        self.inputs = [self.drop, *self.hub.inputs, *self.roles, *self.form.inputs]
        model = self.form.components["piece_model"]
        #: What a first look at new files fills.
        self.looked = [self.preview, self.columns, *self.roles, model]

    def listen(self, refill: Callable[[Any], None]) -> None:
        """``refill`` has the whole tab filled after an event."""
        begun = on_busy(
            self.start,
            self._start,
            [self.name, self.strict, *self.inputs],
            [self.drop, self.name, *self.hub.inputs, *self.looked, self.chosen],
            says=t("data.starting"),
            then=t("data.start"),
        )
        refill(begun)
        refill(on(self.sample.click, self._sample, None, self.chosen))
        refill(on(self.draw.click, self._draw, None, self.chosen))
        self.hub.listen()
        seen = [self.hub.subset, self.hub.split, *self.looked]
        on(self.hub.job.card.change, self._look_at_hub, self.inputs, seen)
        on(self.drop.upload, self._look, self.inputs, self.looked, trigger_mode="always_last")
        # A number is looked at when it is written, a choice when it is made.
        fields = self.form.components
        made = [*self.roles, self.hub.subset, self.hub.split]
        made += [fields[name] for name in ("header", "scores", "pieces")]
        written = [fields[name] for name in ("piece_size", "piece_overlap", "encoding")]
        for listener in (*(one.input for one in made), *(one.blur for one in written)):
            on(listener, self._again, self.inputs, self.preview, trigger_mode="always_last")
        on(fields["piece_model"].input, self._again, self.inputs, self.preview)
        form.listen_depends(self.form)

    def _start(self, name: str, strict: bool, *raw: Any) -> dict[Any, Any]:
        workspace = self.services.workspace
        recipe = self.read(raw, name.strip() or "-", strict=strict, remove_after=True)
        if recipe is None:
            raise BadInput(t("data.no_files"), t("data.no_files_hint"))
        wanted = name.strip() or workspace.datasets.free_name(name_from(recipe.paths))
        workspace.jobs.submit(recipe.model_copy(update={"name": wanted}))
        return {
            self.drop: "",
            self.name: "",
            self.hub.id: "",
            self.hub.subset: None,
            self.hub.split: [],
            **self._cleared(),
            self.chosen: wanted,
        }

    def _sample(self) -> str:
        workspace = self.services.workspace
        name = workspace.datasets.free_name("stdlib-code")
        workspace.jobs.submit(SampleRecipe(name=name))
        return name

    def _draw(self) -> str:
        recipe = drawn(self.services.workspace)
        self.services.workspace.jobs.submit(recipe)
        return recipe.name

    def _look(self, *raw: Any) -> dict[Any, Any]:
        """New files: their columns are offered, and guessed where they are not known."""
        recipe = self.read(raw)
        if recipe is None:
            return self._cleared()
        workspace = self.services.workspace
        found = preview_in_subprocess(workspace, recipe)
        html = preview_html(found)
        if not found.known and found.guess and not recipe.mapping:
            guessed = [f"{role}={column}" for column, role in found.guess.items()]
            recipe = recipe.model_copy(update={"mapping": guessed})
            html = preview_html(preview_in_subprocess(workspace, recipe), guessed=True)
        names = choices.model_names(workspace)
        return {
            self.preview: html,
            self.columns: gr.Accordion(open=not found.known),
            **self._menus(list(found.columns)[:_OFFERED], recipe.mapping),
            self.form.components["piece_model"]: choices.model_menu(names, recipe.piece_model),
        }

    def _look_at_hub(self, files: Any, *raw: Any) -> Any:
        """A look at a hub's data set is over: it is shown, as new files are."""
        id, subset, split, *rest = raw
        look = self.hub.found(id, subset)
        if look is None:
            return gr.skip()
        menus = self.hub.menus(look, split)
        chosen = [menu["value"] for menu in menus.values()]
        return {**menus, **self._look(files, id, *chosen, *rest)}

    def _again(self, *raw: Any) -> str:
        recipe = self.read(raw)
        if recipe is None:
            return EMPTY
        return preview_html(preview_in_subprocess(self.services.workspace, recipe))

    def _cleared(self) -> dict[Any, Any]:
        """Nothing is looked at any more."""
        closed = gr.Accordion(open=False)
        return {self.preview: EMPTY, self.columns: closed, **self._menus([], [])}

    def _menus(self, columns: Sequence[str], mapping: Sequence[str]) -> dict[Any, Any]:
        return dict(zip(self.roles, role_menus(columns, mapping), strict=True))

    def read(self, raw: Sequence[Any], name: str = "-", **more: Any) -> ImportRecipe | None:
        """The recipe that the values of ``inputs`` make; None where nothing is to be read."""
        files, hub, subset, split, *rest = raw
        roles, values = rest[: len(ROLES)], rest[len(ROLES) :]
        paths = [str(path) for path in staged_files(self.services, files)]
        paths += [path] if (path := path_of(hub)) else []
        if not paths:
            return None
        return ImportRecipe.read(
            {
                **self.form.values(values),
                "paths": paths,
                "name": name,
                "mapping": mapping_of(roles),
                "hub_subset": subset or "",
                "hub_split": ",".join(split or []),
                **more,
            }
        )


def _menu(role: str, words: str) -> gr.Dropdown:
    return choices.open_menu(
        label=t(words),
        multiselect=role == "negative",
        min_width=180,
        elem_id=f"data-role-{role}",
    )


def name_from(paths: Sequence[str]) -> str:
    """A data set's name from its first file's."""
    return Path(paths[0]).name.split(".")[0][:80] or t("data.unnamed")


def mapping_of(roles: Sequence[Any]) -> list[str]:
    """What is chosen in each menu of ``ROLES``, as 'role=column'."""
    said = []
    for role, chosen in zip(ROLES, roles, strict=True):
        for column in chosen if isinstance(chosen, list) else [chosen]:
            if column:
                said.append(f"{role}={column}")
    return said


def role_menus(columns: Sequence[str], mapping: Sequence[str]) -> list[Any]:
    """Updates for the menus of ``ROLES``: the files' columns, and what is chosen in each."""
    named = [tuple(one.split("=", 1)) for one in mapping]
    menus: list[Any] = []
    for role in ROLES:
        chosen = [column for name, column in named if name == role]
        value = chosen if role == "negative" else next(iter(chosen), None)
        menus.append(choices.update([(column, column) for column in columns], value))
    return menus


class Hub:
    """A hub's data set, before it is imported: a job looks at it, then it is shown as files are.

    The menus of its subsets and splits are filled once the look is over. Nothing on the page waits
    for the network.
    """

    def __init__(self, services: Services) -> None:
        self.services = services
        with gr.Accordion(t("bring.hub"), open=False, elem_id="data-hub-box"):
            with gr.Row(equal_height=False):
                self.id = gr.Textbox(
                    label=t("bring.hub_id"),
                    info=t("bring.hub_help"),
                    placeholder=t("bring.hub_place"),
                    max_lines=1,
                    interactive=True,
                    scale=4,
                    elem_id="data-hub",
                )
                self.look = gr.Button(
                    t("bring.look"), scale=0, min_width=120, size="sm", elem_id="data-hub-look"
                )
            with gr.Row(equal_height=False):
                self.subset = choices.open_menu(
                    label=t("field.hub_subset"),
                    info=t("bring.subset_help"),
                    elem_id="data-hub-subset",
                )
                self.split = choices.open_menu(
                    label=t("field.hub_split"),
                    info=t("bring.split_help"),
                    multiselect=True,
                    elem_id="data-hub-split",
                )
            #: The look that is running, or else the last one.
            self.job = JobSlot("data-hub-job")
        self.inputs = [self.id, self.subset, self.split]

    def listen(self) -> None:
        """Only what asks for a look. What comes of it is the concern of :class:`Bring`."""
        on_busy(
            self.look,
            self._ask,
            [self.id, self.subset],
            self.job.outputs,
            says=t("bring.looking"),
            then=t("bring.look"),
        )
        on(self.id.submit, lambda id: self._ask(id, ""), self.id, self.job.outputs)
        on(self.subset.input, self._other, [self.id, self.subset], self.job.outputs)
        self.job.listen(self.services, lambda _id: self.view(), [], self.job.outputs)
        # Another id has other subsets; the page forgets them by itself, at every key.
        forget = "() => [null, []]"
        self.id.input(None, None, [self.subset, self.split], js=forget, **QUICK)

    def _ask(self, id: str, subset: str | None) -> dict[Any, Any]:
        recipe = HubLookRecipe.read({"dataset_id": (id or "").strip(), "subset": subset or ""})
        self.services.workspace.jobs.submit(recipe)
        return self.view()

    def _other(self, id: str, subset: str | None) -> Any:
        """Another subset has columns of its own: it is looked at unless that was done before."""
        return gr.skip() if not id or self.found(id, subset) else self._ask(id, subset)

    def found(self, id: str | None, subset: str | None) -> Look | None:
        """What was seen of that subset."""
        path = path_of(id)
        return look_at(self.services.workspace, path, subset or "") if path else None

    def menus(self, look: Look, split: list[str] | None) -> dict[Any, Any]:
        """The menus of subsets and splits; splits that were chosen stay if they can."""
        kept = [name for name in split or [] if name in look.splits]
        subsets = [(name, name) for name in look.subsets]
        return {
            self.subset: choices.update(subsets, look.subset or None),
            self.split: choices.update([(name, name) for name in look.splits], kept),
        }

    def view(self) -> dict[Any, Any]:
        """The newest look."""
        job = newest(self.services, LOOKS)
        return self.job.show(card_html(job), job)

    def changed(self, card: str) -> dict[Any, Any]:
        """What a look after the job changes."""
        job = newest(self.services, LOOKS)
        return self.job.changed(card, card_html(job), job)


def path_of(id: str | None) -> str:
    """'hf:OWNER/NAME'; '' where nothing was typed."""
    plain = (id or "").strip()
    return plain if not plain or plain.startswith(PREFIX) else PREFIX + plain


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
