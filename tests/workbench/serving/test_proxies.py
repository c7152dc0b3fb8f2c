"""Who asks: the proxies that were named are believed, and nobody else."""

import pytest

from workbench.errors import BadInput
from workbench.serving.server import NO_PROXIES, Proxies


def asks(proxies: Proxies, peer: str, *forwarded: str) -> str:
    headers = [(b"x-forwarded-for", one.encode()) for one in forwarded]
    return proxies.client({"type": "http", "client": (peer, 1), "headers": headers})


TRUSTED = Proxies.read(["127.0.0.1", "10.0.0.0/8", "::1"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("192.0.2.1", (), "192.0.2.1"),
        ("192.0.2.1", ("203.0.113.9",), "192.0.2.1"),
        ("127.0.0.1", ("203.0.113.9",), "203.0.113.9"),
        ("127.0.0.1", ("6.6.6.6, 203.0.113.9",), "203.0.113.9"),
        ("127.0.0.1", ("6.6.6.6", "203.0.113.9"), "203.0.113.9"),
        ("127.0.0.1", ("203.0.113.9, 10.1.2.3",), "203.0.113.9"),
        ("127.0.0.1", ("203.0.113.9:4711",), "203.0.113.9"),
        ("::ffff:127.0.0.1", ("203.0.113.9",), "203.0.113.9"),
        ("::1", ("[2001:db8:1:2:3::4]:80",), "2001:db8:1:2::"),
        ("127.0.0.1", ("2001:db8:1:2:aaaa::",), "2001:db8:1:2::"),
        ("127.0.0.1", ("unknown",), "127.0.0.1"),
        ("127.0.0.1", ("203.0.113.9, nonsense",), "127.0.0.1"),
        ("127.0.0.1", ("",), "127.0.0.1"),
        ("127.0.0.1", (), "127.0.0.1"),
        ("10.9.9.9", ("10.1.1.1, 10.2.2.2",), "10.1.1.1"),
        ("testclient", ("203.0.113.9",), "testclient"),
    ],
)
def test_the_address_that_is_known_for_sure(
    peer: str, forwarded: tuple[str, ...], found: str
) -> None:
    assert asks(TRUSTED, peer, *forwarded) == found


def test_nobody_is_believed_unless_named() -> None:
    assert asks(NO_PROXIES, "127.0.0.1", "203.0.113.9") == "127.0.0.1"


@pytest.mark.parametrize("text", ["", "proxy", "10.0.0.0/99", "1.2.3.4:80", "*"])
def test_what_is_no_address_is_a_sentence(text: str) -> None:
    with pytest.raises(BadInput, match="is no address of a proxy"):
        Proxies.read([text])
