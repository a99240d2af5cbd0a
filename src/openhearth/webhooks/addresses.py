"""Which IP addresses a webhook may be sent to. Pure: resolves no names and opens nothing.

Only what is public is allowed, and what the owner names in `[webhooks] allow`. IPv6 that carries an IPv4 address is judged by that.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from openhearth.errors import SetupError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NOT_PUBLIC: Final = (
    ip_network("192.0.0.0/24"),  # protocol assignments; a cloud's metadata at .192
    ip_network("192.88.99.0/24"),  # relays of 6to4
    ip_network("168.63.129.16/32"),  # a cloud's own services, though the address is public
    ip_network("3fff::/20"),  # documentation
)
"""What Python's `is_global` lets through."""
_UNICAST: Final = ip_network("2000::/3")
_NAT64: Final = ip_network("64:ff9b::/96")


def networks(named: Sequence[str]) -> tuple[Network, ...]:
    """The settings' `allow`. Raises SetupError for what is no address or network."""
    try:
        return tuple(ip_network(name) for name in named)
    except ValueError as error:
        raise SetupError(f"[webhooks] allow: {error}.", exit_status=78) from None


def permitted(text: str, allow: Sequence[Network] = ()) -> bool:
    """Whether this address (as a resolver gives it) may be connected to. What is no address may not."""
    try:
        address = _plain(ip_address(text))
    except ValueError:
        return False
    if any(address in network for network in allow):
        return True
    if isinstance(address, IPv4Address):
        return _public(address)
    carried = _carried(address)
    if carried is not None:
        return _public(carried)
    return address in _UNICAST and address.scope_id is None and _public(address)


def loopback(text: str) -> bool:
    return _plain(ip_address(text)).is_loopback


def _public(address: Address) -> bool:
    return address.is_global and not address.is_multicast and not any(address in network for network in _NOT_PUBLIC)


def _plain(address: Address) -> Address:
    """IPv4 that is only written as IPv6 is IPv4: so the kernel connects."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _carried(address: IPv6Address) -> IPv4Address | None:
    """Where a translator or tunnel sends it: 6to4 and NAT64."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.sixtofour
