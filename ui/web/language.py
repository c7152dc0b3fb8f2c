"""Which language a browser is answered in: the one chosen on the page, else its own, else English.

The choice is a cookie, so that it holds for the sign-in page, every tab and every answer of ours.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ui.words import LANGUAGE, LANGUAGES, language, load, speaking

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
