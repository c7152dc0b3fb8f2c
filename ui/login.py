"""One login before everything: a page of ours, a signed cookie, and a brake on guessing.

Gradio's own login guards Gradio's routes only and has no throttling, so it is not used: this
middleware stands before its routes and ours alike. The cookie carries the user and an end time,
signed with HMAC-SHA256 (RFC 2104) under a key made of a secret in the home folder and the password:
it outlives a restart of the app, and a new password makes every old cookie worthless.
"""

import hashlib
import hmac
import os
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ui.login_page import login_page
from ui.offering import Held
from ui.routes.replies import refusal
from ui.words import t
from workbench.errors import BadInput

COOKIE = "workbench-session"
LIFETIME = 7 * 24 * 3600.0
MIN_PASSWORD = 4
#: A login form is a few dozen bytes; what is longer is not one.
MAX_FORM = 4096


@dataclass(frozen=True, slots=True)
class Credentials:
    """The one user who may enter."""

    user: str
    password: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "Credentials":
        """'user:password'; raises :class:`BadInput` where it is not that."""
        user, colon, password = text.strip().partition(":")
        if not (user and colon and len(password) >= MIN_PASSWORD):
            raise BadInput(t("server.bad_auth", length=MIN_PASSWORD))
        return cls(user, password)

    def match(self, user: str, password: str) -> bool:
        """Compared in constant time, both halves always, so that timing tells nothing."""
        same_user = hmac.compare_digest(_digest(user), _digest(self.user))
        same_password = hmac.compare_digest(_digest(password), _digest(self.password))
        return same_user & same_password


def read_secret(path: Path) -> bytes:
    """The home's signing secret, made on first use, readable by its owner only."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(handle, "wb") as file:
        file.write(secret := secrets.token_bytes(32))
    return secret


@dataclass(frozen=True, slots=True)
class Sessions:
    """Makes and reads the cookie's value: 'end.signature'.

    Browsers do not keep cookies of two ports apart, so the cookie's name tells workspaces apart.
    """

    key: bytes

    @property
    def cookie(self) -> str:
        return f"{COOKIE}-{self._sign('name')[:8]}"

    @classmethod
    def open(cls, credentials: Credentials, secret: bytes) -> "Sessions":
        about = f"{credentials.user}:{credentials.password}".encode()
        return cls(hmac.digest(secret, about, hashlib.sha256))

    def make(self, now: float | None = None) -> str:
        end = str(int((time.time() if now is None else now) + LIFETIME))
        return f"{end}.{self._sign(end)}"

    def valid(self, value: str, now: float | None = None) -> bool:
        end, _, signature = value.partition(".")
        if not hmac.compare_digest(self._sign(end).encode(), signature.encode()):
            return False
        return int(end) > (time.time() if now is None else now)

    def _sign(self, end: str) -> str:
        return hmac.digest(self.key, end.encode(), hashlib.sha256).hex()


@dataclass(slots=True)
class Throttle:
    """At most ``per_address`` failures a minute from one address, and ``overall`` from all."""

    per_address: int = 5
    overall: int = 60
    window: float = 60.0
    _failures: dict[str, deque[float]] = field(default_factory=dict)

    def wait(self, address: str, now: float) -> int:
        """Whole seconds until that address may try again; 0 for at once."""
        self._forget(now)
        own = self._failures.get(address, deque())
        everybody = sorted(at for times in self._failures.values() for at in times)
        waits = [
            times[-limit] + self.window - now
            for times, limit in ((list(own), self.per_address), (everybody, self.overall))
            if len(times) >= limit
        ]
        return max(1, round(max(waits))) if waits else 0

    def failed(self, address: str, now: float) -> None:
        self._failures.setdefault(address, deque()).append(now)

    def succeeded(self, address: str) -> None:
        self._failures.pop(address, None)

    def _forget(self, now: float) -> None:
        for address, times in list(self._failures.items()):
            while times and times[0] <= now - self.window:
                times.popleft()
            if not times:
                del self._failures[address]


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


@dataclass(frozen=True, slots=True)
class RequireLogin:
    """Lets a request through that carries a good cookie; answers /login and /logout itself."""

    app: ASGIApp
    credentials: Credentials
    sessions: Sessions
    root_path: str = ""
    throttle: Throttle = field(default_factory=Throttle)
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
            answer = self._logout(request)
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
        address = request.client.host if request.client else ""
        if seconds := self.throttle.wait(address, time.monotonic()):
            sentence = t("login.throttled", seconds=seconds)
            return self._form(after, sentence, 429, {"retry-after": str(seconds)})
        user, password = await _fields(request)
        if not await run_in_threadpool(self.credentials.match, user, password):
            self.throttle.failed(address, time.monotonic())
            return self._form(after, t("login.wrong"), 401)
        self.throttle.succeeded(address)
        return self._enter(request, after)

    def _enter(self, request: Request, after: str) -> Response:
        answer = RedirectResponse(self.root_path + after, 303)
        answer.set_cookie(
            self.sessions.cookie,
            self.sessions.make(),
            max_age=int(LIFETIME),
            path=self.root_path or "/",
            httponly=True,
            samesite="lax",
            secure=_is_https(request),
        )
        return answer

    def _logout(self, request: Request) -> Response:
        if request.method != "POST":
            return RedirectResponse(f"{self.root_path}/", 303)
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
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            return "", ""
    form = parse_qs(body.decode("utf-8", "replace"))
    return form.get("user", [""])[0], form.get("password", [""])[0]


def _inside(after: str) -> str:
    """Where to go after the login: a path of ours, never another site's address."""
    plain = after.startswith("/") and not after.startswith(("//", "/\\", "/login"))
    return after if plain and after.isprintable() else "/"


def _is_https(request: Request) -> bool:
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", ""))
