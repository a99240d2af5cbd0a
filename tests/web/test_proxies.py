"""Whose request it is."""

from __future__ import annotations

import pytest

from openhearth.errors import SetupError
from openhearth.web.proxies import Proxies


def scope(peer: str | None, *forwarded: str) -> dict[str, object]:
    return {"client": peer and (peer, 1), "headers": [(b"x-forwarded-for", value.encode()) for value in forwarded]}


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "client"),
    [
        ((), "192.0.2.1", ("198.51.100.1",), "192.0.2.1"),
        (("10.0.0.0/8",), "10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        (("10.0.0.0/8",), "10.0.0.1", ("6.6.6.6, 198.51.100.1",), "198.51.100.1"),
        (("10.0.0.0/8",), "10.0.0.1", ("6.6.6.6", "198.51.100.1, 10.0.0.2"), "198.51.100.1"),
        (("10.0.0.0/8",), "192.0.2.1", ("198.51.100.1",), "192.0.2.1"),
        (("10.0.0.1",), "10.0.0.1", ("nonsense",), "10.0.0.1"),
        (("10.0.0.1",), "10.0.0.1", (), "10.0.0.1"),
        (("::1",), "::1", ("2001:db8::1",), "2001:db8::1"),
        (("::1",), None, ("2001:db8::1",), None),
    ],
)
def test_only_trusted_proxies_are_believed(trusted: tuple[str, ...], peer: str | None, forwarded: tuple[str, ...], client: str) -> None:
    assert Proxies(trusted).client(scope(peer, *forwarded)) == client


def test_nonsense_is_refused() -> None:
    with pytest.raises(SetupError):
        Proxies(["proxy.example.com"])
