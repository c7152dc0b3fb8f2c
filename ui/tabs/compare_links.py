"""What can be taken away of something measured: its report in three forms, its rankings as TREC."""

from markupsafe import Markup

from ui.routes.downloads import download_url
from ui.services import Services
from ui.words import t
from workbench.evaluation.ranked import ranked_ids
from workbench.records import Job


def links(services: Services, job: Job) -> Markup:
    """Of a comparison or a pipeline matrix that was measured (those from before evaluations had
    ids have no rankings to take)."""
    link = Markup('<a class="rw-link" href="{}" download>{}</a>')
    words = {
        "html": t("compare.report_html"),
        "md": t("compare.report_md"),
        "tex": t("compare.report_tex"),
    }
    reports = (
        link.format(download_url(services, "comparisons", job.id, f"report.{form}"), text)
        for form, text in words.items()
    )
    parts = [Markup("{} {}").format(t("compare.report"), Markup(" · ").join(reports))]
    ids = ",".join(ranked_ids(job.result or {}))
    if ids:
        address = f"{services.url('/api/download/evaluations.trec.zip')}?id={ids}"
        parts.append(link.format(address, t("compare.trec")))
    return Markup('<p class="rw-small rw-takeaway">{}</p>').format(Markup("<br>").join(parts))
