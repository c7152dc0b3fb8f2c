"""Things to take away: a model as a zip, a job's numbers as CSV, its log."""

import csv
import io
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from fastapi import APIRouter
from starlette.responses import FileResponse, Response, StreamingResponse

from ui.routes.replies import Refused
from ui.services import Services
from ui.words import t
from workbench.jobs.files import LOG
from workbench.recipes.data import KEPT
from workbench.recipes.synthesize import DROPPED
from workbench.records import Evaluation, MetricRow
from workbench.reports.write import MEDIA, report
from workbench.takeaway.snippet import replaced_files, write_in_own_process

if TYPE_CHECKING:
    from workbench.evaluation.trec import TrecFile


BLOCK = 1024 * 1024
LINES = 10_000
CSV = "text/csv; charset=utf-8"


def router(services: Services) -> APIRouter:
    """Routes below /api/download."""
    routes = APIRouter()
    workspace = services.workspace

    @routes.get("/api/download/models/{name}")
    def model(name: str) -> Response:
        """A model's folder as a zip, made while it is sent: nothing is kept on disk."""
        found = workspace.models.get(name)
        folder = workspace.models.folder(found.name)
        parts = zipped(folder, found.name, replaced_files(workspace, found))
        return StreamingResponse(parts, 200, attachment(f"{found.name}.zip"), "application/zip")

    @routes.get("/api/download/models/{name}/script.zip")
    def script(name: str) -> Response:
        """A model's run as a plain script with its rows, written for this answer."""
        found = workspace.models.get(name)
        place = tempfile.TemporaryDirectory(prefix="workbench-script-")
        try:
            write_in_own_process(workspace, found.id, Path(place.name))
        except BaseException:
            place.cleanup()
            raise
        headers = attachment(f"{found.name}-script.zip")
        return StreamingResponse(passing(place, found.name), 200, headers, "application/zip")

    @routes.get("/api/download/jobs/{id}/metrics.csv")
    def metrics(id: str) -> Response:
        job = workspace.jobs.get(id)
        text = metrics_csv(workspace.jobs.metrics(job.id))
        return Response(text, 200, attachment(f"{job.id}-metrics.csv"), CSV)

    @routes.get("/api/download/jobs/{id}/log.txt")
    def log(id: str) -> Response:
        job = workspace.jobs.get(id)
        path = workspace.jobs.folder(job.id) / LOG
        if not path.is_file():
            raise Refused(404, t("refused.log_gone"))
        headers = attachment(f"{job.id}-log.txt")
        return FileResponse(path, 200, headers, media_type="text/plain; charset=utf-8")

    @routes.get("/api/download/jobs/{id}/export.zip")
    def export(id: str) -> Response:
        """A data set as a job wrote it for another tool."""
        job = workspace.jobs.get(id)
        path = workspace.jobs.folder(job.id) / KEPT
        if job.result is None or not path.is_file():
            raise Refused(404, t("refused.export_gone"))
        name = f"{job.result['dataset']}-v{job.result['version']}-{job.result['format']}.zip"
        return FileResponse(path, 200, attachment(name), media_type="application/zip")

    @routes.get("/api/download/jobs/{id}/dropped.jsonl")
    def dropped(id: str) -> Response:
        """The questions that a synthesis left out, and why."""
        job = workspace.jobs.get(id)
        path = workspace.jobs.folder(job.id) / DROPPED
        if not path.is_file():
            raise Refused(404, t("refused.dropped_gone"))
        headers = attachment(f"{job.id}-{DROPPED}")
        return FileResponse(path, 200, headers, media_type="application/x-ndjson")

    @routes.get("/api/download/evaluations.csv")
    def evaluations(id: str) -> Response:
        """The metrics of evaluations, one row each; ``id`` is several ids with commas between."""
        found = [workspace.evaluations.get(one) for one in id.split(",")]
        names = sorted({name for one in found for name in one.metrics})
        head = ("model", "dataset", "version", "split", "queries", "documents", *names)
        rows = [_evaluation(one, names) for one in found]
        return Response(_csv([head, *rows]), 200, attachment("evaluations.csv"), CSV)

    @routes.get("/api/download/evaluations.trec.zip")
    def trec(id: str) -> Response:
        """Runs and qrels of evaluations, made while they are sent."""
        # Brings ir_measures along: not at the app's start.
        from workbench.evaluation.trec import trec_files

        files = trec_files(workspace, [workspace.evaluations.get(one) for one in id.split(",")])
        headers = attachment("evaluations-trec.zip")
        return StreamingResponse(zipped_lines(files), 200, headers, "application/zip")

    return routes


def _evaluation(one: Evaluation, names: list[str]) -> tuple[object, ...]:
    about = (one.model, one.dataset_id, one.version, one.split, one.queries, one.documents)
    return (*about, *(one.metrics.get(name, "") for name in names))


def metrics_csv(rows: list[MetricRow]) -> str:
    """Every number of a run: one line per row, a column per name."""
    names = sorted({name for row in rows for name in row.values})
    lines = [
        (row.step, row.kind, row.at, row.attempt, *(row.values.get(name, "") for name in names))
        for row in rows
    ]
    return _csv([("step", "kind", "at", "attempt", *names), *lines])


def _csv(rows: list[tuple[object, ...]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([[_plain(cell) for cell in row] for row in rows])
    return out.getvalue()


def _plain(cell: object) -> object:
    """Text that a spreadsheet would take for a formula is marked as text (OWASP)."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@") else cell


def zipped(folder: Path, name: str, instead: Mapping[str, bytes] | None = None) -> Iterator[bytes]:
    """A folder as a zip in pieces of about 1 MB; weights do not compress, so nothing is.

    ``instead``: what stands in the zip in place of a file, by its path inside the folder.
    """
    out = _Pipe()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_symlink() or not path.is_file():
                continue  # a link could lead outside the model's folder
            own = path.relative_to(folder).as_posix()
            info = zipfile.ZipInfo.from_file(path, f"{name}/{own}")
            if instead and own in instead:
                archive.writestr(f"{name}/{own}", instead[own])
                continue
            with archive.open(info, "w", force_zip64=True) as target, path.open("rb") as source:
                while block := source.read(BLOCK):
                    target.write(block)
                    yield out.take()
    yield out.take()


def passing(place: "tempfile.TemporaryDirectory[str]", name: str) -> Iterator[bytes]:
    """A folder as a zip, after which it is gone."""
    with place:
        yield from zipped(Path(place.name), name)


def zipped_lines(files: "Iterable[TrecFile]") -> Iterator[bytes]:
    """Text files as a zip in pieces; a ranking shrinks to a fifth."""
    out = _Pipe()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
        for file in files:
            with archive.open(file.name, "w", force_zip64=True) as target:
                for lines in batched(file.lines(), LINES):
                    target.write("".join(lines).encode())
                    yield out.take()
    yield out.take()


def batched(lines: Iterator[str], size: int) -> Iterator[list[str]]:
    """Lines, so many at a time."""
    while block := list(islice(lines, size)):
        yield block


class _Pipe(io.RawIOBase):
    """Where the zip is written: what was written is handed on and forgotten."""

    def __init__(self) -> None:
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = memoryview(data)  # type: ignore[arg-type]
        self._held += piece
        return piece.nbytes

    def take(self) -> bytes:
        data = bytes(self._held)
        self._held.clear()
        return data


def attachment(name: str) -> dict[str, str]:
    return {
        "content-disposition": f"attachment; filename*=UTF-8''{quote(name)}",
        "cache-control": "no-store",
    }


def download_url(services: Services, *parts: str) -> str:
    """The address of a download, e.g. ``download_url(services, "models", name)``."""
    return services.url("/api/download/" + "/".join(quote(part, safe="") for part in parts))


# A comparison's report to take away: Markdown, HTML or LaTeX.


def report_router(services: Services) -> APIRouter:
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
