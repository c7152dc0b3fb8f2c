"""Where a language model is asked: what recipes that name an endpoint have in common."""

import ipaddress
import re
from typing import Any
from urllib.parse import urlsplit

from workbench.recipes.base import setting

#: Letters of an address that every program reads alike. A backslash, say, ends a host's name for
#: some and is a part of it for others.
_PLAIN = re.compile(r"[!-\[\]-~]+")
_ORIGIN = re.compile(r"(https?)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}


def address(value: str) -> str:
    """An endpoint's address as it is kept, or ''; raises ValueError for one that will not do."""
    value = value.strip().rstrip("/")
    if not value:
        return value
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("Write the address as http://host:port/v1 or https://host/v1")
    if "@" in parts.netloc or parts.query or parts.fragment:
        # A recipe is kept and shown; a key in it would be, too.
        raise ValueError(
            "The address holds no key, no password and no '?'; a key belongs into the environment"
        )
    if not _PLAIN.fullmatch(value) or origin(value) is None:
        raise ValueError("Write the address in plain letters, as http://host:port/v1")
    return value


def origin(address: str) -> str | None:
    """Scheme, host and port of an address, written one way; None for one that is not plain."""
    found = _ORIGIN.match(address)
    if found is None or address[found.end() : found.end() + 1] not in ("", "/"):
        return None
    scheme, host, port = found[1].lower(), found[2].lower(), found[3]
    if host.startswith("["):
        try:
            host = f"[{ipaddress.IPv6Address(host[1:-1])}]"
        except ValueError:
            return None
    number = int(port) if port else _PORTS[scheme]
    if not 0 < number < 65536:
        return None
    return f"{scheme}://{host}" if number == _PORTS[scheme] else f"{scheme}://{host}:{number}"


def key_variable() -> Any:
    """The field that says which key an endpoint is sent."""
    return setting(
        "",
        help="The environment variable that holds the endpoint's key, never the key itself: one "
        "that may be sent to this address (--endpoint-key). Empty takes the first of those; where "
        "there is none, no key is sent.",
        group="endpoint",
        widget="endpoint_key",
        pattern=r"^([A-Z_][A-Z0-9_]*)?$",
        max_length=100,
    )
