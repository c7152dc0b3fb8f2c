"""A brake on guessing the password that slows a guesser down and locks nobody out.

An attempt is counted before it is looked at, so sixty at once are sixty. After a few free ones each
wrong attempt makes the next wait longer, up to a limit. Counted are a user name from one address
(behind a proxy that is not trusted, many people share one), and a user name from everywhere, since
addresses are cheap. A browser that somebody has signed in with before has a count of its own
(OWASP's device cookies), so whoever guesses from elsewhere cannot keep its person out.
"""

import hashlib
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field

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
