"""Which models an upstream server says it has. What it says is not trusted further than that: unfit entries are left out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from openhearth.engines.upstream.address import Address
from openhearth.engines.upstream.circuit import Circuit
from openhearth.engines.upstream.client import Patience, UpstreamClient
from openhearth.errors import EngineFailed
from openhearth.settings import Upstream

PATH = "/v1/models"
TIMEOUT_S = 5.0
MOST_MODELS = 10_000
LONGEST_ID = 300
CONTEXTS = ("max_model_len", "context_length", "context_window", "max_context_length")
"""vLLM and SGLang; several others; Groq; Mistral and LM Studio."""


@dataclass(frozen=True)
class UpstreamModel:
    """One model as its server lists it. None: not told."""

    id: str
    context: int | None = None
    created: int | None = None
    owned_by: str | None = None


async def list_models(upstream: Upstream, key: str | None, *, timeout_s: float = TIMEOUT_S) -> list[UpstreamModel]:
    """Ask once, briefly. Raises the error of a server that doesn't answer, refuses its key, or lists nothing readable."""
    address = Address.of(upstream.base_url, key)
    patience = Patience(timeout_s, min(timeout_s, upstream.connect_timeout_s), retries=0)
    client = UpstreamClient(address, Circuit(address.shown), patience)
    try:
        return read(await client.get(PATH), address)
    finally:
        await client.close()


def read(body: bytes, address: Address) -> list[UpstreamModel]:
    """The entries of a listing. Raises EngineFailed if it isn't one."""
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        decoded = None
    entries = decoded.get("data") if isinstance(decoded, dict) else None
    if not isinstance(entries, list):
        raise EngineFailed(f"The upstream server {address.shown} gives no list of models; is its base_url right?")
    models = [_model(entry) for entry in entries[:MOST_MODELS] if isinstance(entry, dict)]
    return [model for model in models if 0 < len(model.id) <= LONGEST_ID and model.id.isprintable()]


def _model(entry: Mapping[str, Any]) -> UpstreamModel:
    name, owner = entry.get("id"), entry.get("owned_by")
    return UpstreamModel(
        name if isinstance(name, str) else "",
        _context(entry),
        _number(entry.get("created")),
        owner[:LONGEST_ID] if isinstance(owner, str) and owner else None,
    )


def _context(entry: Mapping[str, Any]) -> int | None:
    meta = entry.get("meta")
    told = [entry.get(name) for name in CONTEXTS] + [meta.get("n_ctx") if isinstance(meta, dict) else None]
    return next((number for value in told if (number := _number(value))), None)


def _number(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        return None
    return int(value)
