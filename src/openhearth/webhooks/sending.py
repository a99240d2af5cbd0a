"""One try: a signed POST to a checked address. Follows no redirect, reads little of the answer and keeps none of it."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from openhearth import __version__
from openhearth.webhooks.signing import headers
from openhearth.webhooks.targets import NameNotFound, Target, TargetRefused, Targets

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import AbstractResolver

Failure = Literal["timeout", "unreachable", "certificate", "host_not_found", "address_not_allowed", "not_http"]

MOST_READ: Final = 64 * 1024
DRAIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a try. `status` 0: no answer, `failure` says why."""

    status: int
    failure: Failure | None = None

    @property
    def delivered(self) -> bool:
        return 200 <= self.status < 300


class Sender:
    """Sends to checked targets. `timeout_s`: from the name to the answer's headers."""

    def __init__(self, targets: Targets, timeout_s: float) -> None:
        self._targets = targets
        self.timeout_s = timeout_s

    async def send(self, url: str, keys: Sequence[str], event_id: str, body: str) -> Outcome:
        """Never raises for what the other side does."""
        try:
            async with asyncio.timeout(self.timeout_s):
                target = await self._targets.check(url)
                raw = body.encode()
                return Outcome(await _post(target, raw, headers(keys, event_id, int(time.time()), raw)))
        except TargetRefused:
            return Outcome(0, "address_not_allowed")
        except NameNotFound:
            return Outcome(0, "host_not_found")
        except TimeoutError:
            return Outcome(0, "timeout")
        except Exception as error:
            failure = _explained(error)
            if failure is None:
                raise
            return Outcome(0, failure)


def _explained(error: Exception) -> Failure | None:
    import aiohttp

    if isinstance(error, ssl.SSLError | ssl.CertificateError | aiohttp.ClientSSLError):
        return "certificate"
    if isinstance(error, OSError | aiohttp.ClientConnectionError):
        return "unreachable"
    return "not_http" if isinstance(error, aiohttp.ClientError | ValueError) else None


async def _post(target: Target, body: bytes, signature: dict[str, str]) -> int:
    import aiohttp

    said = {"content-type": "application/json", "user-agent": f"openhearth/{__version__}", **signature}
    # A session for each try: a connection kept from before would lead to an address that was checked before.
    connector = aiohttp.TCPConnector(resolver=_pinned(target), use_dns_cache=False, force_close=True)
    async with (
        aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False) as session,
        session.post(target.url, data=body, headers=said, allow_redirects=False) as response,
    ):
        await _drain(response)
        return response.status


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Let the other side finish, within bounds: its answer was its status."""
    import aiohttp

    left = MOST_READ
    with suppress(TimeoutError, aiohttp.ClientError, OSError, ValueError):
        async with asyncio.timeout(DRAIN_S):
            while left > 0 and (chunk := await response.content.read(min(left, 8192))):
                left -= len(chunk)
    if not response.content.at_eof():
        response.close()


def _pinned(target: Target) -> AbstractResolver:
    """Answers with the checked addresses, whatever the name means by now."""
    from aiohttp.abc import AbstractResolver, ResolveResult

    class Pinned(AbstractResolver):
        async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_UNSPEC) -> list[ResolveResult]:
            return [_result(host, port, address) for address in target.addresses]

        async def close(self) -> None:
            pass

    def _result(host: str, port: int, address: str) -> ResolveResult:
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        return ResolveResult(hostname=host, host=address, port=port, family=kind, proto=socket.IPPROTO_TCP, flags=socket.AI_NUMERICHOST)

    return Pinned()
