"""The page in each language, and which language a browser is answered in. English is drawn at the
start, another when it is first asked for.

Gradio knows one text per component, so a language is a page of its own: a second of drawing and
about 9 MB, once. They share the address, the workspace and what the browser keeps, and a request
reaches the page of the language it speaks.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import FastAPI
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.words import LANGUAGE, LANGUAGES, language, load, speaking

# Which language a browser is answered in: the one chosen on the page, else its own, else English.
#
# The choice is a cookie, so that it holds for the sign-in page, every tab and every answer of
# ours.

COOKIE = "workbench-language"
#: As long as browsers keep a cookie (seconds).
KEPT = 400 * 24 * 3600
ROUTE = "/language/"
#: The tags under which browsers and Gradio know our languages (BCP 47).
TAGS = {"en": "en", "zh": "zh-CN"}


def choose(chosen: str, accepted: str) -> str:
    """The language for a cookie's value and an Accept-Language header, both of them anybody's to
    write: 'zh' for ('', 'zh-TW,en;q=0.5')."""
    if chosen in LANGUAGES:
        return chosen
    weighed = sorted(_weighed(accepted), key=lambda one: -one[0])
    return next((name for weight, name in weighed if name in LANGUAGES and weight > 0), LANGUAGE)


def _weighed(accepted: str) -> Iterable[tuple[float, str]]:
    """(weight, language without its region), in the order they are written."""
    for part in accepted.split(","):
        tag, _, weight = part.partition(";")
        try:
            yield float(weight.strip().removeprefix("q=") or 1), tag.strip().split("-")[0].lower()
        except ValueError:
            continue


def switch(root_path: str) -> Markup:
    """Links to the page in its other languages, each named in itself."""
    link = Markup('<a class="rw-language" href="{}" lang="{}" title="{}">{}</a>')
    return Markup("").join(
        link.format(f"{root_path}{ROUTE}{one}", TAGS[one], load(one)["language.switch"], name)
        for one, name in LANGUAGES.items()
        if one != language()
    )


@dataclass(frozen=True, slots=True)
class Speaks:
    """Everything that answers a request speaks the language of its browser."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        accepted = request.headers.get("accept-language", "")
        with speaking(choose(request.cookies.get(COOKIE, ""), accepted)):
            await self.app(scope, receive, send)


@dataclass(frozen=True, slots=True)
class Switches:
    """Answers the links of :func:`switch`: keeps the choice and goes back to where it was made."""

    app: ASGIApp
    root_path: str = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = scope["path"].removeprefix(ROUTE) if scope["type"] == "http" else ""
        if wanted not in LANGUAGES or scope["path"] == wanted:
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        answer = RedirectResponse(self._back(request), 303, {"cache-control": "no-store"})
        answer.set_cookie(
            COOKIE, wanted, max_age=KEPT, path=self.root_path or "/", httponly=True, samesite="lax"
        )
        await answer(scope, receive, send)

    def _back(self, request: Request) -> str:
        """The page that was left, where it is one of ours: its path and query alone count, so that
        no link leads to another site."""
        left = urlsplit(request.headers.get("referer", ""))
        inside = left.path.startswith(f"{self.root_path}/") and not left.path.startswith("//")
        if left.netloc != request.headers.get("host") or not inside:
            return f"{self.root_path}/"
        return f"{left.path}?{left.query}" if left.query else left.path


#: Gradio takes its own words ('Drop file here') from the browser's language; this script, before
#: all others, has it take the page's.
NAVIGATOR = '<script>Object.defineProperty(navigator, "language", {{value: "{tag}"}})</script>'
#: The clock beside Gradio's 'Loading...' counts tenths of a second at every frame, for as long as
#: the page is open: the browser draws all the time. This lets it count every tenth only.
CLOCK = r"""<script>{
  const draw = window.requestAnimationFrame.bind(window);
  const clock = /^\(\)=>\{[^;{}]*performance\.now\(\)[^;{}]*\/1e3[^;{}]*&&[^;{}]*\}$/;
  window.requestAnimationFrame = (turn) => (clock.test(turn) ? setTimeout(turn, 100) : draw(turn));
}</script>"""

#: Gradio looks through all events for each component, twice, while a page is drawn. Watching every
#: value that is read there for changes, which never come, took it most of a second.
EVENTS = """<script>{
  class Unwatched extends Array {}
  let held;
  Object.defineProperty(window, "gradio_config", {
    configurable: true,
    get: () => held,
    set: (config) => {
      if (config?.dependencies) Object.setPrototypeOf(config.dependencies, Unwatched.prototype);
      held = config;
    },
  });
}</script>"""


class Editions:
    """An ASGI app of pages. ``make`` draws and mounts one in the language spoken; it may block."""

    def __init__(self, make: Callable[[], FastAPI]) -> None:
        self._make = make
        self._pages = {LANGUAGE: make()}
        self._alive: list[asyncio.Task[None]] = []
        self._one_by_one = asyncio.Lock()
        self._over = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        page: ASGIApp = await self._page(language())
        if scope["type"] == "http" and scope["path"] in ("", "/"):
            send = _tagged(send, TAGS[language()])
        await page(scope, receive, send)

    @property
    def routes(self) -> list[BaseRoute]:
        """The same in every language; Starlette asks what is mounted for them."""
        return self._pages[LANGUAGE].routes

    @asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        """The pages' own background tasks, from the app's start to its end."""
        await self._start(self._pages[LANGUAGE])
        try:
            yield
        finally:
            self._over.set()
            await asyncio.gather(*self._alive)

    async def _page(self, wanted: str) -> FastAPI:
        if wanted in self._pages:
            return self._pages[wanted]
        async with self._one_by_one:
            if wanted not in self._pages:
                page = await run_in_threadpool(self._make)
                await self._start(page)
                self._pages[wanted] = page
            return self._pages[wanted]

    async def _start(self, page: FastAPI) -> None:
        """Run a page's start and, at the end, its stop: both in one task, as task groups want."""
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def live() -> None:
            try:
                async with page.router.lifespan_context(page):
                    started.set_result(None)
                    await self._over.wait()
            except Exception as error:
                if started.done():
                    raise
                started.set_exception(error)

        self._alive.append(asyncio.create_task(live()))
        await started


def _tagged(send: Send, tag: str) -> Send:
    """Writes the language into the page on its way out, whose template says 'en' to everybody."""
    start: Message | None = None
    script = (NAVIGATOR.format(tag=tag) + CLOCK + EVENTS).encode()

    async def sent(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start":
            start = message
            return
        if start is not None:
            body = message.get("body", b"")
            marked = body.replace(b'lang="en"', f'lang="{tag}"'.encode(), 1)
            marked = marked.replace(b"<head>", b"<head>" + script, 1)
            grown = len(marked) - len(body)
            await send({**start, "headers": _headers(start["headers"], grown)})
            start, message = None, {**message, "body": marked}
        await send(message)

    return sent


def _headers(headers: list[tuple[bytes, bytes]], grown: int) -> list[tuple[bytes, bytes]]:
    """With the new length, and said to differ by who asks."""
    found = [
        (name, str(int(value) + grown).encode() if name == b"content-length" else value)
        for name, value in headers
    ]
    return [*found, (b"vary", b"Cookie, Accept-Language")]
