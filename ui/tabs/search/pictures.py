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
from ui.tabs.search.hits import SMALL, Order, results_html, tiles
from ui.tabs.search.options import Asked, Options, read
from ui.words import t
from workbench.errors import BadInput, SearchUnavailable
from workbench.pictures.opening import MEDIA, SUFFIXES, shrunk
from workbench.search.pictures import of_pictures

#: What was asked for last: a file of the drop zone by its upload's id, or a document by index,
#: version of the data set and row.
_UPLOAD, _FOUND = "upload", "found"


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


class ByPicture:
    """Shown where one of the chosen indexes can be asked by a picture."""

    def __init__(self, services: Services) -> None:
        self.services = services
        with gr.Accordion(
            t("bypicture.title"), open=True, visible=False, elem_id="search-picture"
        ) as self.box:
            self.drop = dropzone(
                services,
                elem_id="search-picture-drop",
                label=t("bypicture.label"),
                hint=t("bypicture.hint"),
                accept=",".join(sorted(SUFFIXES)),
                single=True,
            )
            #: Names the picture that was asked for last.
            self.asked = gr.Textbox(visible=False, label=t("bypicture.title"))
            with gr.Row(elem_classes="rw-actions"):
                self.again = gr.Button(
                    t("bypicture.again"), visible=False, elem_id="search-picture-again"
                )

    def listen(self, options: Options, order: Order, results: gr.HTML) -> None:
        """``results``: where answers stand, whose pictures lead to more like them; ``order``:
        theirs."""
        services = self.services

        def shown(request: gr.Request, name: str, *raw: Any) -> dict[Any, Any]:
            number = order.ask()
            found = ask_html(services, name, read(*raw))
            if not order.shows(request, number):
                return {}
            return {self.asked: name, self.again: gr.Button(visible=True), results: found}

        def dropped(request: gr.Request, files: str | None, *raw: Any) -> Any:
            if not staged_files(services, files):
                return gr.skip()
            last = json.loads(files or "")[-1]["id"]
            return {self.drop: "", **shown(request, f"{_UPLOAD}:{last}", *raw)}

        def found(event: gr.EventData, request: gr.Request, *raw: Any) -> Any:
            return shown(request, f"{_FOUND}:{event.value}", *raw) or gr.skip()

        def again(request: gr.Request, name: str | None, *raw: Any) -> Any:
            return shown(request, name or "", *raw) or gr.skip()

        outputs = [self.asked, self.again, results]
        on(
            self.drop.upload,
            dropped,
            [self.drop, *options.inputs],
            [self.drop, *outputs],
            trigger_mode="always_last",
            show_progress="minimal",
        )
        on(results.select, found, options.inputs, outputs, queue=True, show_progress="minimal")
        on_busy(
            *(self.again, again, [self.asked, *options.inputs], outputs),
            says=t("search.asking"),
            then=t("bypicture.again"),
        )

    def view(self, names: Sequence[str | None]) -> dict[Any, Any]:
        """``names``: the indexes that are chosen."""
        indexes = self.services.workspace.indexes
        there = [indexes.get(name) for name in names if name and indexes.exists(name)]
        return {self.box: gr.update(visible=any(map(of_pictures, there)))}


def ask_html(services: Services, name: str, asked: Asked) -> str:
    """Ask those sides that are of pictures, and show what they found below what was asked for."""
    chosen = [services.workspace.indexes.get(side.index) for side in asked.sides]
    seeing = list({one.id: one for one in chosen if of_pictures(one)}.values())
    if not seeing:
        raise BadInput(t("bypicture.no_index"), t("bypicture.no_index_hint"))
    if services.search is None:
        raise SearchUnavailable(t("search.off"))
    sought = _sought(services, name)
    results = services.search.search_picture(
        [one.name for one in seeing],
        sought.path,
        asked.hits,
        where=asked.where,
        without=sought.without,
    )
    drawn = results_html(results, draws=tiles(services, results))
    texts = [one.name for one in chosen if one not in seeing]
    return _above(sought.url(services), texts) + drawn


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
