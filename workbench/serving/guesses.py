"""A brake on guessing the key: who tried too many wrong ones waits."""

import math
from dataclasses import dataclass, field


@dataclass(slots=True)
class Guesses:
    """At most ``most`` different wrong keys a minute from one address.

    Different ones only: a program that was given the wrong key and sends it with every request
    guesses nothing, and must not lock out the others at its address. Belongs to one event loop.
    """

    most: int = 10
    window: float = 60.0
    #: Address -> digest of a wrong key -> when it was tried first.
    _wrong: dict[str, dict[bytes, float]] = field(default_factory=dict)

    def wait(self, address: str, now: float) -> int:
        """Whole seconds until that address may try again; 0 for at once."""
        times = [at for at in self._wrong.get(address, {}).values() if at > now - self.window]
        if len(times) < self.most:
            return 0
        return max(1, math.ceil(sorted(times)[-self.most] + self.window - now))

    def wrong(self, address: str, digest: bytes, now: float) -> None:
        """One more wrong key; what is long ago is forgotten."""
        self._wrong.setdefault(address, {}).setdefault(digest, now)
        for one, tried in list(self._wrong.items()):
            kept = {key: at for key, at in tried.items() if at > now - self.window}
            if kept:
                self._wrong[one] = kept
            else:
                del self._wrong[one]
