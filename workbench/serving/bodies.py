"""How large a request's body may be: its bytes, the values and the depth of its JSON, and the time
it takes to arrive. All of it is looked at before anything reads the body.
"""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: A text within JSON, to its end or the body's. No part of it can be read in two ways, so it takes
#: one pass, whatever is sent.
_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")
_OPENING = (b"[", b"{")


@dataclass(frozen=True, slots=True)
class BodyLimit:
    """What one route takes; one of 0 bytes is closed."""

    bytes: int
    #: Values of a JSON document, and how deep they may lie within one another.
    values: int = 1000
    depth: int = 32
    #: Until all of it is here.
    seconds: float = 30.0
    #: A body that is handed on while it arrives may pause for so long; 0 for one that is read whole
    #: before it is handed on.
    pause: float = 0.0


class Refused(Exception):
    """The body will not do. ``why`` is 'bytes', 'values', 'depth', 'slow', 'parts', 'encoding' or
    'closed'."""

    def __init__(self, why: str, status: int) -> None:
        super().__init__(why)
        self.why = why
        self.status = status


class Gone(Exception):
    """Who sent it has closed the connection."""


#: What a request is allowed; None where the middleware is not to touch it.
Chosen = Callable[[Scope], BodyLimit | None]
#: A refusal in words.
Said = Callable[[Scope, Refused, BodyLimit], Response]


@dataclass(frozen=True, slots=True)
class LimitBodies:
    """Refuses a request that is more than its route takes, before it is all here."""

    app: ASGIApp
    limit: Chosen
    said: Said

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = self.limit(scope) if scope["type"] == "http" else None
        if limit is None:
            await self.app(scope, receive, send)
            return
        try:
            check_head(scope, limit)
            if limit.pause:
                receive = _passing(receive, limit)
            else:
                body = await read_body(receive, limit)
                check_json(body, limit)
                receive = _once(body, receive)
        except Refused as refused:
            await self.said(scope, refused, limit)(scope, receive, send)
        except Gone:
            return
        else:
            await self.app(scope, receive, send)


def check_head(scope: Scope, limit: BodyLimit) -> None:
    """By the headers alone. No route takes forms of several parts: they would be taken apart, and
    written to disk, before it is asked."""
    if not limit.bytes:
        raise Refused("closed", 404)
    headers = Headers(scope=scope)
    length = headers.get("content-length", "")
    if length.isascii() and length.isdecimal() and int(length[:20]) > limit.bytes:
        raise Refused("bytes", 413)
    if headers.get("content-type", "").strip().lower().startswith("multipart/"):
        raise Refused("parts", 415)


async def read_body(receive: Receive, limit: BodyLimit) -> bytes:
    """All of it; raises :class:`Refused` as soon as it is too much or too late."""
    body = bytearray()
    try:
        async with asyncio.timeout(limit.seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                body += message.get("body", b"")
                if len(body) > limit.bytes:
                    raise Refused("bytes", 413)
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise Refused("slow", 408) from None


def check_json(body: bytes, limit: BodyLimit) -> None:
    """Whether a JSON document is small and flat enough to be read."""
    # What is read as UTF-16 cannot be looked through byte by byte; no client sends it.
    if json.detect_encoding(body[:4]) not in ("utf-8", "utf-8-sig"):
        raise Refused("encoding", 415)
    opened = sum(body.count(one) for one in _OPENING)
    if opened <= limit.depth and opened + body.count(b",") < limit.values:
        return
    # Commas and brackets within texts count for nothing.
    bare = _TEXT.sub(b"", body)
    opened = sum(bare.count(one) for one in _OPENING)
    if opened + bare.count(b",") >= limit.values:
        raise Refused("values", 413)
    depth = 0
    for bracket in _BRACKET.findall(bare):
        depth += 1 if bracket in _OPENING else -1
        if depth > limit.depth:
            raise Refused("depth", 413)


def _once(body: bytes, receive: Receive) -> Receive:
    """The body in one piece, then what the client says afterwards."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Any:
        return left.pop() if left else await receive()

    return next_message


def _passing(receive: Receive, limit: BodyLimit) -> Receive:
    """The body as it comes. One that is too long or too slow ends as if the client had gone."""
    loop = asyncio.get_running_loop()
    end = loop.time() + limit.seconds
    total, whole = 0, False

    async def next_message() -> Any:
        nonlocal total, whole
        if whole:
            return await receive()
        try:
            async with asyncio.timeout_at(min(loop.time() + limit.pause, end)):
                message = await receive()
        except TimeoutError:
            return {"type": "http.disconnect"}
        total += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        return message if total <= limit.bytes else {"type": "http.disconnect"}

    return next_message
