"""One login before everything: a page of ours, a signed cookie, and a limit on guessing.

Gradio's own login guards Gradio's routes only and has no throttling, so it is not used: this
middleware stands before its routes and ours alike.
"""

import asyncio
import hashlib
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, quote

from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ui.routes.replies import refusal
from ui.web.editions import TAGS, switch
from ui.web.offering import Held
from ui.web.sessions import KNOWN, LIFETIME, Credentials, Sessions, read_secret
from ui.words import language, t
from workbench.serving.server import NO_PROXIES, Proxies

# A brake on guessing the password that slows a guesser down and locks nobody out.
#
# An attempt is counted before it is looked at, so sixty at once are sixty. After a few free ones
# each wrong attempt makes the next wait longer, up to a limit. Counted are a user name from one
# address (behind a proxy that is not trusted, many people share one), and a user name from
# everywhere, since addresses are cheap. A browser that somebody has signed in with before has a
# count of its own (OWASP's device cookies), so whoever guesses from elsewhere cannot keep its
# person out.

#: Seconds without an attempt after which a count begins anew.
FORGET = 900.0
#: Counts by address or browser that are kept; the oldest goes first.
MOST = 10_000
#: Counts by user name: a name has one of so many, and cannot be pushed out by others.
SLOTS = 4096


@dataclass(frozen=True, slots=True)
class Pace:
    """So many attempts at once; then 1, 2, 4 ... seconds between them, up to ``longest``."""

    free: int
    longest: float

    def pause(self, count: int) -> float:
        """Seconds from attempt number ``count`` to the next."""
        over = count - self.free
        return 0.0 if over < 0 else min(2.0 ** min(over, 30), self.longest)


#: Of one user name from one address, or of one browser that is known.
OWN = Pace(free=5, longest=30.0)
#: Of one user name from everywhere: some ten thousand guesses a day at the most.
EVERYWHERE = Pace(free=30, longest=10.0)


@dataclass(slots=True)
class _Tries:
    count: int = 0
    last: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Guesser:
    """Who attempts: a known browser by its number, or an address with the user name it gives."""

    user: str
    address: str
    device: str = ""

    @property
    def own(self) -> str:
        return f"browser {self.device}" if self.device else f"{self.address} {_short(self.user)}"


@dataclass(slots=True)
class Throttle:
    """Counts attempts. Times are seconds of a clock that only goes forward. Nothing here waits, so
    in one event loop an attempt is looked at and counted in one go."""

    _own: OrderedDict[str, _Tries] = field(default_factory=OrderedDict)
    _users: dict[int, _Tries] = field(default_factory=dict)
    _salt: bytes = field(default_factory=lambda: secrets.token_bytes(16))

    def attempt(self, who: Guesser, now: float) -> int:
        """0, and the attempt is counted as a wrong one; or whole seconds until the next may be
        made, and nothing is counted."""
        counts = self._counts(who, now)
        wait = max(one.last + pace.pause(one.count) - now for one, pace in counts)
        if wait > 0:
            return int(wait) + 1
        for one, _ in counts:
            one.count, one.last = one.count + 1, now
        while len(self._own) > MOST:
            self._own.popitem(last=False)
        return 0

    def succeeded(self, who: Guesser, now: float) -> None:
        """It was right: no guess after all."""
        for one, _ in self._counts(who, now):
            one.count = max(0, one.count - 1)
        self._own.pop(who.own, None)

    def _counts(self, who: Guesser, now: float) -> list[tuple[_Tries, Pace]]:
        own = self._own.setdefault(who.own, _Tries())
        self._own.move_to_end(who.own)
        found = [(own, OWN)]
        if not who.device:
            slot = int(_short(who.user, self._salt), 16) % SLOTS
            found.append((self._users.setdefault(slot, _Tries()), EVERYWHERE))
        for one, _ in found:
            if now - one.last > FORGET:
                one.count = 0
        return found


def _short(user: str, salt: bytes = b"") -> str:
    return hashlib.blake2b(user.encode("utf-8", "replace"), digest_size=8, key=salt).hexdigest()


# The sign-in page: plain HTML that needs no script, in the page's colours, light and dark.

STYLE = Markup("""
:root { color-scheme: light dark; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center;
  font: 16px/1.5 system-ui, sans-serif; background: light-dark(#f6f7f9, #101418);
  color: light-dark(#1c2530, #e6eaee); }
form { box-sizing: border-box; width: min(22rem, calc(100vw - 2rem)); padding: 2rem;
  display: grid; gap: 1rem; border-radius: 12px; background: light-dark(#fff, #181e25);
  border: 1px solid light-dark(#dfe3e8, #2b333d); }
h1 { margin: 0; font-size: 1.25rem; }
h1 small { display: block; font-size: .875rem; font-weight: 400; opacity: .75; }
label { display: grid; gap: .25rem; font-size: .875rem; }
input { font: inherit; padding: .55rem .7rem; border-radius: 8px; background: transparent;
  color: inherit; border: 1px solid light-dark(#b8c0ca, #46515e); }
button { font: inherit; font-weight: 600; padding: .6rem; border: 0; border-radius: 8px;
  background: light-dark(#0f766e, #2dd4bf); color: light-dark(#fff, #06201d); cursor: pointer; }
a { justify-self: center; font-size: .875rem; color: inherit; }
[role=alert] { margin: 0; color: light-dark(#b42318, #fda29b); font-size: .875rem; }
""")

PAGE = Markup("""<!doctype html>
<html lang="{tag}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title} · {app}</title><style>{style}</style></head>
<body><main><form method="post" action="{action}">
<h1>{app}<small>{title}</small></h1>{error}
<label>{user}<input name="user" autocomplete="username" required autofocus></label>
<label>{password}<input name="password" type="password" autocomplete="current-password" required>
</label><button>{submit}</button>{switch}</form></main></body></html>
""")


def login_page(action: str, error: str = "", root_path: str = "") -> str:
    """The whole page; ``error`` is a sentence shown above the fields."""
    alert = Markup('<p role="alert">{}</p>').format(error) if error else Markup("")
    return PAGE.format(
        tag=TAGS[language()],
        switch=switch(root_path),
        action=action,
        style=STYLE,
        error=alert,
        title=t("login.title"),
        app=t("login.app"),
        user=t("login.user"),
        password=t("login.password"),
        submit=t("login.submit"),
    )


#: A login form is a few dozen bytes, sent at once; what is longer, or slower, is not one.
MAX_FORM, FORM_SECONDS = 4096, 10.0

SECRET_FILE = "session.key"
#: Sessions that were signed out before their time.
ENDED_FILE = "sessions.ended.json"

log = logging.getLogger(__name__)


def sessions_of(home: Path, credentials: Credentials) -> Sessions:
    """The sessions of a workspace's home, as they were before a restart."""
    return Sessions.open(credentials, read_secret(home / SECRET_FILE), home / ENDED_FILE)


@dataclass(frozen=True, slots=True)
class RequireLogin:
    """Lets a request through that carries a good cookie; answers /login and /logout itself."""

    app: ASGIApp
    credentials: Credentials
    sessions: Sessions
    root_path: str = ""
    throttle: Throttle = field(default_factory=Throttle)
    proxies: Proxies = NO_PROXIES
    #: What may enter without a cookie: programs, which are asked for a key.
    passes: Callable[[Request], bool] = lambda _request: False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        # Also '/login/': Gradio has a login route of its own that must stay out of reach.
        where = request.url.path.rstrip("/")
        if where == "/login":
            answer = await self._login(request)
        elif where == "/logout":
            answer = await self._logout(request)
        elif (refused := self._refused(request)) is not None:
            answer = refused
        else:
            await self.app(scope, receive, send)
            return
        await answer(scope, receive, send)

    def _refused(self, request: Request) -> Response | None:
        """None for who may enter."""
        try:
            return None if self._known(request) else self._ask(request)
        except Held as held:
            words = t("refused.keys", seconds=held.seconds)
            return refusal(429, words, {"retry-after": str(held.seconds)})

    def _known(self, request: Request) -> bool:
        cookie = request.cookies.get(self.sessions.cookie, "")
        return self.sessions.valid(cookie) or self.passes(request)

    def _ask(self, request: Request) -> Response:
        """A person is shown the form, a program the status."""
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            query = f"?{request.url.query}" if request.url.query else ""
            after = quote(request.url.path + query, safe="")
            return RedirectResponse(f"{self.root_path}/login?next={after}", 303)
        return refusal(401, t("refused.login"))

    async def _login(self, request: Request) -> Response:
        after = _inside(request.query_params.get("next", "/"))
        if request.method != "POST":
            return self._form(after)
        user, password = await _fields(request)
        who = self._guesser(request, user)
        # From here to the count of the attempt nothing is waited for.
        if seconds := self.throttle.attempt(who, time.monotonic()):
            sentence = t("login.throttled", seconds=seconds)
            return self._form(after, sentence, 429, {"retry-after": str(seconds)})
        if not self.credentials.match(user, password):
            log.warning("a login from %s was wrong", who.address)
            return self._form(after, t("login.wrong"), 401)
        self.throttle.succeeded(who, time.monotonic())
        return self._enter(request, after)

    def _guesser(self, request: Request, user: str) -> Guesser:
        known = self.sessions.device(request.cookies.get(self.sessions.device_cookie, ""))
        return Guesser(user, self.proxies.client(request.scope), known)

    def _enter(self, request: Request, after: str) -> Response:
        answer = RedirectResponse(self.root_path + after, 303)
        cookies = [(self.sessions.cookie, self.sessions.make(), LIFETIME)]
        if not self.sessions.device(request.cookies.get(self.sessions.device_cookie, "")):
            device = (self.sessions.device_cookie, self.sessions.make_device(), KNOWN)
            cookies.append(device)
        for name, value, seconds in cookies:
            answer.set_cookie(
                name,
                value,
                max_age=int(seconds),
                path=self.root_path or "/",
                httponly=True,
                samesite="lax",
                secure=_is_https(request),
            )
        return answer

    async def _logout(self, request: Request) -> Response:
        if request.method != "POST":
            return RedirectResponse(f"{self.root_path}/", 303)
        value = request.cookies.get(self.sessions.cookie, "")
        await run_in_threadpool(self.sessions.end, value)
        answer = RedirectResponse(f"{self.root_path}/login", 303)
        answer.delete_cookie(self.sessions.cookie, path=self.root_path or "/", httponly=True)
        return answer

    def _form(
        self, after: str, error: str = "", status: int = 200, headers: dict[str, str] | None = None
    ) -> Response:
        action = f"{self.root_path}/login?next={quote(after, safe='')}"
        kept = {"cache-control": "no-store", **(headers or {})}
        return HTMLResponse(login_page(action, error, self.root_path), status, kept)


async def _fields(request: Request) -> tuple[str, str]:
    body = bytearray()
    try:
        async with asyncio.timeout(FORM_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_FORM:
                    return "", ""
    except (TimeoutError, ClientDisconnect):
        return "", ""
    form = parse_qs(body.decode("utf-8", "replace"))
    return form.get("user", [""])[0], form.get("password", [""])[0]


def _inside(after: str) -> str:
    """Where to go after the login: a path of ours, never another site's address."""
    plain = after.startswith("/") and not after.startswith(("//", "/\\", "/login"))
    return after if plain and after.isprintable() else "/"


def _is_https(request: Request) -> bool:
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", ""))
