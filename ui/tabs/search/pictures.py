"""Searching by a picture: one that is dropped, or one that was found ('more like this')."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.dropzone import dropzone, staged_files
from ui.kit.events import on, on_busy
from ui.kit.markup import join
from ui.routes.pictures import picture_url
from ui.routes.uploads import uploads_of
from ui.services import Services
from ui.tabs.search.hits import SMALL, results_html, tiles
from ui.tabs.search.options import hits_of
from ui.words import t
from workbench.errors import BadInput, SearchUnavailable
from workbench.pictures.decode_subprocess import MEDIA, shrunk
from workbench.pictures.opening import SUFFIXES
from workbench.search.pictures import of_pictures

#: What was asked for last: a file of the drop zone by its upload's id, or a document by index,
#: version of the data set and row.
_UPLOAD, _FOUND = "upload", "found"


@dataclass(frozen=True)
class ByPicture:
    box: gr.Accordion
    drop: gr.HTML
    #: Names the picture that was asked for last.
    asked: gr.Textbox
    again: gr.Button


@dataclass(frozen=True, slots=True)
class Sought:
    """A picture to look for: its file, and which document's it is; of an uploaded one, none."""

    path: Path
    #: The data set's id and version, the row, and where the picture lies among its files.
    document: tuple[str, int, int, str] | None = None

    @property
    def without(self) -> str:
        """The picture that is not to be found: itself."""
        return self.document[3] if self.document else ""

    def url(self, services: Services) -> str:
        """For an ``img``; raises :class:`PictureUnusable` for an upload that cannot be opened."""
        if self.document is not None:
            dataset, version, row, _ = self.document
            return picture_url(services, dataset, version, row, SMALL)
        data = base64.b64encode(shrunk(self.path, SMALL)).decode()
        return f"data:{MEDIA};base64,{data}"


def render(services: Services) -> ByPicture:
    with gr.Accordion(
        t("bypicture.title"), open=True, visible=False, elem_id="search-picture"
    ) as box:
        drop = dropzone(
            services,
            elem_id="search-picture-drop",
            label=t("bypicture.label"),
            hint=t("bypicture.hint"),
            accept=",".join(sorted(SUFFIXES)),
            single=True,
        )
        asked = gr.Textbox(visible=False, label=t("bypicture.title"))
        with gr.Row(elem_classes="rw-actions"):
            again = gr.Button(t("bypicture.again"), visible=False, elem_id="search-picture-again")
    return ByPicture(box, drop, asked, again)


def listen(services: Services, by: ByPicture, results: gr.HTML, sides: list[Any]) -> None:
    """``sides``: the components of left and right index, the filter, number of hits."""

    def shown(name: str, *raw: Any) -> list[Any]:
        return [name, gr.Button(visible=True), ask_html(services, name, *raw)]

    def dropped(files: str | None, *raw: Any) -> list[Any]:
        if not staged_files(services, files):
            return [gr.skip()] * 4
        last = json.loads(files or "")[-1]["id"]
        return ["", *shown(f"{_UPLOAD}:{last}", *raw)]

    def found(
        left: str | None,
        right: str | None,
        where: str | None,
        hits: float | None,
        event: gr.EventData,
    ) -> list[Any]:
        return shown(f"{_FOUND}:{event.value}", left, right, where, hits)

    outputs = [by.asked, by.again, results]
    on(
        by.drop.upload,
        dropped,
        [by.drop, *sides],
        [by.drop, *outputs],
        trigger_mode="always_last",
        show_progress="minimal",
    )
    on(results.select, found, sides, outputs, queue=True, show_progress="minimal")
    on_busy(
        by.again,
        lambda name, *raw: ask_html(services, name or "", *raw),
        [by.asked, *sides],
        results,
        says=t("search.asking"),
        then=t("bypicture.again"),
    )


def box_update(services: Services, names: Sequence[str | None]) -> dict[str, Any]:
    """Shown where one of the chosen indexes can be asked by a picture."""
    indexes = services.workspace.indexes
    seen = any(name and indexes.exists(name) and of_pictures(indexes.get(name)) for name in names)
    return gr.update(visible=seen)


def ask_html(
    services: Services,
    name: str,
    left: str | None,
    right: str | None,
    where: str | None,
    hits: float | None = None,
) -> str:
    """Ask those sides that are of pictures, and show what they found below what was asked for."""
    chosen = [services.workspace.indexes.get(one) for one in (left, right) if one]
    asked = list({one.id: one for one in chosen if of_pictures(one)}.values())
    if not asked:
        raise BadInput(t("bypicture.no_index"), t("bypicture.no_index_hint"))
    if services.search is None:
        raise SearchUnavailable(t("search.off"))
    sought = _sought(services, name)
    results = services.search.search_picture(
        [one.name for one in asked],
        sought.path,
        hits_of(hits),
        where=where or "",
        without=sought.without,
    )
    drawn = results_html(results, draws=tiles(services, results))
    return _above(sought.url(services), [one.name for one in chosen if one not in asked]) + drawn


def _above(url: str, texts: list[str]) -> Markup:
    """What was asked for, and which sides were not asked."""
    said = join(
        Markup('<p class="rw-quiet rw-small">{}</p>').format(t("bypicture.texts", name=name))
        for name in texts
    )
    return Markup(
        '<div class="rw-sought"><img src="{}" alt="{}"><div><p>{}</p>{}</div></div>'
    ).format(url, t("bypicture.alt"), t("bypicture.like"), said)


def _sought(services: Services, name: str) -> Sought:
    """The picture of that name; raises :class:`BadInput` where it is not there any more."""
    kind, _, rest = name.partition(":")
    if kind == _UPLOAD:
        return Sought(uploads_of(services).whole(rest))
    gone = BadInput(t("bypicture.gone"), t("bypicture.gone_hint"))
    id, *numbers = rest.split(":")
    indexes = services.workspace.indexes
    if len(numbers) != 2 or not (indexes.exists(id) and all(map(_is_number, numbers))):
        raise gone
    dataset = indexes.get(id).dataset_id
    version, row = map(int, numbers)
    reader = services.workspace.datasets.read(dataset, version)
    place = reader.documents(row, row + 1)["picture"].to_pylist()
    if not place or not place[0]:
        raise gone
    return Sought(reader.folder / place[0], (dataset, version, row, place[0]))


def _is_number(text: str) -> bool:
    """One that a database and a table take."""
    return text.isdecimal() and int(text) < 2**31
