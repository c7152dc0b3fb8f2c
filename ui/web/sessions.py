"""Who is signed in: a signed cookie, and a list of those that were signed out.

The cookie carries an end time and a number of its own, signed with HMAC-SHA256 (RFC 2104) under a
key made of a secret in the home folder and the password. So it outlives a restart of the app, and a
new password makes every old cookie worthless. Signing out puts its number on a list in the home,
until its time would have been up: a copy of the cookie is worth nothing from then on.
"""

import hashlib
import hmac
import json
import logging
import os
import secrets
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ui.words import t
from workbench.errors import BadInput
from workbench.jobs.files import write_json

COOKIE = "workbench-session"
LIFETIME = 7 * 24 * 3600.0
#: A browser that somebody signed in with is known for so long.
KNOWN = 365 * 24 * 3600.0
MIN_PASSWORD = 8

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The one user who may enter."""

    user: str
    password: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "Credentials":
        """'user:password'; raises :class:`BadInput` where it is not that, or easily guessed."""
        user, colon, password = text.strip().partition(":")
        if not (user and colon and len(password.strip()) >= MIN_PASSWORD):
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


class Ended:
    """The sessions that were signed out, by number, with the time when they would have ended.

    Kept in a file where one is given, which several apps of one home may share.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._ends: dict[str, float] = {}
        self._seen: Any = None
        self._lock = threading.Lock()

    def __contains__(self, number: str) -> bool:
        with self._lock:
            self._look()
            return number in self._ends

    def add(self, number: str, end: float, now: float) -> None:
        with self._lock:
            self._look()
            left = {one: until for one, until in self._ends.items() if until > now}
            self._ends = {**left, number: end}
            if self._path is None:
                return
            try:
                write_json(self._path, self._ends)
            except OSError as error:
                log.error("a sign-out is forgotten at the next start: %s", error)

    def _look(self) -> None:
        """Read the file anew if it was written since."""
        if self._path is None:
            return
        try:
            about = self._path.stat()
            seen = (about.st_mtime_ns, about.st_ino, about.st_size)
            if seen != self._seen:
                self._ends |= json.loads(self._path.read_text(encoding="utf-8"))
                self._seen = seen
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError) as error:
            log.warning("%s cannot be read: %s", self._path, error)


@dataclass(frozen=True, slots=True)
class Sessions:
    """Makes and reads the cookie's value: 'end.number.signature'.

    Browsers do not keep cookies of two ports apart, so the cookie's name tells workspaces apart.
    """

    key: bytes
    ended: Ended = field(default_factory=Ended)

    @property
    def cookie(self) -> str:
        return f"{COOKIE}-{self._sign('name')[:8]}"

    @property
    def device_cookie(self) -> str:
        """Of a browser that somebody signed in with before. It opens nothing."""
        return f"workbench-known-{self._sign('name')[:8]}"

    @classmethod
    def open(cls, credentials: Credentials, secret: bytes, ended: Path | None = None) -> "Sessions":
        """``ended``: the file of those that were signed out."""
        about = f"{credentials.user}:{credentials.password}".encode()
        return cls(hmac.digest(secret, about, hashlib.sha256), Ended(ended))

    def make(self, now: float | None = None) -> str:
        about = f"{int(_now(now) + LIFETIME)}.{secrets.token_hex(16)}"
        return f"{about}.{self._sign(about)}"

    def valid(self, value: str, now: float | None = None) -> bool:
        about = self._signed(value)
        if about is None:
            return False
        end, _, number = about.partition(".")
        return int(end) > _now(now) and number not in self.ended

    def end(self, value: str, now: float | None = None) -> None:
        """Sign out: the cookie is valid no more, wherever a copy of it is."""
        about = self._signed(value)
        if about is not None:
            end, _, number = about.partition(".")
            self.ended.add(number, float(end), _now(now))

    def make_device(self) -> str:
        about = f"known.{secrets.token_hex(16)}"
        return f"{about}.{self._sign(about)}"

    def device(self, value: str) -> str:
        """The browser's number; '' for one that nobody signed in with."""
        about = self._signed(value, known=True)
        return about.partition(".")[2] if about else ""

    def _signed(self, value: str, known: bool = False) -> str | None:
        """What a cookie says, if it was signed here: of a session, or of a browser."""
        about, _, signature = value.rpartition(".")
        good = hmac.compare_digest(self._sign(about).encode(), signature.encode())
        return about if good and about.startswith("known.") is known else None

    def _sign(self, about: str) -> str:
        return hmac.digest(self.key, about.encode(), hashlib.sha256).hex()


def _now(given: float | None) -> float:
    return time.time() if given is None else given


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
