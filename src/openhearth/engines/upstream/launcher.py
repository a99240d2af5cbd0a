"""Makes an upstream server's model an engine of the pool. Starts no process; it asks the server once whether it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from openhearth.engines.contract import Capability, EngineProperties, EngineSpec
from openhearth.engines.upstream import listing
from openhearth.engines.upstream.address import Address
from openhearth.engines.upstream.circuit import FIRST_S, Circuit
from openhearth.engines.upstream.client import Patience, UpstreamClient
from openhearth.errors import EngineUnavailable, InvalidRequest, NotFound, OpenHearthError, RateLimited

DEFAULT_SLOTS = 64
PROBE_TIMEOUT_S = 10.0


class RunningUpstream:
    """The contract's `RunningEngine` over connections. It lives as long as we say; whether the server does shows in each request."""

    alive = True

    def __init__(self, client: UpstreamClient, properties: EngineProperties) -> None:
        self._client = client
        self._properties = properties

    @property
    def properties(self) -> EngineProperties:
        return self._properties

    @property
    def client(self) -> UpstreamClient:
        return self._client

    def resident_bytes(self) -> int:
        return 0

    async def exited(self) -> None:
        """Never."""
        await asyncio.Event().wait()

    async def stop(self) -> None:
        """Close this model's connections; other models of the server have their own."""
        await self._client.close()


class UpstreamLauncher:
    """Options: `base_url`, `model`; `api_key`, `timeout_s`, `connect_timeout_s`, `retries`, `slots`, `task`, `capabilities`.

    `task` is "chat" or "embedding". Holds one circuit for each address.
    """

    def __init__(self, *, circuit_first_s: float = FIRST_S) -> None:
        self._circuit_first_s = circuit_first_s
        self._circuits: dict[str, Circuit] = {}

    async def start(self, spec: EngineSpec) -> RunningUpstream:
        """As the contract says."""
        options = spec.options
        address = Address.of(str(options.get("base_url") or ""), options.get("api_key"))
        patience = _patience(options)
        circuit = self._circuits.setdefault(address.base_url, Circuit(address.shown, first_s=self._circuit_first_s))
        models = await _listed(UpstreamClient(address, circuit, _brief(patience)), address)
        context = next((model.context for model in models if model.id == options.get("model", spec.id)), None)
        properties = EngineProperties(max(1, int(options.get("slots") or DEFAULT_SLOTS)), context, _capabilities(options))
        return RunningUpstream(UpstreamClient(address, circuit, patience, spec.id), properties)


async def _listed(client: UpstreamClient, address: Address) -> list[listing.UpstreamModel]:
    """The probe. A server that has no listing, or takes no more requests for now, is there all the same."""
    try:
        return listing.read(await client.get(listing.PATH), address)
    except (InvalidRequest, NotFound, RateLimited):
        return []
    except EngineUnavailable:
        raise
    except OpenHearthError as error:
        raise EngineUnavailable(error.message) from None
    finally:
        await client.close()


def _patience(options: Mapping[str, Any]) -> Patience:
    return Patience(
        float(options.get("timeout_s") or Patience.timeout_s),
        float(options.get("connect_timeout_s") or Patience.connect_timeout_s),
        Patience.retries if options.get("retries") is None else max(0, int(options["retries"])),
    )


def _brief(patience: Patience) -> Patience:
    return Patience(min(PROBE_TIMEOUT_S, patience.timeout_s), patience.connect_timeout_s, patience.retries)


def _capabilities(options: Mapping[str, Any]) -> frozenset[Capability]:
    told: tuple[Capability, ...] = tuple(options.get("capabilities") or ())
    if options.get("task") == "embedding":
        return frozenset({"embedding", *told})
    return frozenset({"chat", "completion", *told})
