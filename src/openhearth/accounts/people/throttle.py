"""How often one may try: a bucket of tries for each address and each client, refilled steadily, in this process's memory.

A restart forgets them, and several processes count each for itself. At most `KEYS` are remembered, the least recently used is forgotten
first; since a client's own bucket is asked first, one client can't push others' out.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from openhearth.errors import RateLimited

KEYS = 10_000


class Throttle:
    """`tries` at once, and as many again within `window_s` seconds."""

    def __init__(self, tries: int, window_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._tries = tries
        self._pause_s = window_s / tries
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> None:
        """One try. Raises RateLimited with the time until the next."""
        now = self._clock()
        left = self._left(key, now)
        if left < 1:
            raise RateLimited("Too many attempts. Wait a little, then try again.", retry_after_s=(1 - left) * self._pause_s + 0.5)
        self._keep(key, left - 1, now)

    def give_back(self, key: str) -> None:
        """That try doesn't count."""
        now = self._clock()
        self._keep(key, min(self._tries, self._left(key, now) + 1), now)

    def _left(self, key: str, now: float) -> float:
        left, since = self._buckets.get(key, (float(self._tries), now))
        return min(self._tries, left + (now - since) / self._pause_s)

    def _keep(self, key: str, left: float, now: float) -> None:
        self._buckets[key] = (left, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > KEYS:
            self._buckets.popitem(last=False)


class Limits:
    """Of login and mail."""

    def __init__(self) -> None:
        self._login_client = Throttle(30, 300)
        self._login_account = Throttle(10, 300)
        self._mail_client = Throttle(20, 3600)
        self._mail_account = Throttle(5, 3600)

    def login(self, client: str | None, email: str) -> None:
        """Raises RateLimited."""
        self._login_client.take(_of_client(client))
        self._login_account.take(email)

    def logged_in(self, client: str | None, email: str) -> None:
        """Who knows the password doesn't use tries up."""
        self._login_client.give_back(_of_client(client))
        self._login_account.give_back(email)

    def mail(self, client: str | None, email: str) -> None:
        """Raises RateLimited."""
        self._mail_client.take(_of_client(client))
        self._mail_account.take(email)

    def visit(self, client: str | None) -> None:
        """For what costs work without an address, like OpenID Connect's way back. Raises RateLimited."""
        self._login_client.take(_of_client(client))


def _of_client(client: str | None) -> str:
    """Whoever has one IPv6 address has 2**64 of them."""
    try:
        address = ip_address(client or "")
    except ValueError:
        return client or "local"
    return str(IPv6Address(int(address) >> 64 << 64)) if isinstance(address, IPv6Address) else str(address)
