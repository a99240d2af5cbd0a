"""Where a webhook is sent: the URL's form, and the addresses behind its name, checked before anything is sent there.

Checked when an endpoint is made and again at each delivery, because names change what they mean. Whoever connects must take the
addresses of `Target`, and not ask for the name again.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from openhearth.errors import InvalidRequest
from openhearth.webhooks.addresses import loopback, networks, permitted

if TYPE_CHECKING:
    from yarl import URL

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""A host's name and port -> all its addresses. Raises OSError."""

URL_LENGTH: Final = 2048
RESOLVE_S: Final = 5.0
FIRST_FREE_PORT: Final = 1024


@dataclass(frozen=True, slots=True)
class Target:
    """A checked URL. `addresses` are the only ones that may be connected to."""

    url: URL
    addresses: tuple[str, ...]


class TargetRefused(InvalidRequest):
    """A URL that nothing may be sent to."""

    code = "webhook_url_refused"


class NameNotFound(InvalidRequest):
    """The host's name means nothing now."""

    code = "webhook_host_not_found"


async def resolve_by_system(host: str, port: int) -> list[str]:
    """As every program on this machine resolves names."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class Targets:
    """The checks of one installation. `allow`: the owner's own networks, as written in the settings."""

    def __init__(self, allow: Sequence[str] = (), resolve: Resolve = resolve_by_system) -> None:
        self._allow = networks(allow)
        self._resolve = resolve

    async def check(self, text: str) -> Target:
        """Raises TargetRefused, NameNotFound. The messages hold no address, since names inside are nobody's business."""
        url = parse(text)
        addresses = await self._addresses(url)
        if not all(permitted(address, self._allow) for address in addresses):
            raise TargetRefused(
                "The URL leads to an address that is not public. The server's owner can allow it: [webhooks] allow in openhearth.toml.",
                param="url",
            )
        if url.scheme == "http" and not all(map(loopback, addresses)):
            raise TargetRefused("The URL must begin with https://; http:// is for this machine itself only.", param="url")
        return Target(url, addresses)

    async def _addresses(self, url: URL) -> tuple[str, ...]:
        try:
            async with asyncio.timeout(RESOLVE_S):
                found = await self._resolve(url.raw_host or "", url.port or 0)
        except (OSError, UnicodeError, TimeoutError):
            found = []
        if not found:
            raise NameNotFound("The URL's host name can't be resolved.", param="url")
        return tuple(dict.fromkeys(found))


def parse(text: str) -> URL:
    """The URL's form alone. Raises TargetRefused."""
    from yarl import URL

    if len(text) > URL_LENGTH or not text.isprintable() or any(c in text for c in " \\"):
        raise TargetRefused(f"The URL must have at most {URL_LENGTH} characters, without blanks and backslashes.", param="url")
    try:
        url = URL(text)
        port, host = url.port, url.raw_host
    except ValueError:
        raise TargetRefused("This is not a URL.", param="url") from None
    if url.scheme not in ("https", "http") or not host or port is None:
        raise TargetRefused("The URL must begin with https:// and a host's name.", param="url")
    if "@" in text.partition("://")[2].partition("/")[0]:
        raise TargetRefused("The URL must not hold a user name or password. Check the signature instead.", param="url")
    if "#" in text:
        raise TargetRefused("The URL must not have a fragment (#...).", param="url")
    if port not in (80, 443) and port < FIRST_FREE_PORT:
        raise TargetRefused(f"The URL's port must be 443, 80, or at least {FIRST_FREE_PORT}.", param="url")
    return url
