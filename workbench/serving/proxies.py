"""Who asks, where requests come by way of a reverse proxy.

Anybody can write an address into X-Forwarded-For, so it counts only where a proxy that was named at
the start has sent it, and only as far as such proxies have added to it.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import Scope

from workbench.errors import BadInput

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
#: One household or company has so many bits of IPv6 in common: each address of it is not another.
_HOUSEHOLD = 64


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies whose word is taken."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def read(cls, texts: Iterable[str]) -> "Proxies":
        """From addresses ('127.0.0.1') and networks ('10.0.0.0/8'); raises :class:`BadInput`."""
        return cls(tuple(_network(text) for text in texts))

    def client(self, scope: Scope) -> str:
        """The address that a request comes from, as far as it is known for sure."""
        peer = (scope.get("client") or ("",))[0]
        found = _address(peer)
        if found is None:
            return str(peer)
        # Each proxy adds who asked it at the end.
        said = ",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(",")
        while self._trusts(found) and said:
            before = _address(said.pop().strip())
            if before is None:
                break
            found = before
        return _together(found)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError as error:
        raise BadInput(
            f"'{text}' is no address of a proxy.",
            "Give --trusted-proxy an address such as 127.0.0.1, or a network such as 10.0.0.0/8.",
        ) from error


def _address(text: str) -> Address | None:
    """An address, also with a port ('192.0.2.1:5000', '[::1]:5000')."""
    plain = text.partition("]")[0].lstrip("[") if text.startswith("[") else text
    plain = plain.partition(":")[0] if plain.count(":") == 1 else plain
    try:
        found = ipaddress.ip_address(plain.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _together(address: Address) -> str:
    if isinstance(address, ipaddress.IPv6Address) and not address.is_loopback:
        return str(ipaddress.ip_network((address, _HOUSEHOLD), strict=False).network_address)
    return str(address)


NO_PROXIES = Proxies()
