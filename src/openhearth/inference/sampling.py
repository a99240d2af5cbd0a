"""Sampling parameters of OpenAI in the engine's words, the same for every generating endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from openhearth.engines.contract import EngineProperties
from openhearth.errors import InvalidRequest

WHOLE_TEXT = 2**17
"""Tokens that penalties look back over; the engine keeps room for so many, so "all" must have an end."""


class SamplingParameters(Protocol):
    """What a request must have to be sampled. None: OpenAI's default."""

    @property
    def temperature(self) -> float | None: ...

    @property
    def top_p(self) -> float | None: ...

    @property
    def presence_penalty(self) -> float | None: ...

    @property
    def frequency_penalty(self) -> float | None: ...

    @property
    def logit_bias(self) -> Mapping[str, float] | None: ...


def sampling(request: SamplingParameters) -> dict[str, Any]:
    """OpenAI's sampling parameters in the engine's words; the engine's own extra filters are off. Raises InvalidRequest."""
    values: dict[str, Any] = {
        "temperature": 1.0 if request.temperature is None else request.temperature,
        "top_p": 1.0 if request.top_p is None else request.top_p,
        "top_k": 0,
        "min_p": 0.0,
    }
    if request.temperature is None and request.top_p is None:
        # Nobody asked for the whole tail of the distribution, and a small model's tail is noise.
        values["min_p"] = 0.05
    penalties = {name: value for name in ("presence_penalty", "frequency_penalty") if (value := getattr(request, name))}
    if penalties:
        values |= {**penalties, "repeat_last_n": WHOLE_TEXT}
    if request.logit_bias:
        values["logit_bias"] = [[_token(name), bias] for name, bias in request.logit_bias.items()]
    return values


def check_bias(values: Mapping[str, Any], properties: EngineProperties) -> None:
    """Raises InvalidRequest for a token id that the model doesn't have."""
    size = properties.vocabulary
    largest = max((token for token, _ in values.get("logit_bias", ())), default=-1)
    if size is not None and largest >= size:
        raise InvalidRequest(f"'logit_bias' names token id {largest}, but this model's ids end at {size - 1}.", param="logit_bias")


def stops_of(stop: str | list[str] | None) -> list[str]:
    """An empty stop sequence stops nothing, as at OpenAI."""
    return [s for s in ([stop] if isinstance(stop, str) else stop or []) if s]


def _token(name: str) -> int:
    if not name.isascii() or not name.isdigit() or len(name) > 9:
        raise InvalidRequest("The keys of 'logit_bias' must be token ids.", param="logit_bias")
    return int(name)
