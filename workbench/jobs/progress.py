"""Where a job stands, how fast it goes, and how long it will still take."""

from collections import deque
from typing import Any

#: Speed is that of the last so many seconds: evaluations in between do not make it jump.
WINDOW = 60.0


class Progress:
    """Fed by the task as often as it likes, read a few times a second."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._seen: deque[tuple[float, float]] = deque()
        self.changed = False

    def update(self, done: float, total: float | None, unit: str, message: str, now: float) -> None:
        """``now`` is a monotonic time in seconds."""
        self._watch_speed(done, total, unit, now)
        rate = self._rate()
        left = (total - done) / rate if rate and total is not None else None
        self._values = {
            "done": done,
            "total": total,
            "unit": unit,
            "message": message,
            "rate": rate,
            "seconds_left": left,
            "phase": message,
        }
        self.changed = True

    def snapshot(self) -> dict[str, Any]:
        """The values to write; they count as written."""
        self.changed = False
        return dict(self._values)

    def _watch_speed(self, done: float, total: float | None, unit: str, now: float) -> None:
        before = self._values
        new_stretch = (total, unit) != (before.get("total"), before.get("unit"))
        if new_stretch or (self._seen and done < self._seen[-1][1]):
            self._seen.clear()
        # Some tasks report thousands of times a second: a point each tenth is enough.
        if not self._seen or now - self._seen[-1][0] >= 0.1 or done == total:
            self._seen.append((now, done))
        while now - self._seen[0][0] > WINDOW and len(self._seen) > 2:
            self._seen.popleft()

    def _rate(self) -> float | None:
        """Units per second, or None while that is not known."""
        if len(self._seen) < 2:
            return None
        (began, first), (now, last) = self._seen[0], self._seen[-1]
        return (last - first) / (now - began) if now > began and last > first else None
