"""A comparison's report to take away: Markdown, HTML or LaTeX."""

from fastapi import APIRouter
from starlette.responses import Response

from ui.routes.downloads import attachment
from ui.routes.replies import Refused
from ui.services import Services
from ui.words import t
from workbench.reports.write import MEDIA, report


def router(services: Services) -> APIRouter:
    """Routes below /api/download."""
    routes = APIRouter()

    @routes.get("/api/download/comparisons/{id}/report.{form}")
    def comparison(id: str, form: str) -> Response:
        if form not in MEDIA:
            raise Refused(404, t("compare.no_form", forms=", ".join(MEDIA)))
        text = report(services.workspace, id, form)
        # An attachment: never shown in the page's own origin.
        headers = attachment(f"comparison-{id}.{form}")
        return Response(text, 200, headers, f"{MEDIA[form]}; charset=utf-8")

    return routes
