"""A brake on guessing the key: after some wrong ones an address has to wait."""

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass, field

#: Different wrong keys from one address within so many seconds.
MOST, WINDOW = 10, 60.0
#: Addresses that are remembered; the one that failed longest ago goes first.
ADDRESSES = 10_000


@dataclass
class Brake:
    """Counts wrong keys by address. Times are seconds of any clock that only goes forward.

    The same wrong key again is no new guess: a program that was set up wrongly and goes on trying
    must not lock others at its address out. Keys are kept as digests.
    """

    _wrong: OrderedDict[str, OrderedDict[bytes, float]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self, address: str, now: float) -> int:
        """Whole seconds until that address is listened to again; 0 for at once."""
        with self._lock:
            guesses = self._wrong.get(address)
            if guesses is None or len(guesses) < MOST:
                return 0
            left = next(iter(guesses.values())) + WINDOW - now
            return max(0, int(left) + 1) if left > 0 else 0

    def failed(self, address: str, given: str, now: float) -> None:
        """``given`` is a wrong key; the last few of an address are kept, each with the time when it
        was first given."""
        digest = hashlib.sha256(given.encode("utf-8", "surrogatepass")).digest()
        with self._lock:
            guesses = self._wrong.setdefault(address, OrderedDict())
            self._wrong.move_to_end(address)
            if digest not in guesses:
                guesses[digest] = now
            while len(guesses) > MOST:
                guesses.popitem(last=False)
            while len(self._wrong) > ADDRESSES:
                self._wrong.popitem(last=False)
