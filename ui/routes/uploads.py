"""Uploads by pieces: begin, send, ask how far it got, let go."""

import json
import threading
from collections import defaultdict

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ui.routes.replies import Refused, reply
from ui.services import Services
from ui.uploads import MOST_SLICE, Upload, Uploads
from ui.words import amounts, t

#: Bytes gathered before they are written, off the event loop.
BLOCK = 4 * 1024 * 1024


class Begin(BaseModel):
    """What the browser says of a file; of a folder also its files: (relative path, bytes)."""

    name: str
    size: int
    files: list[tuple[str, int]] | None = None


def router(services: Services) -> APIRouter:
    """Routes below /api/uploads."""
    routes = APIRouter()
    uploads = uploads_of(services)
    writing: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    @routes.post("/api/uploads")
    def begin(wanted: Begin) -> Response:
        clean(services)
        return reply(_state(uploads.begin(wanted.name, wanted.size, wanted.files)), 201)

    @routes.get("/api/uploads/{id}")
    def state(id: str) -> Response:
        return reply(_state(uploads.get(id)))

    @routes.put("/api/uploads/{id}")
    async def send(id: str, offset: int, request: Request) -> Response:
        """Bytes from ``offset`` on. What arrived before a break is kept."""
        # A folder's list of files is read with it: not in the event loop.
        upload = await run_in_threadpool(uploads.get, id)
        lock = writing[upload.id]
        if not lock.acquire(blocking=False):
            raise Refused(409, t("upload.offset"), received=upload.received)
        try:
            upload = await _receive(uploads, upload, offset, request)
        finally:
            lock.release()
            writing.pop(upload.id, None)
        return reply(_state(upload))

    @routes.delete("/api/uploads/{id}")
    def remove(id: str) -> Response:
        uploads.remove(id)
        return reply({"removed": id})

    return routes


def uploads_of(services: Services) -> Uploads:
    """The staged files of a workspace."""
    return Uploads(services.workspace.path("uploads"))


def clean(services: Services) -> list[str]:
    """Remove stale uploads, except those that a waiting or running job was given."""
    active = services.workspace.jobs.active()
    return uploads_of(services).clean(json.dumps([job.recipe for job in active]))


async def _receive(uploads: Uploads, upload: Upload, offset: int, request: Request) -> Upload:
    held, total = bytearray(), 0
    if upload.received != offset:
        raise Refused(409, t("upload.offset"), received=upload.received)
    try:
        async for chunk in request.stream():
            total += len(chunk)
            if total > MOST_SLICE:
                raise Refused(413, t("upload.slice", limit=amounts.size(MOST_SLICE)))
            held += chunk
            if len(held) >= BLOCK:
                upload = await _write(uploads, upload, held)
    except ClientDisconnect as gone:
        await _write(uploads, upload, held)
        raise Refused(400, t("upload.offset")) from gone
    return await _write(uploads, upload, held)


async def _write(uploads: Uploads, upload: Upload, held: bytearray) -> Upload:
    data = bytes(held)
    held.clear()
    return await run_in_threadpool(uploads.append, upload, upload.received, data)


def _state(upload: Upload) -> dict[str, object]:
    return {
        "id": upload.id,
        "name": upload.name,
        "size": upload.size,
        "received": upload.received,
        "complete": upload.complete,
    }
