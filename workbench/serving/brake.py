"""A brake on guessing the key: after some wrong ones an address has to wait."""

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, field

#: Wrong keys from one address within so many seconds.
MOST, WINDOW = 10, 60.0
#: Addresses that are remembered; the one that failed longest ago goes first.
ADDRESSES = 10_000


@dataclass
class Brake:
    """Counts wrong keys by address. Times are seconds of any clock that only goes forward."""

    _wrong: OrderedDict[str, deque[float]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self, address: str, now: float) -> int:
        """Whole seconds until that address is listened to again; 0 for at once."""
        with self._lock:
            times = self._wrong.get(address)
            if times is None or len(times) < MOST:
                return 0
            left = times[0] + WINDOW - now
            return max(0, int(left) + 1) if left > 0 else 0

    def failed(self, address: str, now: float) -> None:
        """A wrong key; the last few of an address are kept."""
        with self._lock:
            self._wrong.setdefault(address, deque(maxlen=MOST)).append(now)
            self._wrong.move_to_end(address)
            while len(self._wrong) > ADDRESSES:
                self._wrong.popitem(last=False)
