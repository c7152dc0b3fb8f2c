"""The pictures of data sets, small, for galleries: named by data set, version and row."""

from fastapi import APIRouter
from markupsafe import Markup
from starlette.responses import Response

from ui.services import Services
from ui.words import t
from workbench.pictures.opening import MEDIA
from workbench.pictures.store import thumbnail

#: A version's rows never change, so the browser may keep them.
KEPT = {"cache-control": "private, max-age=604800, immutable"}


def router(services: Services) -> APIRouter:
    """Routes below /api/pictures."""
    routes = APIRouter()

    @routes.get("/api/pictures/{dataset}/{version}/{row}")
    def picture(dataset: str, version: int, row: int, size: int = 256) -> Response:
        """``dataset`` is an id or a name; never a path."""
        data = thumbnail(services.workspace, dataset, version, row, size)
        return Response(data, 200, KEPT, MEDIA)

    return routes


def picture_url(services: Services, dataset: str, version: int, row: int, size: int = 256) -> str:
    """Where the page finds a document's picture; ``dataset`` is its id."""
    return f"{services.root_path}/api/pictures/{dataset}/{version}/{row}?size={size}"


def picture_html(services: Services, dataset: str, version: int, row: int) -> Markup:
    """A document's picture in a table; the text beside it says what is on it."""
    return Markup(
        '<img class="rw-thumb" src="{}" alt="{}" width="72" height="72" loading="lazy">'
    ).format(picture_url(services, dataset, version, row, 128), t("pictures.alt", row=row + 1))
