"""Whose request it is: the connection's other end, or who a trusted proxy says was there."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network

from starlette.types import Scope

from openhearth.errors import SetupError


class Proxies:
    """The proxies whose `X-Forwarded-For` is believed; by default none, since every client can write one."""

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        try:
            self._networks = [ip_network(network, strict=False) for network in trusted]
        except ValueError as error:
            raise SetupError(f"trusted_proxies: {error}.", exit_status=78) from None

    def client(self, scope: Scope) -> str | None:
        """The client's address: the nearest one that isn't a trusted proxy. None where the connection has none (a unix socket)."""
        peer = str((scope.get("client") or ("",))[0])[:64]
        found = peer
        for named in reversed(_forwarded(scope)):
            if not self._trusts(found) or not _is_address(named):
                break
            found = named
        return found or None

    def _trusts(self, address: str) -> bool:
        return _is_address(address) and any(ip_address(address) in network for network in self._networks)


def _forwarded(scope: Scope) -> list[str]:
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return [part.strip() for value in values for part in value.split(",")][-32:]


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
