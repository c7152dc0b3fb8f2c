"""Where a language model is asked: what recipes that name an endpoint have in common."""

from urllib.parse import urlsplit


def address(value: str) -> str:
    """An endpoint's address as it is kept, or ''; raises ValueError for one that will not do."""
    value = value.strip().rstrip("/")
    if not value:
        return value
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("Write the address as http://host:port/v1 or https://host/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        # A recipe is kept and shown; a key in it would be, too.
        raise ValueError(
            "The address holds no key, no password and no '?'; a key belongs into the environment"
        )
    return value
