"""The key of the API: from the environment, or made up at the start and said once.

It is kept as a digest only, and stands in no record and no log.
"""

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field

from workbench.errors import BadInput

VARIABLE = "WORKBENCH_API_KEY"
#: There is no brake on guessing: what cannot be guessed needs none.
SHORTEST = 20


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Knows the key when it sees it."""

    digest: bytes = field(repr=False)

    @classmethod
    def of(cls, key: str) -> "ApiKey":
        """Raises :class:`BadInput` for a key that is short, or that a header cannot carry."""
        if len(key) < SHORTEST or not key.isascii() or not key.isprintable() or " " in key:
            raise BadInput(
                f"The key in {VARIABLE} will not do.",
                f"At least {SHORTEST} letters, digits or signs without spaces, for example what"
                " 'openssl rand -hex 24' prints.",
            )
        return cls(_digest(key))

    def opens(self, given: str) -> bool:
        """Compared in constant time, so that timing tells nothing."""
        return hmac.compare_digest(_digest(given), self.digest)

    def opened_by(self, authorization: str) -> bool:
        """Whether a request's Authorization header ('Bearer KEY') carries the key."""
        scheme, _, given = authorization.partition(" ")
        return scheme.lower() == "bearer" and self.opens(given.strip())


def take_key() -> tuple[ApiKey, str]:
    """The key, and its text where it was made up now ('' where the environment had one).

    The environment no longer has it afterwards: what is started later must not inherit it.
    """
    given = os.environ.pop(VARIABLE, "").strip()
    if given:
        return ApiKey.of(given), ""
    made = f"wb-{secrets.token_urlsafe(32)}"
    return ApiKey.of(made), made


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
