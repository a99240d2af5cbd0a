"""A project's limits for one model, in one process: the buckets that a request must pass together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from openhearth.accounts.principal import Principal
from openhearth.accounts.work import Usage
from openhearth.limits.allowance import Allowance
from openhearth.limits.buckets import EPSILON, NEVER, Holding
from openhearth.limits.ledger import Key
from openhearth.limits.refusals import Kind, headers, limit_reached, too_large

PERIODS: Final[dict[Kind, float]] = {"requests_per_minute": 60.0, "requests_per_day": 86_400.0, "tokens_per_minute": 60.0}
RENEW_S = 3.0
ASK_AGAIN_S = 0.25
"""Within so long after an exchange its answer stands: nobody gave anything back since, as far as this process knows."""

Need = tuple[Kind, Holding, int]


class Lane:
    """Held together, so that one exchange serves all. Times: seconds of a steady clock."""

    def __init__(self, project_id: str, model: str, allowance: Allowance, version: tuple[int, int]) -> None:
        self.version = version
        """Of the limits."""
        self._project_id = project_id
        self._model = model
        self._allowance: Allowance | None = None
        self.holdings: dict[Kind, Holding] = {}
        self.lock = asyncio.Lock()
        """Held by who exchanges."""
        self.used_at = NEVER
        self.topping_up = False
        self.failures = 0
        """Exchanges that failed."""
        self.resize(allowance)

    def resize(self, allowance: Allowance) -> None:
        """Other limits from now on."""
        if allowance == self._allowance:
            return
        self._allowance = allowance
        for kind, period in PERIODS.items():
            limit: int | None = getattr(allowance, kind)
            if limit is None:
                self.holdings.pop(kind, None)
            elif kind in self.holdings:
                self.holdings[kind].resize(limit)
            else:
                self.holdings[kind] = Holding(limit, period)
        self._requests, self._tokens = self.holdings["requests_per_minute"], self.holdings["tokens_per_minute"]
        self._day = self.holdings.get("requests_per_day")

    @property
    def chosen(self) -> bool:
        """Whether somebody has set these limits."""
        return self._allowance is not None and self._allowance.chosen

    def key(self, kind: Kind) -> Key:
        return Key(self._project_id, self._model, kind)

    def take(self, tokens: int, now: float) -> bool:
        """One request and its tokens from all buckets, or from none: then an exchange is needed."""
        requests, of_tokens, day = self._requests, self._tokens, self._day
        if not (requests.has(1, now) and of_tokens.has(tokens, now) and (day is None or day.has(1, now))):
            return False
        self.tick(now)
        requests.take(1)
        of_tokens.take(tokens)
        if day is not None:
            day.take(1)
        self.used_at = now
        return True

    def settle(self, tokens: int, usage: Usage | None, now: float) -> None:
        """What was taken and not used comes back. `usage` None: it never began."""
        self.tick(now)
        if usage is None:
            self._requests.give(1)
            if self._day is not None:
                self._day.give(1)
        self._tokens.give(tokens - (0 if usage is None else usage.total_tokens))

    def lacking(self, tokens: int, now: float) -> list[Need]:
        """The buckets of which this process holds too little."""
        needs: dict[Kind, int] = {"requests_per_minute": 1, "requests_per_day": 1, "tokens_per_minute": tokens}
        return [(kind, holding, needs[kind]) for kind, holding in self.holdings.items() if not holding.has(needs[kind], now)]

    def check(self, needs: Iterable[Need], now: float, principal: Principal) -> None:
        """Raises RateLimited, if one of them is known not to have enough."""
        for kind, holding, need in needs:
            if need > holding.capacity:
                raise too_large(kind, holding.capacity, self._model, principal.access.organization_id, need)
            if holding.age(now) <= ASK_AGAIN_S:
                holding.tick(now)
                if holding.level < need - EPSILON:
                    raise limit_reached(kind, holding, self._model, principal.access.organization_id, need)

    def low(self, now: float) -> list[Holding]:
        """Those that should take more in advance, while there is more: renewed in the background, so that no request waits."""
        return [one for one in self.holdings.values() if one.held < one.lease / 2 <= one.rest or (one.held and one.age(now) > RENEW_S)]

    def tick(self, now: float) -> None:
        """Fill all buckets up to now."""
        for holding in self.holdings.values():
            holding.tick(now)

    def headers(self) -> dict[str, str]:
        """As of the last `tick`. Of requests, the limit of which less is left."""
        requests = self._requests
        if self._day is not None and self._day.level < requests.level:
            requests = self._day
        return headers(requests, self._tokens)
