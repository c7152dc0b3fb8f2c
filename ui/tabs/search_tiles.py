"""The pictures among what was found, as tiles of a gallery: small ones, loaded as they are scrolled
to, each of which opens large in place (``static/gallery.js``)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import gradio as gr
from markupsafe import Markup

from ui.kit.hits import marked, marked_text
from ui.kit.live import scripts
from ui.kit.markup import EMPTY, pick
from ui.routes.pictures import picture_url
from ui.services import Services
from ui.words import t
from workbench.records import Index
from workbench.search.pictures import of_pictures

if TYPE_CHECKING:
    from workbench.search.results import Hit, SearchResult

#: Pixels of a tile's picture, and of the one that opens: the sizes that are kept.
SMALL, LARGE = 256, 1024


@dataclass(frozen=True, slots=True)
class Tiles:
    """Draws the hits of one index of a data set with pictures."""

    services: Services
    index: Index
    #: Whether each has 'more like this'.
    more: bool = True

    def __call__(self, hit: "Hit", query: str) -> Markup:
        """The hit's picture, caption and what can be asked from it; of one without, its text."""
        title = Markup("<strong>{}</strong> ").format(marked(query, hit.title))
        caption = Markup("{}{}").format(title if hit.title else EMPTY, marked_text(query, hit.text))
        if not hit.picture:
            return caption
        alt = hit.text or hit.title or t("pictures.alt", row=hit.row + 1)
        return Markup(
            '<a class="rw-tile" href="{}" target="_blank" rel="noopener">'
            '<img src="{}" alt="{}" loading="lazy"></a>{}{}'
        ).format(
            self._url(hit.row, LARGE), self._url(hit.row, SMALL), alt, caption, self._more(hit)
        )

    def attributes(self) -> Markup:
        """What the list of tiles tells its script."""
        return Markup(
            ' class="rw-gallery" data-close="{}" data-before="{}" data-after="{}"'
        ).format(t("gallery.close"), t("gallery.before"), t("gallery.after"))

    def _url(self, row: int, size: int) -> str:
        return picture_url(self.services, self.index.dataset_id, self.index.version, row, size)

    def _more(self, hit: "Hit") -> Markup:
        if not (self.more and of_pictures(self.index)):
            return EMPTY
        # With its version: after an update of the index the row may be another picture's.
        at = f"{self.index.id}:{self.index.version}:{hit.row}"
        return Markup("<p>{}</p>").format(pick(at, t("gallery.more")))


def tiles(
    services: Services, results: "Sequence[SearchResult]", *, more: bool = True
) -> list[Tiles | None]:
    """For each side that found pictures how its hits are drawn; None where they are texts."""
    return [
        Tiles(services, services.workspace.indexes.get(one.index), more)
        if any(hit.picture for hit in one.hits)
        else None
        for one in results
    ]


def gallery_piece(
    services: Services, elem_id: str, *, picks: bool = True, more: str = ""
) -> gr.HTML:
    """A component for results whose pictures open large; ``more`` is another script of its own."""
    start = f"window.Workbench.gallery(element{', trigger' if picks else ''});"
    return gr.HTML(
        elem_id=elem_id,
        apply_default_css=False,
        js_on_load=f"{start}\n{more}",
        head=scripts(services, "common.js", "gallery.js"),
    )
